//! What the service manager hears (`Type=notify` of systemd, sd_notify(3)).

use gripwire_harness::deadline::patience;
use gripwire_harness::server::{Launch, Server};
use gripwire_harness::unique;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Time after which this manager would restart a server that does not say that it makes progress.
const WATCHDOG: Duration = Duration::from_secs(3);

/// The socket on which a manager hears of its service, and its name in NOTIFY_SOCKET.
struct Manager {
    socket: UnixDatagram,
    name: String,
}

impl Manager {
    fn new() -> Manager {
        let name = unique("gripwire-manager");
        let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        socket.set_read_timeout(Some(patience())).unwrap();
        Manager { socket, name: format!("@{name}") }
    }

    /// The next message.
    fn hear(&self) -> String {
        self.hear_in_time().expect("a message of the server")
    }

    /// The next message; `None` if none comes within the socket's timeout.
    fn hear_in_time(&self) -> Option<String> {
        let mut buffer = [0; 1024];
        let length = self.socket.recv(&mut buffer).ok()?;
        Some(String::from_utf8(buffer[..length].to_vec()).unwrap())
    }

    /// Waits for a message with this line.
    fn await_line(&self, line: &str) -> String {
        let deadline = Instant::now() + patience();
        loop {
            let message = self.hear();
            if message.lines().any(|it| it == line) {
                return message;
            }
            assert!(Instant::now() < deadline, "no {line:?}");
        }
    }
}

fn launch(manager: &Manager) -> Launch {
    let config =
        "cores = 2\nhttp.listen = \"CLIENTS\"\ncontrol.listen = \"CONTROL\"\nproxy.routes = [\"* demo\"]\n";
    Launch::configured("--config", "gripwire.toml")
        .file("gripwire.toml", config)
        .env("NOTIFY_SOCKET", &manager.name)
}

#[test]
fn a_start_each_reload_and_the_end_are_told() {
    let manager = Manager::new();
    let mut server = launch(&manager).start();
    assert_eq!(manager.hear(), "READY=1\nSTATUS=Serving");
    reload(&server, &manager);
    assert_eq!(manager.hear(), "READY=1\nSTATUS=Serving");
    // A change of the file leads to a reload, and a reload that fails is over too.
    server.rewrite("gripwire.toml", "nonsense = 1\n");
    assert!(manager.hear().starts_with("RELOADING=1\n"));
    let failed = manager.hear();
    assert!(failed.starts_with("READY=1\nSTATUS=Serving with the old settings"), "{failed}");
    assert!(server.end_by(libc::SIGTERM).success());
    assert_eq!(manager.hear(), "STOPPING=1\nSTATUS=Stopping");
}

/// Has the server read its files again, and waits until it says so.
fn reload(server: &Server, manager: &Manager) {
    let before = monotonic_us();
    server.signal(libc::SIGHUP);
    let message = manager.hear();
    let mut lines = message.lines();
    assert_eq!(lines.next(), Some("RELOADING=1"));
    let time = lines.next().and_then(|line| line.strip_prefix("MONOTONIC_USEC=")).expect("the time");
    // systemd takes a time before its own signal for that of an earlier reload.
    assert!((before..=monotonic_us()).contains(&time.parse().unwrap()), "{message}");
}

fn monotonic_us() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a valid place for the time.
    assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) }, 0);
    time.tv_sec as u64 * 1_000_000 + time.tv_nsec as u64 / 1_000
}

#[test]
fn a_core_that_is_stuck_silences_the_server_and_one_that_goes_on_does_not() {
    let manager = Manager::new();
    let server = launch(&manager).env("WATCHDOG_USEC", &WATCHDOG.as_micros().to_string()).start();
    manager.await_line("READY=1");
    (0..3).for_each(|_| drop(manager.await_line("WATCHDOG=1")));
    let stopped = StoppedThread::named(server.id(), "core-1");
    server.log().await_next("this core is stuck");
    manager.socket.set_read_timeout(Some(WATCHDOG)).unwrap();
    let deadline = Instant::now() + patience();
    while manager.hear_in_time().is_some() {
        assert!(Instant::now() < deadline, "a manager does not notice");
    }
    drop(stopped);
    manager.socket.set_read_timeout(Some(patience())).unwrap();
    manager.await_line("WATCHDOG=1");
}

#[test]
fn a_watchdog_of_another_process_is_not_fed() {
    let manager = Manager::new();
    let mut server = launch(&manager).env("WATCHDOG_USEC", "20000").env("WATCHDOG_PID", "1").start();
    assert!(server.end_by(libc::SIGTERM).success());
    assert_eq!(manager.hear(), "READY=1\nSTATUS=Serving");
    assert_eq!(manager.hear(), "STOPPING=1\nSTATUS=Stopping");
}

#[test]
fn a_server_without_a_manager_that_listens_serves() {
    let manager = Manager::new();
    let name = std::mem::take(&mut Manager::new().name);
    let server = launch(&Manager { name, ..manager }).start();
    server.log().await_next("the service manager cannot be told");
    assert!(server.fetch(&gripwire_harness::request::get("/")).code < 500);
}

/// A thread of another process that is stopped alone, as one that waits for ever is. It goes on when this is dropped.
struct StoppedThread(libc::pid_t);

impl StoppedThread {
    /// Stops the thread called `name` of process `process`.
    fn named(process: u32, name: &str) -> StoppedThread {
        let threads = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
        let mut threads = threads.map(|thread| thread.unwrap().path());
        let is_named = |thread: &PathBuf| {
            let found = std::fs::read_to_string(thread.join("comm")).unwrap();
            found.trim_end() == name || found.starts_with(&format!("{name}-"))
        };
        let thread = threads.find(is_named).expect("a thread of this name");
        let thread: libc::pid_t = thread.file_name().unwrap().to_str().unwrap().parse().unwrap();
        request(libc::PTRACE_SEIZE, thread);
        request(libc::PTRACE_INTERRUPT, thread);
        let mut status = 0;
        // SAFETY: a valid place for the status of a thread that this one traces.
        assert_eq!(unsafe { libc::waitpid(thread, &mut status, libc::__WALL) }, thread);
        StoppedThread(thread)
    }
}

impl Drop for StoppedThread {
    fn drop(&mut self) {
        request(libc::PTRACE_DETACH, self.0);
    }
}

fn request(request: libc::c_uint, thread: libc::pid_t) {
    // SAFETY: these requests use neither the address nor the data.
    let outcome = unsafe { libc::ptrace(request, thread, 0, 0) };
    assert_eq!(outcome, 0, "ptrace: {}", std::io::Error::last_os_error());
}

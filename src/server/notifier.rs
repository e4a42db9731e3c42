//! Tells the service manager how the server is (sd_notify(3), `Type=notify` of systemd): that it serves, reads its files
//! again, or ends, and, at intervals, that all cores make progress. The manager names a Unix datagram socket in
//! NOTIFY_SOCKET; without it nothing is sent. The main thread owns the [`Notifier`]. A manager that takes no messages
//! holds the main thread up for a second at most, and the log says once that messages do not arrive.

use nix::time::{ClockId, clock_gettime};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::{Duration, Instant};

/// The longest time for which one message waits until the manager has room for it.
const PATIENCE: Duration = Duration::from_secs(1);
/// Time until the cores are looked at again after one of them was stuck.
const RETRY: Duration = Duration::from_secs(1);

/// The connection to the service manager.
pub struct Notifier {
    manager: Option<Manager>,
    /// The messages that the manager waits for, if it restarts servers that are stuck.
    keep_alive: Option<KeepAlive>,
    told: Told,
}

struct Manager {
    socket: UnixDatagram,
    address: SocketAddr,
    /// The last message did not reach the manager.
    is_failing: bool,
}

struct KeepAlive {
    every: Duration,
    due: Instant,
}

/// What the manager was told last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Told {
    Starting,
    Ready,
    Reloading,
    Stopping,
}

impl Notifier {
    /// The connection to the manager that NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID name in the environment.
    pub fn from_environment() -> Notifier {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let manager = variable("NOTIFY_SOCKET").and_then(|name| {
            let connected = Manager::connect(&name);
            connected.inspect_err(|error| tracing::warn!(?name, %error, "NOTIFY_SOCKET cannot be used")).ok()
        });
        let every = keep_alive_interval(variable("WATCHDOG_USEC"), variable("WATCHDOG_PID"));
        let keep_alive = every.map(|every| KeepAlive { every, due: Instant::now() });
        Notifier { manager, keep_alive, told: Told::Starting }
    }

    /// Says that the server serves, at the start and after each reload. `status` is a line for operators.
    pub fn ready(&mut self, status: &str) {
        if self.told != Told::Stopping {
            self.told = Told::Ready;
            self.send(&format!("READY=1\nSTATUS={status}"));
        }
    }

    /// Says that the server reads its files again. [`ready`](Notifier::ready) has to follow. Nothing is sent before the
    /// server is ready for the first time.
    pub fn reloading(&mut self) {
        if matches!(self.told, Told::Ready | Told::Reloading) {
            self.told = Told::Reloading;
            let clock = clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from).unwrap_or_default();
            let now_us = clock.as_micros();
            self.send(&format!("RELOADING=1\nMONOTONIC_USEC={now_us}\nSTATUS=Reading the files again"));
        }
    }

    /// Says that the server begins to end. After that it is neither ready nor reloading.
    pub fn stopping(&mut self) {
        if self.told != Told::Stopping {
            self.told = Told::Stopping;
            self.send("STOPPING=1\nSTATUS=Stopping");
        }
    }

    /// Says that process `pid` is the server from now on, and says nothing more. The manager takes messages from that process
    /// only, unless the unit has `NotifyAccess=all`.
    pub fn main_pid(&mut self, pid: u32) {
        self.send(&format!("MAINPID={pid}"));
        (self.manager, self.keep_alive) = (None, None);
    }

    /// Says that the server makes progress, if the manager waits for this and all cores do make progress. Called again
    /// after [`until_watchdog`](Notifier::until_watchdog) at the latest.
    pub fn watchdog(&mut self, now: Instant, cores_make_progress: bool) {
        let Some(keep_alive) = self.keep_alive.as_mut().filter(|keep_alive| keep_alive.due <= now) else {
            return;
        };
        let every = keep_alive.every;
        keep_alive.due = now + if cores_make_progress { every } else { every.min(RETRY) };
        if cores_make_progress {
            self.send("WATCHDOG=1");
        }
    }

    /// Time until the manager should hear again that the server makes progress; `None` if the manager does not wait for
    /// this.
    pub fn until_watchdog(&self, now: Instant) -> Option<Duration> {
        self.keep_alive.as_ref().map(|keep_alive| keep_alive.due.saturating_duration_since(now))
    }

    fn send(&mut self, message: &str) {
        let Some(manager) = &mut self.manager else { return };
        let sent = manager.socket.send_to_addr(message.as_bytes(), &manager.address);
        let has_failed = std::mem::replace(&mut manager.is_failing, sent.is_err());
        if let Err(error) = sent
            && !has_failed
        {
            tracing::warn!(%error, address = ?manager.address, "the service manager cannot be told: check NOTIFY_SOCKET");
        }
    }
}

impl Manager {
    fn connect(name: &OsStr) -> io::Result<Manager> {
        let address = match name.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
            [b'/', ..] => SocketAddr::from_pathname(name)?,
            // systemd in a virtual machine may also name a port of AF_VSOCK, but only for the system itself.
            _ => return Err(io::Error::other("neither an absolute path nor an abstract name")),
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Manager { socket, address, is_failing: false })
    }
}

/// How often the manager should hear from this process: twice in the time after which it would restart the server.
/// `None` if it does not wait, or waits for another process.
fn keep_alive_interval(time_us: Option<OsString>, process: Option<OsString>) -> Option<Duration> {
    let number = |text: OsString| text.to_str().and_then(|text| text.parse::<u64>().ok());
    if process.is_some_and(|process| number(process) != Some(std::process::id().into())) {
        return None;
    }
    let time_us = time_us.and_then(number).filter(|time_us| *time_us > 0)?;
    Some(Duration::from_micros(time_us / 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A manager, and the connection to it.
    fn managed(watchdog: Option<Duration>) -> (UnixDatagram, Notifier) {
        static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let name = format!("gripwire-notifier-{}-{number}", std::process::id());
        let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        socket.set_nonblocking(true).unwrap();
        let manager = Manager::connect(OsStr::new(&format!("@{name}"))).unwrap();
        let keep_alive = watchdog.map(|every| KeepAlive { every, due: Instant::now() });
        (socket, Notifier { manager: Some(manager), keep_alive, told: Told::Starting })
    }

    /// The messages that have arrived.
    fn arrived(manager: &UnixDatagram) -> Vec<String> {
        let mut buffer = [0; 256];
        let next = || manager.recv(&mut buffer).map(|length| buffer[..length].to_vec()).ok();
        std::iter::from_fn(next).map(|message| String::from_utf8(message).unwrap()).collect()
    }

    #[test]
    fn a_reload_is_between_two_times_of_being_ready_and_nothing_follows_the_end() {
        let (manager, mut notifier) = managed(None);
        notifier.reloading();
        assert_eq!(arrived(&manager), [""; 0], "it is not ready yet");
        notifier.ready("a");
        notifier.reloading();
        notifier.ready("b");
        let messages = arrived(&manager);
        assert_eq!((&*messages[0], &*messages[2]), ("READY=1\nSTATUS=a", "READY=1\nSTATUS=b"));
        assert!(messages[1].starts_with("RELOADING=1\nMONOTONIC_USEC="), "{}", messages[1]);
        notifier.stopping();
        notifier.stopping();
        notifier.ready("c");
        notifier.reloading();
        assert_eq!(arrived(&manager), ["STOPPING=1\nSTATUS=Stopping"]);
        notifier.main_pid(7);
        notifier.ready("d");
        assert_eq!(arrived(&manager), ["MAINPID=7"]);
    }

    #[test]
    fn only_a_server_that_makes_progress_says_so_and_not_more_often_than_needed() {
        let every = Duration::from_secs(10);
        let (manager, mut notifier) = managed(Some(every));
        let mut now = Instant::now();
        notifier.watchdog(now, true);
        notifier.watchdog(now, true);
        assert_eq!((arrived(&manager).len(), notifier.until_watchdog(now)), (1, Some(every)));
        now += every;
        notifier.watchdog(now, false);
        assert_eq!((arrived(&manager).len(), notifier.until_watchdog(now)), (0, Some(RETRY)));
        now += RETRY;
        notifier.watchdog(now, true);
        assert_eq!(arrived(&manager), ["WATCHDOG=1"]);
    }

    #[test]
    fn a_manager_that_has_gone_is_no_failure() {
        let (manager, mut notifier) = managed(None);
        drop(manager);
        notifier.ready("a");
        assert!(notifier.manager.is_some_and(|manager| manager.is_failing));
    }

    #[test]
    fn the_manager_may_wait_for_another_process() {
        let interval = |time: &str, process: Option<u32>| {
            keep_alive_interval(Some(time.into()), process.map(|process| process.to_string().into()))
        };
        let own = std::process::id();
        assert_eq!(interval("3000000", None), Some(Duration::from_millis(1500)));
        assert_eq!(interval("3000000", Some(own)), Some(Duration::from_millis(1500)));
        assert_eq!(interval("3000000", Some(own + 1)), None);
        assert_eq!((interval("0", None), interval("soon", None)), (None, None));
        assert_eq!(keep_alive_interval(None, None), None);
    }

    #[test]
    fn a_manager_has_a_path_or_an_abstract_name() {
        assert!(Manager::connect(OsStr::new("/run/systemd/notify")).is_ok());
        for wrong in ["vsock:2:1234", "run/notify"] {
            assert!(Manager::connect(OsStr::new(wrong)).is_err(), "{wrong}");
        }
    }
}

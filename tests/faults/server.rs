//! A server of its own for each test, on free ports, ended with the test. `Stats` are what it says of itself.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

/// How long anything is awaited before a test fails.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub struct Server {
    child: Child,
    directory: PathBuf,
    pub clients: SocketAddr,
    pub control: SocketAddr,
}

/// The server's counters and levels, by name.
pub type Stats = BTreeMap<String, u64>;

impl Server {
    /// Starts on two cores with `settings` (lines of TOML below `[proxy]`, or further sections) and `route`.
    pub fn start(route: &str, settings: &str) -> Server {
        Server::start_with(route, settings, &["--udp", "false"])
    }

    /// The same, with more options of the command line.
    pub fn start_with(route: &str, settings: &str, options: &[&str]) -> Server {
        let (clients, control) = (free_address(), free_address());
        let directory = std::env::temp_dir().join(format!("gripwire-faults-{}", clients.port()));
        std::fs::create_dir_all(&directory).unwrap();
        let file = directory.join("gripwire.toml");
        let text = format!("cores = 2\nlog.level = \"error\"\n[proxy]\nroutes = [{route:?}]\n{settings}\n");
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_gripwire"));
        command.arg("serve").arg("--config").arg(&file);
        let command = command.args(["--listen", &clients.to_string(), "--control", &control.to_string()]);
        let command = command.args(options);
        let mut server = Server { child: command.spawn().unwrap(), directory, clients, control };
        server.await_listening();
        server
    }

    /// The path of a file beside the server's configuration, where it finds its relative paths.
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Sends the signal and waits for the end.
    pub fn end_by(&mut self, signal: i32) -> ExitStatus {
        self.signal(signal);
        self.child.wait().unwrap()
    }

    /// Stops the process; returns when none of its threads runs.
    pub fn stop(&self) {
        self.signal(libc::SIGSTOP);
        let mut status = 0;
        // SAFETY: a child that was not waited for yet, and a valid place for its status.
        let stopped = unsafe { libc::waitpid(self.pid(), &mut status, libc::WUNTRACED) };
        assert!(stopped == self.pid() && libc::WIFSTOPPED(status), "the server ended");
    }

    /// Lets it go on.
    pub fn go_on(&self) {
        self.signal(libc::SIGCONT);
    }

    fn signal(&self, signal: i32) {
        // SAFETY: a signal to a child that was not waited for yet.
        assert_eq!(unsafe { libc::kill(self.pid(), signal) }, 0);
    }

    fn pid(&self) -> libc::pid_t {
        libc::pid_t::try_from(self.child.id()).unwrap()
    }

    fn await_listening(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(self.clients).is_err() || TcpStream::connect(self.control).is_err() {
            assert!(self.child.try_wait().unwrap().is_none(), "the server ended");
            assert!(Instant::now() < deadline, "the server does not listen");
            std::thread::yield_now();
        }
        // Ports are open before all cores run. Each connection goes to one of them by chance: none is left out by so
        // many, and what a core takes for good when it starts is not mistaken for growth.
        (0..32).for_each(|_| drop(self.stats()));
    }

    /// A connection to the client port.
    pub fn connect(&self) -> TcpStream {
        patient(TcpStream::connect(self.clients).unwrap())
    }

    /// Sends `request` on a connection of its own and gives all that comes until it is closed.
    pub fn ask(&self, request: &[u8]) -> String {
        let mut client = self.connect();
        client.write_all(request).unwrap();
        let mut answer = Vec::new();
        // A reset after the answer is an end like any other.
        let _ = client.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Publishes `content` to the streams of `channel`.
    pub fn publish(&self, channel: &str, content: &str) {
        self.publish_format(channel, "http-stream", serde_json::json!({ "content": content }));
    }

    /// Ends the streams of `channel`.
    pub fn close_streams(&self, channel: &str) {
        self.publish_format(channel, "http-stream", serde_json::json!({ "action": "close" }));
    }

    /// Publishes for one transport.
    pub fn publish_format(&self, channel: &str, format: &str, content: serde_json::Value) {
        let item = serde_json::json!({"channel": channel, "formats": {format: content}});
        let body = serde_json::json!({ "items": [item] }).to_string();
        let head = format!(
            "POST /publish/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let answer = self.ask_control(&(head + &body));
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }

    pub fn stats(&self) -> Stats {
        // The secret is for servers that ask for one.
        let secret = "Authorization: Bearer secret\r\n";
        let answer =
            self.ask_control(&format!("GET /stats HTTP/1.1\r\nHost: x\r\n{secret}Connection: close\r\n\r\n"));
        let body = answer.split_once("\r\n\r\n").unwrap().1;
        serde_json::from_str(body).unwrap()
    }

    /// Asks until the stats are as `condition` wants them.
    pub fn await_stats(&self, condition: impl Fn(&Stats) -> bool) -> Stats {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let stats = self.stats();
            if condition(&stats) {
                return stats;
            }
            assert!(Instant::now() < deadline, "the stats stay at {stats:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until nothing of any client is left. Whoever asks may be counted.
    pub fn await_empty(&self) -> Stats {
        let levels = ["subscriptions", "channels", "homes", "backlog_bytes", "pending_publications"];
        self.await_stats(|stats| stats["connections"] <= 1 && levels.iter().all(|level| stats[*level] == 0))
    }

    /// A line of /proc/PID/status, such as VmRSS, in bytes.
    pub fn memory_bytes(&self, name: &str) -> u64 {
        let status = std::fs::File::open(format!("/proc/{}/status", self.child.id())).unwrap();
        let mut lines = BufReader::new(status).lines().map(Result::unwrap);
        let line = lines.find(|line| line.starts_with(name)).unwrap();
        let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kib * 1024
    }

    /// Bounds the files the process may have open; the bound before.
    pub fn limit_files(&self, limit: u64) -> u64 {
        let mut before = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        let pid = self.pid();
        // SAFETY: both places are valid, or null where nothing is to be changed.
        let done = unsafe {
            libc::prlimit(pid, libc::RLIMIT_NOFILE, std::ptr::null(), &mut before) == 0
                && libc::prlimit(
                    pid,
                    libc::RLIMIT_NOFILE,
                    &libc::rlimit { rlim_cur: limit, ..before },
                    std::ptr::null_mut(),
                ) == 0
        };
        assert!(done, "{}", std::io::Error::last_os_error());
        before.rlim_cur
    }

    /// Descriptors the process has.
    pub fn files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }

    fn ask_control(&self, request: &str) -> String {
        let mut client = patient(TcpStream::connect(self.control).unwrap());
        client.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// No test hangs on a socket.
pub fn patient(socket: TcpStream) -> TcpStream {
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.set_write_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// Reads a request head.
pub fn read_head(client: &mut impl BufRead) -> String {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if client.read_line(&mut head).unwrap_or(0) == 0 {
            break;
        }
    }
    head
}

pub fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.3:0").unwrap().local_addr().unwrap()
}

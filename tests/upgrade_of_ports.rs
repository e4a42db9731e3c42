//! A new process takes over the ports of a server, by SIGUSR2 and by `gripwire upgrade`. It claims another format of the
//! clients' state, so it gets the ports only: whoever connects meanwhile is served by one of the two processes.

use gripwire_harness::deadline::await_some;
use gripwire_harness::directory::Directory;
use gripwire_harness::request::get;
use gripwire_harness::server::{Launch, Server, gripwire};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

#[test]
fn nobody_who_connects_during_upgrades_is_refused_or_reset() {
    let mut town = Town::start();
    let visitors: Vec<Visitor> = (0..4).map(|_| Visitor::to(town.server.clients)).collect();
    for step in ["hello", "prepared", "channels", "ready", "token"] {
        town.have_the_next_die_at(step);
        town.server.signal(libc::SIGUSR2);
        let line = town.server.log().await_next("no upgrade took place");
        assert!(line.contains("the other process ended"), "{step}: {line}");
        visitors.iter().for_each(Visitor::await_visit);
        assert!(town.server.is_running(), "{step}");
    }
    town.have_the_next_die_at("nowhere");
    town.server.signal(libc::SIGUSR2);
    town.await_new_process();
    assert!(await_some("the end of the old process", || town.server.ended()).success());
    visitors.iter().for_each(Visitor::await_visit);
    visitors.into_iter().for_each(Visitor::end);
}

#[test]
fn an_operator_hears_how_an_upgrade_ended() {
    let mut town = Town::start();
    town.have_the_next_die_at("prepared");
    let (is_done, said) = town.upgrade();
    assert!(!is_done && said.contains("the other process ended while preparing"), "{said}");
    town.have_the_next_die_at("nowhere");
    let (is_done, said) = town.upgrade();
    let pid = town.await_new_process();
    assert!(is_done && said.contains(&format!("process {pid} serves")), "{said}");
    assert!(await_some("the end of the old process", || town.server.ended()).success());
    assert_eq!(town.server.fetch(&get("/")).code, 200);
}

#[test]
fn datagrams_go_to_the_new_process() {
    let mut town = Town::start();
    town.send_datagrams();
    town.have_the_next_die_at("nowhere");
    town.server.signal(libc::SIGUSR2);
    town.await_new_process();
    assert!(await_some("the end of the old process", || town.server.ended()).success());
    town.send_datagrams();
}

/// A server, and the processes that replace it.
struct Town {
    server: Server,
    directory: Directory,
    new: Option<u32>,
}

impl Town {
    fn start() -> Town {
        let directory = Directory::new("upgrade");
        let program = gripwire().get_program().display().to_string();
        let die = format!("GRIPWIRE_UPGRADE_DIE={}", directory.file("die").display());
        let words = ["env", &die, "GRIPWIRE_UPGRADE_FORMAT=4294967295", &program];
        let server = Launch::demo().program(&words).options(&["--log", "info"]).udp().start();
        Town { server, directory, new: None }
    }

    fn have_the_next_die_at(&self, step: &str) {
        self.directory.write("die", step);
    }

    /// Sends datagrams, and waits until the process that serves has received all of them. It has received none before.
    fn send_datagrams(&self) {
        const DATAGRAMS: u64 = 100;
        let (udp, to) = (UdpSocket::bind("127.0.0.1:0").unwrap(), self.server.udp.expect("a port"));
        for number in 0..DATAGRAMS {
            let format = format!(r#"{{"http-stream":{{"content":"{number}"}}}}"#);
            let call = format!(r#"{{"items":[{{"channel":"c","formats":{format}}}]}}"#);
            udp.send_to(call.as_bytes(), to).unwrap();
        }
        self.server.await_stats(|stats| stats["datagrams_total"] == DATAGRAMS);
    }

    /// Waits until a new process serves, and returns its id.
    fn await_new_process(&mut self) -> u32 {
        let line = self.server.log().await_next("a new process serves");
        let (_, pid) = line.rsplit_once("pid=").expect("its id");
        let pid = pid.split_whitespace().next().and_then(|pid| pid.parse().ok()).expect("a number");
        self.new = Some(pid);
        pid
    }

    /// Runs `gripwire upgrade`: whether it was done, and what it said.
    fn upgrade(&self) -> (bool, String) {
        let mut command: Command = gripwire();
        let control = format!("http://{}", self.server.control);
        let output = command.args(["upgrade", "--spec", &control]).output().expect("a program");
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).into_owned())
    }
}

impl Drop for Town {
    fn drop(&mut self) {
        if let Some(pid) = self.new {
            // SAFETY: a bare system call, without memory of this process.
            unsafe { libc::kill(pid as i32, libc::SIGKILL) };
        }
    }
}

/// Connects again and again, makes a request, and expects an answer each time.
struct Visitor {
    visits: Arc<AtomicU64>,
    ends: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Visitor {
    fn to(address: SocketAddr) -> Visitor {
        let (visits, ends) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let (of_thread, until) = (visits.clone(), ends.clone());
        let thread = std::thread::spawn(move || {
            while !until.load(Ordering::Relaxed) {
                visit(address).unwrap_or_else(|error| panic!("visit {of_thread:?}: {error}"));
                of_thread.fetch_add(1, Ordering::Relaxed);
            }
        });
        Visitor { visits, ends, thread }
    }

    /// Waits until a visit that begins from now on has succeeded.
    fn await_visit(&self) {
        let before = self.visits.load(Ordering::Relaxed);
        await_some("a visit", || {
            assert!(!self.thread.is_finished(), "a visitor failed");
            (self.visits.load(Ordering::Relaxed) > before + 1).then_some(())
        });
    }

    fn end(self) {
        self.ends.store(true, Ordering::Relaxed);
        self.thread.join().expect("only visits that succeed");
    }
}

fn visit(address: SocketAddr) -> std::io::Result<()> {
    let mut client = TcpStream::connect(address)?;
    client.set_read_timeout(Some(Duration::from_secs(30)))?;
    client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    client.read_to_end(&mut answer)?;
    match answer.starts_with(b"HTTP/1.1 200") {
        true => Ok(()),
        false => Err(std::io::Error::other(String::from_utf8_lossy(&answer).into_owned())),
    }
}

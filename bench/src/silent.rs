//! Measures how long an innocent client waits while thousands of silent clients reach `head_timeout_ms` together. The server
//! is stopped by a signal while the silent clients' timeouts pass, so all of them are due at once when it continues. From
//! then until the last silent client is closed, an innocent client sends one request after the other. Silent clients are in
//! separate processes of 18,000 each, on the clients' CPU.

use crate::compare::median;
use crate::innocent::{Innocent, ms, slowest_ms};
use crate::process::{CLIENT_CPU, Helper, Process, beside_this_program, pin};
use crate::servers::{CONNECTIONS_PER_PROCESS, Directory, PATIENCE, free_address};
use anyhow::{Context, ensure};
use std::io::{BufRead, Read, Write};
use std::net::{SocketAddrV4, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

/// The settings of the measurement.
#[derive(clap::Args)]
pub struct Settings {
    /// Number of silent clients; the server has one core
    #[arg(long, default_value_t = 18_000)]
    clients: u32,
    /// Let silent clients send half of a head, so that they are answered with 408
    #[arg(long)]
    begun: bool,
    /// `head_timeout_ms` of the server; all clients must connect within it
    #[arg(long, default_value_t = 5_000)]
    head_timeout_ms: u64,
    /// Rounds, each with a new server; the slowest probe of all is printed
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// The server to measure, instead of the build beside this program
    #[arg(long)]
    server: Option<std::path::PathBuf>,
}

/// Lets silent clients time out, and prints the waiting times of innocent clients.
pub fn run(settings: &Settings) -> anyhow::Result<()> {
    pin(CLIENT_CPU)?;
    let rounds: Vec<Round> = (0..settings.rounds).map(|_| round(settings)).collect::<anyhow::Result<_>>()?;
    for (number, round) in rounds.iter().enumerate() {
        let Round { before, during, took } = round;
        println!(
            "round {}: {} silent clients closed in {:.0} ms; {} probes meanwhile, median {:.2} ms, slowest {:.1} ms; {} \
             before, slowest {:.1} ms",
            number + 1,
            settings.clients,
            ms(*took),
            during.len(),
            median(during.iter().map(|probe| ms(*probe))).unwrap_or_default(),
            slowest_ms(during),
            before.len(),
            slowest_ms(before)
        );
    }
    let slowest = rounds.iter().map(|round| slowest_ms(&round.during)).fold(0.0, f64::max);
    println!("slowest probe: {slowest:.1} ms");
    Ok(())
}

/// The probes while the silent clients wait, and while they are closed.
struct Round {
    before: Vec<Duration>,
    during: Vec<Duration>,
    took: Duration,
}

fn round(settings: &Settings) -> anyhow::Result<Round> {
    let server = Server::start(settings)?;
    let mut innocent = Innocent::connect(server.clients)?;
    // Otherwise the innocent client's own head could time out.
    innocent.probe()?;
    let first = Instant::now();
    let mut silent = Vec::new();
    for index in 0..settings.clients.div_ceil(CONNECTIONS_PER_PROCESS) {
        let count = (settings.clients - index * CONNECTIONS_PER_PROCESS).min(CONNECTIONS_PER_PROCESS);
        silent.push(Silent::connect(server.clients, count, settings.begun)?);
    }
    let last = Instant::now();
    let patience = Duration::from_millis(settings.head_timeout_ms);
    ensure!(
        last + MARGIN * 2 < first + patience,
        "the clients needed {:.1} s to connect: raise --head-timeout-ms",
        (last - first).as_secs_f64()
    );
    let mut before = Vec::new();
    while Instant::now() + MARGIN < first + patience {
        before.push(innocent.probe()?);
    }
    server.stop()?;
    std::thread::sleep(MARGIN + (last - first) + MARGIN);
    server.go_on()?;
    let begun = Instant::now();
    let mut during = Vec::new();
    let mut watched = begun;
    loop {
        during.push(innocent.probe()?);
        if watched.elapsed() >= WATCH {
            watched = Instant::now();
            // The innocent client and the one that reads the counter.
            if server.connections()? <= 2 {
                break;
            }
        }
        ensure!(begun.elapsed() < Duration::from_secs(60), "the silent clients are not closed");
    }
    let took = begun.elapsed();
    silent.iter_mut().try_for_each(Silent::see_the_end)?;
    Ok(Round { before, during, took })
}

/// A server of one core. Dropping it ends the server.
struct Server {
    clients: SocketAddrV4,
    control: SocketAddrV4,
    process: Process,
    _directory: Directory,
}

impl Server {
    fn start(settings: &Settings) -> anyhow::Result<Server> {
        let (clients, control) = (free_address()?, free_address()?);
        let directory = Directory::new("silent", clients.port())?;
        let config = directory.0.join("gripwire.toml");
        std::fs::write(&config, format!("[http]\nhead_timeout_ms = {}\n", settings.head_timeout_ms))?;
        let program = settings.server.clone().map_or_else(|| beside_this_program("gripwire"), Ok)?;
        let mut command = Command::new(program);
        command.arg("serve").arg("--config").arg(&config);
        command.args(["--route", "* test", "--cores", "1", "--udp", "false", "--log", "error"]);
        command.args(["--listen", &clients.to_string(), "--control", &control.to_string()]);
        let process = Process::start(&mut command)?;
        let deadline = Instant::now() + PATIENCE;
        while [clients, control].into_iter().any(|address| TcpStream::connect(address).is_err()) {
            ensure!(Instant::now() < deadline, "gripwire did not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(Server { clients, control, process, _directory: directory })
    }

    fn stop(&self) -> anyhow::Result<()> {
        self.process.signal(libc::SIGSTOP)
    }

    fn go_on(&self) -> anyhow::Result<()> {
        self.process.signal(libc::SIGCONT)
    }

    /// Number of the server's connections, the control port's included.
    fn connections(&self) -> anyhow::Result<u64> {
        let mut asker = TcpStream::connect(self.control)?;
        asker.write_all(b"GET /stats HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        asker.read_to_string(&mut answer)?;
        let body = answer.split_once("\r\n\r\n").context("no body")?.1;
        serde_json::from_str::<serde_json::Value>(body)?["connections"].as_u64().context("no such counter")
    }
}

/// A process of silent clients.
struct Silent(Helper);

impl Silent {
    /// Starts the process, and returns when all clients have connected.
    fn connect(address: SocketAddrV4, count: u32, begun: bool) -> anyhow::Result<Silent> {
        let (address, count, begun) = (address.to_string(), count.to_string(), begun.to_string());
        let arguments = ["silent-clients", "--address", &address, "--count", &count, "--begun", &begun];
        let mut helper = Helper::start(&arguments, CLIENT_CPU)?;
        helper.line()?;
        Ok(Silent(helper))
    }

    /// Returns when all clients have been closed.
    fn see_the_end(&mut self) -> anyhow::Result<()> {
        self.0.order("end").map(drop)
    }
}

/// Connects `count` clients to `address` and prints `connected`. After a line on standard input, waits until all clients are
/// closed and prints `closed`.
pub fn clients(address: SocketAddrV4, count: u32, begun: bool) -> anyhow::Result<()> {
    gripwire_loadgen::raise_descriptor_limit()?;
    let mut sockets = Vec::new();
    for _ in 0..count {
        let mut socket = TcpStream::connect(address)?;
        if begun {
            socket.write_all(b"GET / HTTP/1.1\r\nHost: ")?;
        }
        sockets.push(socket);
    }
    println!("connected");
    let Some(_) = std::io::stdin().lock().lines().next() else { return Ok(()) };
    for socket in &mut sockets {
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.read_to_end(&mut Vec::new()).context("a silent client was not closed")?;
    }
    println!("closed");
    Ok(())
}

/// Time between the last probe and the server's stop, and before and after the timeouts of clients.
const MARGIN: Duration = Duration::from_millis(300);
/// Time between two reads of the number of clients.
const WATCH: Duration = Duration::from_millis(50);

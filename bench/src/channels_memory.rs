//! Measures the memory that remains after channels are no longer used. Streams with many channels each are opened and closed
//! again. The server's memory is read before, while the streams are open, and after the server has given up their channels.

use crate::innocent::{Innocent, slowest_ms};
use crate::process::{CLIENT_CPU, Process, beside_this_program, pin};
use crate::servers::{Directory, PATIENCE, free_address};
use anyhow::ensure;
use gripwire_loadgen::ServerWatch;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{SocketAddrV4, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

/// The settings of the measurement.
#[derive(clap::Args)]
pub struct Settings {
    /// Channels, each with a subscriber
    #[arg(long, default_value_t = 1_000_000)]
    channels: usize,
    /// Channels of one stream
    #[arg(long, default_value_t = 1_000)]
    each: usize,
    /// Cores of the server
    #[arg(long, default_value_t = 1)]
    cores: usize,
    /// Seconds from the end of the streams until memory is read; the server keeps channels for ten
    #[arg(long, default_value_t = 13)]
    wait_s: u64,
    /// The server to measure, instead of the build beside this program
    #[arg(long)]
    server: Option<std::path::PathBuf>,
}

/// Opens and closes streams, and prints the memory.
pub fn run(settings: &Settings) -> anyhow::Result<()> {
    pin(CLIENT_CPU)?;
    let clients = free_address()?;
    let (_server, watch) = start(settings, clients)?;
    let mut innocent = Innocent::connect(clients)?;
    innocent.probe()?;
    drop(open(clients, 0, 1)?);
    let before = watch.cost().resident_bytes;
    let mut streams = Vec::new();
    for first in (0..settings.channels).step_by(settings.each.max(1)) {
        streams.push(open(clients, first, settings.each.min(settings.channels - first))?);
    }
    let peak = watch.cost().resident_bytes;
    drop(streams);
    let closed = Instant::now();
    let mut probes = Vec::new();
    while closed.elapsed() < Duration::from_secs(settings.wait_s) {
        probes.push(innocent.probe()?);
    }
    let after = watch.cost().resident_bytes;
    let mib = |bytes: u64| bytes as f64 / 1_048_576.0;
    println!(
        "{} channels: {:.0} MiB before, {:.0} MiB with them, {:.0} MiB {} s after their end; slowest of {} probes \
         meanwhile {:.1} ms",
        settings.channels,
        mib(before),
        mib(peak),
        mib(after),
        settings.wait_s,
        probes.len(),
        slowest_ms(&probes)
    );
    Ok(())
}

fn start(settings: &Settings, clients: SocketAddrV4) -> anyhow::Result<((Process, Directory), ServerWatch)> {
    let directory = Directory::new("channels", clients.port())?;
    let config = directory.0.join("gripwire.toml");
    std::fs::write(&config, format!("[limits]\nsubscriptions_per_connection = {}\n", settings.each))?;
    let program = settings.server.clone().map_or_else(|| beside_this_program("gripwire"), Ok)?;
    let mut command = Command::new(program);
    command.args(["serve", "--route", "* test", "--udp", "false", "--log", "error"]);
    command.args(["--control", &free_address()?.to_string()]);
    command.args(["--cores", &settings.cores.to_string(), "--listen", &clients.to_string()]);
    command.arg("--config").arg(&config);
    let process = Process::start(&mut command)?;
    let deadline = Instant::now() + PATIENCE;
    while TcpStream::connect(clients).is_err() {
        ensure!(Instant::now() < deadline, "gripwire did not start");
        std::thread::sleep(Duration::from_millis(20));
    }
    let watch = ServerWatch::new(&process.family())?;
    Ok(((process, directory), watch))
}

/// Opens a stream on `count` channels from number `first` on, and waits for its opening.
fn open(address: SocketAddrV4, first: usize, count: usize) -> anyhow::Result<TcpStream> {
    let mut socket = TcpStream::connect(address)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let mut head = String::from("GET /stream?");
    for number in first..first + count {
        write!(head, "channel=channel-{number}&")?;
    }
    head += " HTTP/1.1\r\nHost: bench\r\n\r\n";
    socket.write_all(head.as_bytes())?;
    let (mut answer, mut block) = (Vec::new(), [0; 4096]);
    while !answer.ends_with(b"[stream opened]\n\r\n") {
        let read = socket.read(&mut block)?;
        ensure!(read > 0, "a stream ended: {}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&block[..read]);
    }
    Ok(socket)
}

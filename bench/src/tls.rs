//! Measures the memory of a held stream, and the CPU time of each delivery, with TLS and in plaintext. Each round of each
//! kind starts a new server on the servers' CPU with the built-in demo. Clients are read one after the other, so latencies
//! are not measured. With `--against`, another build is measured in the same rounds.

use crate::compare::median;
use crate::process::{CLIENT_CPU, Process, beside_this_program, pin};
use crate::servers::{Directory, PATIENCE, free_address};
use anyhow::{Context, ensure};
use gripwire_loadgen::{ServerCost, ServerWatch};
use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::{Read, Write};
use std::net::{SocketAddrV4, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The settings of the measurement.
#[derive(clap::Args)]
pub struct Settings {
    /// Streams of each kind
    #[arg(long, default_value_t = 2_000)]
    streams: usize,
    /// Messages published to them
    #[arg(long, default_value_t = 20)]
    messages: usize,
    /// Bytes of a message
    #[arg(long, default_value_t = 100)]
    bytes: usize,
    /// Rounds; the medians are printed
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Another build of Gripwire, which is measured in turns with this one
    #[arg(long, value_name = "PROGRAM")]
    against: Option<PathBuf>,
}

/// Measures all builds with both kinds of streams in turns, and prints the medians.
pub fn run(settings: &Settings) -> anyhow::Result<()> {
    pin(CLIENT_CPU)?;
    let own = ("this build", beside_this_program("gripwire")?);
    let other = settings.against.as_ref().map(std::path::absolute).transpose()?;
    let builds: Vec<_> = [own].into_iter().chain(other.map(|program| ("the other build", program))).collect();
    let mut kinds: Vec<_> = builds
        .iter()
        .flat_map(|(build, program)| [false, true].map(|is_tls| (*build, program, is_tls, Vec::new())))
        .collect();
    for number in 0..settings.rounds {
        // Every second round begins with the other build.
        let first = number % builds.len() * 2;
        kinds.rotate_left(first);
        for (_, program, is_tls, rounds) in &mut kinds {
            rounds.push(round(settings, program, *is_tls)?);
        }
        kinds.rotate_right(first);
    }
    let Settings { streams, messages, bytes, rounds, .. } = settings;
    println!("{streams} streams, {messages} messages of {bytes} B, medians of {rounds} rounds");
    for (build, _, is_tls, rounds) in &kinds {
        let of = |what: fn(&Round) -> f64| median(rounds.iter().map(what)).unwrap_or_default();
        let (opening, held, delivery) =
            (of(|round| round.opening_us), of(|round| round.held_bytes), of(|round| round.delivery_us));
        let kind = if *is_tls { "by TLS" } else { "plain" };
        println!(
            "{build}, {kind}: {held:.0} B of user memory for each stream, {opening:.0} us of CPU to open it, {delivery:.1} us \
             for a delivery"
        );
    }
    Ok(())
}

/// The cost of a stream in one round.
struct Round {
    opening_us: f64,
    held_bytes: f64,
    delivery_us: f64,
}

fn round(settings: &Settings, program: &Path, is_tls: bool) -> anyhow::Result<Round> {
    let &Settings { streams, messages, bytes, .. } = settings;
    let server = Server::start(program)?;
    // A first client takes the memory that is allocated once for all clients.
    let mut clients = vec![server.open(is_tls)?];
    let before = server.cost();
    for _ in 0..streams {
        clients.push(server.open(is_tls)?);
    }
    server.settle()?;
    let held = server.cost();
    let content = format!("{}\n", "x".repeat(bytes.saturating_sub(1)));
    for _ in 0..messages {
        server.publish(&content)?;
        clients.iter_mut().try_for_each(|client| client.expect(&content))?;
    }
    let delivered = server.cost();
    let (each, deliveries) = (streams as f64, (messages * clients.len()) as f64);
    Ok(Round {
        opening_us: (held.cpu_ns - before.cpu_ns) as f64 / 1000.0 / each,
        held_bytes: held.data_bytes.saturating_sub(before.data_bytes) as f64 / each,
        delivery_us: (delivered.cpu_ns - held.cpu_ns) as f64 / 1000.0 / deliveries,
    })
}

/// A server. Dropping it ends the server.
struct Server {
    plain: SocketAddrV4,
    tls: SocketAddrV4,
    control: SocketAddrV4,
    config: Arc<ClientConfig>,
    watch: ServerWatch,
    _process: Process,
    _directory: Directory,
}

impl Server {
    fn start(program: &Path) -> anyhow::Result<Server> {
        let (plain, tls, control) = (free_address()?, free_address()?, free_address()?);
        let directory = Directory::new("tls", tls.port())?;
        let made = rcgen::generate_simple_self_signed(vec![HOST.to_owned()])?;
        std::fs::write(directory.0.join(format!("{HOST}.crt")), made.cert.pem())?;
        std::fs::write(directory.0.join(format!("{HOST}.key")), made.signing_key.serialize_pem())?;
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone())?;
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut command = Command::new(program);
        command.args(["serve", "--route", "* test", "--cores", "1", "--udp", "false", "--log", "error"]);
        command.args(["--listen", &plain.to_string(), "--control", &control.to_string()]);
        command.args(["--tls-listen", &tls.to_string()]).arg("--certificates").arg(&directory.0);
        command.current_dir(&directory.0);
        let process = Process::start(&mut command)?;
        let deadline = Instant::now() + PATIENCE;
        while [plain, tls, control].into_iter().any(|address| TcpStream::connect(address).is_err()) {
            ensure!(Instant::now() < deadline, "gripwire did not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        let watch = ServerWatch::new(&process.family())?;
        let config = Arc::new(config);
        Ok(Server { plain, tls, control, config, watch, _process: process, _directory: directory })
    }

    fn cost(&self) -> ServerCost {
        self.watch.cost()
    }

    /// Waits until the server is idle.
    fn settle(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let before = self.cost().cpu_ns;
            std::thread::sleep(Duration::from_millis(200));
            if self.cost().cpu_ns - before < 2_000_000 {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "gripwire does not become idle");
        }
    }

    /// Opens a stream and waits for its opening.
    fn open(&self, is_tls: bool) -> anyhow::Result<Stream> {
        let socket = TcpStream::connect(if is_tls { self.tls } else { self.plain })?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let mut stream = match is_tls {
            false => Stream::Plain(socket),
            true => {
                let client = ClientConnection::new(self.config.clone(), ServerName::try_from(HOST)?)?;
                Stream::Tls(Box::new(StreamOwned::new(client, socket)))
            }
        };
        stream.write_all(
            format!("GET /stream?channel={CHANNEL} HTTP/1.1\r\nHost: {HOST}\r\n\r\n").as_bytes(),
        )?;
        stream.expect("[stream opened]\n")?;
        Ok(stream)
    }

    fn publish(&self, content: &str) -> anyhow::Result<()> {
        let items = serde_json::json!({"items": [{"channel": CHANNEL, "formats": {
            "http-stream": {"content": content}}}]})
        .to_string();
        let mut socket = TcpStream::connect(self.control)?;
        let head = format!(
            "POST /publish/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}",
            items.len()
        );
        socket.write_all(format!("{head}\r\n\r\n{items}").as_bytes())?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer)?;
        ensure!(answer.starts_with("HTTP/1.1 200 "), "publishing was answered {answer}");
        Ok(())
    }
}

/// A client's end of a stream.
enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Stream {
    /// Reads until a chunk with `text` has arrived.
    fn expect(&mut self, text: &str) -> anyhow::Result<()> {
        let (mut seen, mut block) = (Vec::new(), [0; 4096]);
        while !seen.ends_with(format!("{text}\r\n").as_bytes()) {
            let count = self.read(&mut block)?;
            ensure!(count > 0, "the stream ended");
            seen.extend_from_slice(block.get(..count).context("a count beyond the block")?);
        }
        Ok(())
    }

    fn read(&mut self, block: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Stream::Plain(socket) => socket.read(block),
            Stream::Tls(stream) => stream.read(block),
        }
    }

    fn write_all(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Stream::Plain(socket) => socket.write_all(bytes),
            Stream::Tls(stream) => stream.write_all(bytes),
        }
    }
}

const HOST: &str = "bench.test";
const CHANNEL: &str = "bench";

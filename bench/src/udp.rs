//! Measures the CPU time of a small publish by UDP. One sender at full speed on the clients' CPU sends to Gripwire and to
//! bare loops of recvmmsg(2) on the servers' CPU, in turn. Datagrams may be lost, but every datagram must be counted as
//! handled or as dropped.

use crate::compare::median;
use crate::process::{CLIENT_CPU, Helper, SERVER_CPU, thread_cpu_ns};
use crate::servers::{Running, Server};
use anyhow::{Context, bail, ensure};
use gripwire::ingest::GATHER_US;
use gripwire::proto::grip::{compact, publish};
use gripwire::wire::Datagram;
use gripwire_loadgen::{Fleet, FleetPlan, ServerWatch, Transport};
use std::io::{BufRead, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

/// Datagrams of one sendmmsg(2) or recvmmsg(2).
const BATCH: usize = 64;
/// The channel of a fleet's first subscriber.
const CHANNEL: &str = "bench0";
const PREFIX: &str = "bench";
/// Size of each buffer of the bare loop, bytes.
const BUFFER_BYTES: usize = 2048;

/// The settings of the measurement.
#[derive(clap::Args)]
pub struct Settings {
    /// Datagrams in each round
    #[arg(long, default_value_t = 500_000)]
    datagrams: usize,
    /// Rounds; the medians are printed
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Bytes of a message's content
    #[arg(long, default_value_t = 64)]
    bytes: usize,
    /// The form of datagrams
    #[arg(long, value_enum, default_value = "compact")]
    form: Form,
    /// Subscribe a stream to the channel
    #[arg(long)]
    subscribed: bool,
}

/// The form of the datagrams.
#[derive(Clone, Copy, clap::ValueEnum)]
pub enum Form {
    /// The compact form
    Compact,
    /// The JSON of a publish call
    Json,
}

/// Sends datagrams to each receiver in each round, and prints the medians.
pub fn run(settings: &Settings) -> anyhow::Result<()> {
    let &Settings { datagrams, rounds, bytes, form, subscribed } = settings;
    let call = serde_json::json!({"items": [{"channel": CHANNEL, "formats": {
        "http-stream": {"content": "x".repeat(bytes)}}}]});
    let json = call.to_string().into_bytes();
    let datagram = match form {
        Form::Json => json,
        Form::Compact => compact::encode(&publish::parse(&json)?),
    };
    let mut floors = [Floor::start("0")?, Floor::start(&GATHER_US.to_string())?];
    crate::process::pin(CLIENT_CPU)?;
    let gripwire = Gripwire::start()?;
    let _subscriber = if subscribed { Some(gripwire.subscribe()?) } else { None };
    println!("reading one such datagram: {:.0} ns", reading_ns(&datagram)?);
    let mut sender = Sender::new(&datagram)?;
    let (mut runs, mut lost, unseen) = (Vec::new(), 0, softnet_drops()?);
    // The first round warms up caches and is not counted.
    for round in 0..=rounds {
        let bare = floors[0].run(&mut sender, datagrams)?;
        let gathering = floors[1].run(&mut sender, datagrams)?;
        let (ours, lost_now) = gripwire.take(&mut sender, datagrams)?;
        if round > 0 {
            runs.push([bare, gathering, ours]);
            lost += lost_now;
        }
    }
    let of = |which: usize, what: fn(&Run) -> f64| {
        median(runs.iter().map(|runs| what(&runs[which]))).unwrap_or_default()
    };
    println!("{datagrams} datagrams of {} B, medians of {rounds} rounds", datagram.len());
    let names = ["recvmmsg(2) loop", "recvmmsg(2) loop with a pause of 200 us", "gripwire"];
    for (which, name) in names.into_iter().enumerate() {
        let (cpu, rate) = (of(which, |run| run.cpu_ns), of(which, |run| run.rate));
        println!("{name}: {cpu:.0} ns of CPU per datagram, from a sender at {rate:.0} per second");
    }
    for (which, name) in [(0, "the loop"), (1, "the loop that reads as seldom")] {
        let ratios = runs.iter().map(|runs| runs[2].cpu_ns / runs[which].cpu_ns);
        println!("ratio to {name}: {:.3}", median(ratios).unwrap_or_default());
    }
    println!("sent to gripwire: {}; lost and counted: {lost}", datagrams * rounds);
    println!("lost by the machine before any socket: {}", softnet_drops()? - unseen);
    Ok(())
}

/// One round of one receiver.
#[derive(Clone, Copy)]
struct Run {
    /// CPU time of the receiver per received datagram.
    cpu_ns: f64,
    /// Datagrams sent per second.
    rate: f64,
}

/// A running bare loop.
struct Floor {
    process: Helper,
    address: SocketAddr,
}

impl Floor {
    fn start(gather_us: &str) -> anyhow::Result<Floor> {
        let mut process = Helper::start(&["udp-floor", "--gather-us", gather_us], SERVER_CPU)?;
        let address = process.line()?.parse()?;
        Ok(Floor { process, address })
    }

    fn run(&mut self, sender: &mut Sender, datagrams: usize) -> anyhow::Result<Run> {
        let unseen = softnet_drops()?;
        let rate = sender.send(self.address, datagrams)?;
        let answer = self.process.order("tell")?;
        let numbers = answer.split(' ').map(str::parse::<u64>).collect::<Result<Vec<_>, _>>()?;
        let [received, dropped, cpu_ns] = numbers[..] else { bail!("the loop said {answer}") };
        check(received + dropped, datagrams, unseen)?;
        Ok(Run { cpu_ns: cpu_ns as f64 / received as f64, rate })
    }
}

/// Checks that `counted` and the machine's drops since `unseen` account for all of `datagrams`.
fn check(counted: u64, datagrams: usize, unseen: u64) -> anyhow::Result<()> {
    let missing = (datagrams as u64).checked_sub(counted).context("more was counted than sent")?;
    ensure!(missing <= softnet_drops()? - unseen, "{missing} datagrams are missing from the count");
    Ok(())
}

/// Time to make publications of a datagram and to drop them, ns.
fn reading_ns(datagram: &[u8]) -> anyhow::Result<f64> {
    const TIMES: u32 = 1_000_000;
    let datagram = Datagram { bytes: datagram, is_whole: true, sender: None };
    let mut items = Vec::new();
    let before = thread_cpu_ns();
    for _ in 0..TIMES {
        gripwire::ingest::read(std::hint::black_box(&datagram), &mut items)?;
        std::hint::black_box(&mut items).clear();
    }
    Ok((thread_cpu_ns() - before) as f64 / f64::from(TIMES))
}

/// One sender at full speed.
struct Sender {
    socket: UdpSocket,
    datagram: Vec<u8>,
}

impl Sender {
    fn new(datagram: &[u8]) -> anyhow::Result<Sender> {
        Ok(Sender { socket: UdpSocket::bind("127.0.0.1:0")?, datagram: datagram.to_vec() })
    }

    /// Sends `datagrams` to `address`. Returns the datagrams sent per second.
    fn send(&mut self, address: SocketAddr, datagrams: usize) -> anyhow::Result<f64> {
        self.socket.connect(address)?;
        let mut vector =
            libc::iovec { iov_base: self.datagram.as_mut_ptr().cast(), iov_len: self.datagram.len() };
        // SAFETY: all zeroes is a header that points to nothing.
        let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
        (header.msg_hdr.msg_iov, header.msg_hdr.msg_iovlen) = (&raw mut vector, 1);
        let mut headers = vec![header; BATCH];
        let (mut sent, started) = (0, Instant::now());
        while sent < datagrams {
            let batch = BATCH.min(datagrams - sent);
            // SAFETY: all headers point to the one vector, and that to the datagram; both outlive the call.
            let done =
                unsafe { libc::sendmmsg(self.socket.as_raw_fd(), headers.as_mut_ptr(), batch as _, 0) };
            ensure!(done > 0, "sending failed: {}", std::io::Error::last_os_error());
            sent += done as usize;
        }
        Ok(sent as f64 / started.elapsed().as_secs_f64())
    }
}

/// The bare loop: receives datagrams and discards them. For each line on standard input, it prints the numbers of received
/// datagrams and of datagrams dropped by the kernel, and its CPU time in nanoseconds, all since the last line. It can sleep
/// `gather_us` after each read that returned a partial batch, as Gripwire does.
pub fn floor(gather_us: u64) -> anyhow::Result<()> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None)?;
    socket.set_recv_buffer_size(4 * 1024 * 1024)?;
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())?;
    println!("{}", socket.local_addr()?.as_socket().context("no address")?);
    let waker = UdpSocket::bind("127.0.0.1:0")?;
    let address = socket.local_addr()?.as_socket().context("no address")?;
    let (asked, orders) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for _ in std::io::stdin().lock().lines() {
            // An empty datagram wakes the loop. It arrives after all earlier datagrams.
            if asked.send(()).is_err() || waker.send_to(&[], address).is_err() {
                return;
            }
        }
    });
    let mut memory = vec![0u8; BATCH * BUFFER_BYTES];
    let mut vectors: Vec<libc::iovec> = memory
        .chunks_exact_mut(BUFFER_BYTES)
        .map(|buffer| libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: BUFFER_BYTES })
        .collect();
    let mut headers: Vec<libc::mmsghdr> = vectors
        .iter_mut()
        .map(|vector| {
            // SAFETY: all zeroes is a header that points to nothing.
            let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
            (header.msg_hdr.msg_iov, header.msg_hdr.msg_iovlen) = (vector, 1);
            header
        })
        .collect();
    let (mut received, mut drops_told, mut cpu_told) = (0, 0, thread_cpu_ns());
    loop {
        let (place, flags) = (headers.as_mut_ptr(), libc::MSG_WAITFORONE as _);
        // SAFETY: the headers point to vectors and those to buffers, all of which outlive the call.
        let come =
            unsafe { libc::recvmmsg(socket.as_raw_fd(), place, BATCH as _, flags, std::ptr::null_mut()) };
        ensure!(come >= 0, "receiving failed: {}", std::io::Error::last_os_error());
        received += headers[..come as usize].iter().filter(|header| header.msg_len > 0).count() as u64;
        if headers[..come as usize].iter().any(|header| header.msg_len == 0) && orders.try_recv().is_ok() {
            let (drops, cpu) = (drops(&socket), thread_cpu_ns());
            println!("{received} {} {}", drops - drops_told, cpu - cpu_told);
            (received, drops_told, cpu_told) = (0, drops, thread_cpu_ns());
        }
        if gather_us > 0 && (4..BATCH as i32).contains(&come) {
            std::thread::sleep(Duration::from_micros(gather_us));
        }
    }
}

fn drops(socket: &socket2::Socket) -> u64 {
    let mut memory = [0u32; 9];
    let mut length = size_of_val(&memory) as libc::socklen_t;
    // SAFETY: place and length are valid for the answer.
    unsafe {
        let place = memory.as_mut_ptr().cast();
        libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_MEMINFO, place, &raw mut length);
    }
    memory[8].into()
}

/// Packets that this machine has dropped before they reached a socket. No socket counts them.
fn softnet_drops() -> anyhow::Result<u64> {
    let text = std::fs::read_to_string("/proc/net/softnet_stat")?;
    let columns = text.lines().filter_map(|line| line.split_whitespace().nth(1));
    Ok(columns.filter_map(|drops| u64::from_str_radix(drops, 16).ok()).sum())
}

/// The counters of datagrams.
#[derive(Clone, Copy, Debug)]
pub struct Datagrams {
    published: u64,
    lost: u64,
}

impl Datagrams {
    fn all(&self) -> u64 {
        self.published + self.lost
    }
}

/// Gripwire with one core.
struct Gripwire {
    running: Running,
    watch: ServerWatch,
    udp: SocketAddr,
}

impl Gripwire {
    fn start() -> anyhow::Result<Gripwire> {
        let running = Server::Gripwire.start(1)?;
        let watch = ServerWatch::new(&running.family())?;
        let udp = running.udp.context("no address for datagrams")?.into();
        Ok(Gripwire { running, watch, udp })
    }

    /// Subscribes a stream to the channel. Dropping the fleet ends the stream.
    fn subscribe(&self) -> anyhow::Result<Fleet> {
        let target = self.running.target.clone();
        let mut plan = FleetPlan::new(target, Transport::Stream, 1, self.running.clients);
        (plan.prefix, plan.drain) = (PREFIX.into(), true);
        Ok(Fleet::open(&plan)?.0)
    }

    /// The server's `/stats`.
    fn stats(&self) -> anyhow::Result<serde_json::Value> {
        let mut asker = TcpStream::connect(self.running.publish)?;
        asker.write_all(b"GET /stats HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        asker.read_to_string(&mut answer)?;
        Ok(serde_json::from_str(answer.split_once("\r\n\r\n").context("no body")?.1)?)
    }

    fn datagrams(&self) -> anyhow::Result<Datagrams> {
        let stats = self.stats()?;
        let of = |name: &str| stats[name].as_u64().context("no such counter");
        let lost = ["bad_datagrams_total", "dropped_datagrams_total", "kernel_dropped_datagrams_total"];
        let lost = lost.into_iter().map(of).sum::<anyhow::Result<u64>>()?;
        Ok(Datagrams { published: of("datagrams_total")?, lost })
    }

    /// Sends datagrams and waits until all are counted. Returns the run, and the number of lost datagrams.
    fn take(&self, sender: &mut Sender, datagrams: usize) -> anyhow::Result<(Run, u64)> {
        let unseen = softnet_drops()?;
        let (before, cpu_before) = (self.datagrams()?, self.watch.cost().cpu_ns);
        let rate = sender.send(self.udp, datagrams)?;
        let (after, cpu_after) = self.await_datagrams(before.all() + datagrams as u64, unseen)?;
        check(after.all() - before.all(), datagrams, unseen)?;
        let handled = after.published - before.published;
        let cpu_ns = (cpu_after - cpu_before) as f64 / handled as f64;
        Ok((Run { cpu_ns, rate }, datagrams as u64 - handled))
    }

    /// Waits until all datagrams are counted, except those that were dropped before a socket. Returns the CPU time then.
    fn await_datagrams(&self, all: u64, unseen: u64) -> anyhow::Result<(Datagrams, u64)> {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let cpu_ns = self.watch.cost().cpu_ns;
            let datagrams = self.datagrams()?;
            if datagrams.all() + (softnet_drops()? - unseen) >= all {
                return Ok((datagrams, cpu_ns));
            }
            ensure!(Instant::now() < deadline, "of {all} datagrams only {datagrams:?} are counted");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

//! The client program: opens connections, subscribes each with one request if it is told to, and then throws away
//! what arrives without copying it (MSG_TRUNC), counting bytes. It obeys lines on standard input: `wait BYTES` is
//! answered with `done` when that many bytes have come since the connections were open.

use crate::transport::Transport;
use anyhow::{Context, bail, ensure};
use std::io::{BufRead, Write};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What the client program is told.
#[derive(clap::Args)]
pub struct Settings {
    /// Where to connect to
    #[arg(long)]
    address: SocketAddr,
    /// How many connections
    #[arg(long)]
    connections: usize,
    /// Connections being opened at a time
    #[arg(long, default_value_t = 256)]
    window: usize,
    /// How to subscribe; nothing is asked without it
    #[arg(long, value_enum, requires = "channel")]
    transport: Option<Transport>,
    /// What to subscribe to
    #[arg(long)]
    channel: Option<String>,
    /// CPU to run on
    #[arg(long)]
    cpu: usize,
}

/// Addresses that connections come from.
const SOURCES: usize = 64;
/// The longest an opening may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Opens the connections, says `open SECONDS`, and obeys.
pub fn run(settings: &Settings) -> anyhow::Result<()> {
    crate::process::pin(settings.cpu)?;
    let mut client = Client::new()?;
    let started = Instant::now();
    client.open(settings)?;
    println!("open {}", started.elapsed().as_secs_f64());
    let drained: &'static AtomicU64 = Box::leak(Box::default());
    std::thread::spawn(move || client.drain(drained));
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let target: u64 = line.strip_prefix("wait ").context("an unknown order")?.parse()?;
        let since = Instant::now();
        while drained.load(Ordering::Relaxed) < target {
            ensure!(
                since.elapsed() < PATIENCE,
                "only {} of {target} bytes came",
                drained.load(Ordering::Relaxed)
            );
            std::thread::sleep(Duration::from_micros(500));
        }
        println!("done");
        std::io::stdout().flush()?;
    }
    Ok(())
}

/// Lets the kernel choose the port when it knows where the connection goes, of which there may be more than ports.
fn choose_port_late(socket: &socket2::Socket) -> anyhow::Result<()> {
    let (on, size) = (1i32, size_of::<i32>() as libc::socklen_t);
    // SAFETY: the option is read from `on`, which has the size given and outlives the call.
    let set = unsafe {
        let option = libc::IP_BIND_ADDRESS_NO_PORT;
        libc::setsockopt(socket.as_raw_fd(), libc::IPPROTO_IP, option, (&raw const on).cast(), size)
    };
    ensure!(set == 0, "IP_BIND_ADDRESS_NO_PORT: {}", std::io::Error::last_os_error());
    Ok(())
}

/// What each connection asks, and what ends the answer.
struct Subscription {
    request: String,
    opened: &'static [u8],
}

struct Client {
    epoll: OwnedFd,
    sockets: Vec<socket2::Socket>,
    answers: Vec<Vec<u8>>,
}

impl Client {
    fn new() -> anyhow::Result<Client> {
        // SAFETY: no pointers; the result is checked before it is owned.
        let epoll = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        ensure!(epoll >= 0, "epoll: {}", std::io::Error::last_os_error());
        // SAFETY: a fresh descriptor.
        let epoll = unsafe { std::os::fd::FromRawFd::from_raw_fd(epoll) };
        Ok(Client { epoll, sockets: Vec::new(), answers: Vec::new() })
    }

    /// Keeps `window` openings in progress until all connections are open.
    fn open(&mut self, settings: &Settings) -> anyhow::Result<()> {
        let channel = settings.channel.as_deref().unwrap_or_default();
        let subscription =
            settings.transport.map(|it| Subscription { request: it.request(channel), opened: it.opened() });
        let (mut open, deadline) = (0, Instant::now() + PATIENCE);
        while open < settings.connections {
            ensure!(Instant::now() < deadline, "only {open} of {} connections opened", settings.connections);
            while self.sockets.len() < settings.connections && self.sockets.len() - open < settings.window {
                self.start(settings.address)?;
            }
            let events = self.wait(100)?;
            for index in events {
                open += usize::from(self.advance(index, subscription.as_ref())?);
            }
        }
        Ok(())
    }

    fn start(&mut self, address: SocketAddr) -> anyhow::Result<()> {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        // From many addresses: with all from one, the kernel's search for a free port would be what is measured.
        let host = 2 + self.sockets.len() % SOURCES;
        choose_port_late(&socket)?;
        socket.bind(&SocketAddr::from(([127, 0, 1, host as u8], 0)).into())?;
        match socket.connect(&address.into()) {
            Ok(()) => {}
            Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
            Err(error) => bail!("connect: {error}"),
        }
        let interest = libc::EPOLLIN | libc::EPOLLOUT;
        self.watch(libc::EPOLL_CTL_ADD, &socket, self.sockets.len(), interest)?;
        self.sockets.push(socket);
        self.answers.push(Vec::new());
        Ok(())
    }

    /// Goes on with opening one connection; whether it is open now.
    fn advance(&mut self, index: usize, subscription: Option<&Subscription>) -> anyhow::Result<bool> {
        let socket = &self.sockets[index];
        if self.answers[index].is_empty() {
            if let Some(error) = socket.take_error()? {
                bail!("connect: {error}");
            }
            self.answers[index].push(0);
            self.watch(libc::EPOLL_CTL_MOD, &self.sockets[index], index, libc::EPOLLIN)?;
            match subscription {
                Some(subscription) => (&self.sockets[index]).write_all(subscription.request.as_bytes())?,
                None => return Ok(true),
            }
            return Ok(false);
        }
        let mut part = [0u8; 2048];
        match std::io::Read::read(&mut (&self.sockets[index]), &mut part) {
            Ok(0) => {
                bail!("the server closed a connection: {}", String::from_utf8_lossy(&self.answers[index]))
            }
            Ok(length) => self.answers[index].extend_from_slice(&part[..length]),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => bail!("read: {error}"),
        }
        if !subscription.is_some_and(|it| self.answers[index].ends_with(it.opened)) {
            return Ok(false);
        }
        self.answers[index] = Vec::new();
        Ok(true)
    }

    /// Throws away everything that arrives, for ever.
    fn drain(&mut self, drained: &AtomicU64) {
        self.answers = Vec::new();
        loop {
            let Ok(ready) = self.wait(1000) else { return };
            let mut bytes = 0;
            for index in ready {
                // SAFETY: MSG_TRUNC on TCP discards and writes nothing to the (null) buffer.
                let length = unsafe {
                    let socket = self.sockets[index].as_raw_fd();
                    libc::recv(socket, std::ptr::null_mut(), 1 << 20, libc::MSG_TRUNC | libc::MSG_DONTWAIT)
                };
                bytes += length.max(0) as u64;
            }
            drained.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    fn watch(
        &self,
        operation: i32,
        socket: &socket2::Socket,
        index: usize,
        interest: i32,
    ) -> anyhow::Result<()> {
        let mut event = libc::epoll_event { events: interest as u32, u64: index as u64 };
        // SAFETY: `event` is valid for the call.
        let done =
            unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), operation, socket.as_raw_fd(), &mut event) };
        ensure!(done == 0, "epoll_ctl: {}", std::io::Error::last_os_error());
        Ok(())
    }

    fn wait(&self, timeout_ms: i32) -> anyhow::Result<Vec<usize>> {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; 512];
        // SAFETY: `events` has room for as many as are asked for.
        let ready = unsafe { libc::epoll_wait(self.epoll.as_raw_fd(), events.as_mut_ptr(), 512, timeout_ms) };
        Ok(events.iter().take(ready.max(0) as usize).map(|event| event.u64 as usize).collect())
    }
}

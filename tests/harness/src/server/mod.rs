//! A server of its own for a test: [`Launch`] says how it is started, [`Server`] is one that runs.
//!
//! [`usage`] looks at its memory, CPU and files, [`stats`] at what it counts, [`publish`] posts to its control port.

mod launch;
mod publish;
mod stats;
mod usage;

pub use launch::{Launch, gripwire};
pub use stats::Stats;

use crate::client::{Client, Response};
use crate::deadline::await_some;
use crate::directory::Directory;
use crate::log::Log;
use crate::port::Port;
use crate::process::Process;
use crate::request::Request;
use crate::socket;
use crate::websocket::Socket;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

/// A running server, which ends when this is dropped.
pub struct Server {
    process: Process,
    directory: Directory,
    cores: usize,
    token: String,
    words: Vec<(&'static str, String)>,
    /// Where clients connect.
    pub clients: SocketAddr,
    /// Where clients connect by TLS, if [`Launch::tls`] was asked for.
    pub tls: Option<SocketAddr>,
    /// Where publishers post.
    pub control: SocketAddr,
    /// Where datagrams go, if [`Launch::udp`] was asked for.
    pub udp: Option<SocketAddr>,
    /// Held until the server has ended: fields are dropped in their order.
    _ports: Vec<Port>,
}

impl Server {
    /// Starts on two cores with `route` and `settings`: lines of TOML that begin within `[proxy]`, and may have further
    /// sections.
    pub fn start(route: &str, settings: &str) -> Server {
        Launch::route(route).settings(settings).start()
    }

    /// The path of a file beside the server's configuration, where it finds its relative paths.
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.file(name)
    }

    /// Writes a file beside the configuration, or the configuration itself, with words for ports as in
    /// [`Launch::file`].
    pub fn rewrite(&self, name: &str, text: &str) {
        self.directory.write(name, &launch::filled_in(text, &self.words));
    }

    /// What it has written so far.
    pub fn log(&self) -> &Log {
        &self.process.log
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// On how many cores it runs.
    pub fn cores(&self) -> usize {
        self.cores
    }

    /// Sends a signal.
    pub fn signal(&self, signal: i32) {
        self.process.signal(signal);
    }

    /// Stops the process; returns when none of its threads runs.
    pub fn stop(&self) {
        self.process.stop();
    }

    /// Lets it go on.
    pub fn go_on(&self) {
        self.signal(libc::SIGCONT);
    }

    /// Sends a signal and waits for the end.
    pub fn end_by(&mut self, signal: i32) -> ExitStatus {
        self.signal(signal);
        self.process.await_end()
    }

    /// How it has ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.process.ended()
    }

    /// Waits for its end.
    pub fn await_end(&mut self) -> ExitStatus {
        self.process.await_end()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.process.ended().is_none()
    }

    /// A connection to the client port.
    pub fn connect(&self) -> TcpStream {
        socket::connect(self.clients)
    }

    /// A client that reads HTTP strictly, on a connection of its own.
    pub fn client(&self) -> Client {
        Client::over(self.connect())
    }

    /// The answer to `request`, on a connection of its own.
    pub fn fetch(&self, request: &Request) -> Response {
        self.client().send(request.bytes()).response()
    }

    /// A WebSocket to `path` of `host`.
    pub fn websocket(&self, host: &str, path: &str) -> Socket {
        Socket::over(self.connect(), host, path, &[])
    }

    /// Sends `request` on a connection of its own and gives all that comes until it is closed.
    pub fn ask(&self, request: &[u8]) -> String {
        let mut client = self.connect();
        // A server that has already refused the request may have closed.
        let _ = client.write_all(request);
        let mut answer = Vec::new();
        // A reset after the answer is an end like any other.
        let _ = client.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Waits until the ports are open and all cores run.
    fn await_start(&mut self) -> Result<(), String> {
        let ports = [Some(self.clients), self.tls, Some(self.control)];
        for address in ports.into_iter().flatten() {
            await_listening(&mut self.process, address)?;
        }
        // Ports are open before all cores run. Each connection goes to one of them by chance: none is left out by so
        // many, and what a core takes for good when it starts is not mistaken for growth.
        (0..16 * self.cores).for_each(|_| drop(self.ask_control(stats::REQUEST)));
        Ok(())
    }
}

/// Waits until `process` listens on `address`; says why if it does not.
pub fn await_listening(process: &mut Process, address: SocketAddr) -> Result<(), String> {
    await_connection(process, &address.to_string(), || TcpStream::connect(address).is_ok())
}

/// The same for the Unix socket `path`.
pub fn await_listening_at(process: &mut Process, path: &Path) -> Result<(), String> {
    await_connection(process, &path.display().to_string(), || UnixStream::connect(path).is_ok())
}

fn await_connection(process: &mut Process, name: &str, is_accepted: impl Fn() -> bool) -> Result<(), String> {
    let outcome = await_some(&format!("the server listens on {name}"), || match process.ended() {
        Some(status) => Some(Err(status)),
        None => is_accepted().then_some(Ok(())),
    });
    outcome.map_err(|status| {
        process.log.await_end();
        format!("it ended ({status}) before it listened:\n{}", process.log.tail())
    })
}

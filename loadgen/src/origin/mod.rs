//! A GRIP application for servers that need one. It answers the paths of Gripwire's `--demo`.
//!
//! The origin must never be the bottleneck, so each thread runs an epoll loop that answers all requests of one read with one
//! write; an executor and a framework would cost more than the answers. `answer.rs` is the application, `connection.rs` finds
//! requests in the input, and the loop is here.

mod answer;
mod connection;

use crate::sys::{Epoll, Interest};
use connection::Connection;
use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsFd;
use std::thread::{self, JoinHandle};

/// A running origin. Dropping it ends the origin.
pub struct Origin {
    address: SocketAddr,
    /// Closing this descriptor ends the threads.
    running: Option<io::PipeWriter>,
    threads: Vec<JoinHandle<io::Result<()>>>,
}

impl Origin {
    /// Serves on `address` with `threads` threads.
    ///
    /// # Errors
    ///
    /// If the address cannot be bound.
    pub fn start(address: SocketAddr, threads: usize) -> io::Result<Origin> {
        let (ended, running) = io::pipe()?;
        let first = listen(address)?;
        let address = first.local_addr()?;
        let mut listeners = vec![first];
        for _ in 1..threads.max(1) {
            listeners.push(listen(address)?);
        }
        let serve = |listener: TcpListener| {
            let ended = ended.try_clone()?;
            let server = Server::new(listener, ended)?;
            thread::Builder::new().name("origin".into()).spawn(move || server.serve())
        };
        let threads = listeners.into_iter().map(serve).collect::<io::Result<_>>()?;
        Ok(Origin { address, running: Some(running), threads })
    }

    /// The address on which the origin listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.running = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

struct Server {
    listener: TcpListener,
    ended: io::PipeReader,
    epoll: Epoll,
    connections: HashMap<u64, Connection>,
    next: u64,
}

impl Server {
    fn new(listener: TcpListener, ended: io::PipeReader) -> io::Result<Server> {
        let epoll = Epoll::new()?;
        epoll.add(listener.as_fd(), LISTENER, Interest::Read)?;
        epoll.add(ended.as_fd(), ENDED, Interest::Read)?;
        Ok(Server { listener, ended, epoll, connections: HashMap::new(), next: FIRST })
    }

    fn serve(mut self) -> io::Result<()> {
        let (mut events, mut input) = (Vec::new(), vec![0; READ_BYTES]);
        loop {
            self.epoll.wait(None, &mut events)?;
            for event in events.drain(..) {
                match event.token {
                    ENDED => return Ok(()),
                    LISTENER => self.accept(),
                    token => self.advance(token, &mut input),
                }
            }
            debug_assert!(
                self.ended.as_fd().try_clone_to_owned().is_ok(),
                "the order to end is still listened to"
            );
        }
    }

    /// Accepts waiting clients. Without free descriptors, clients wait until there are some.
    fn accept(&mut self) {
        while let Ok((stream, _)) = self.listener.accept() {
            let ready = stream.set_nonblocking(true).and_then(|()| stream.set_nodelay(true));
            let token = self.next;
            if ready.and_then(|()| self.epoll.add(stream.as_fd(), token, Interest::Read)).is_ok() {
                self.connections.insert(token, Connection::new(stream));
                self.next += 1;
            }
        }
    }

    fn advance(&mut self, token: u64, input: &mut [u8]) {
        let Some(connection) = self.connections.get_mut(&token) else { return };
        let was_behind = connection.is_behind();
        match connection.advance(input) {
            Err(_) => drop(self.connections.remove(&token)),
            Ok(()) if connection.is_behind() != was_behind => {
                let interest = if was_behind { Interest::Read } else { Interest::ReadWrite };
                if self.epoll.modify(connection.descriptor(), token, interest).is_err() {
                    self.connections.remove(&token);
                }
            }
            Ok(()) => {}
        }
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(4096)?;
    Ok(socket.into())
}

const LISTENER: u64 = 0;
const ENDED: u64 = 1;
/// The token of the first connection.
const FIRST: u64 = 2;
const READ_BYTES: usize = 64 << 10;

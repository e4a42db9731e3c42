//! Applications behind a server under test.
//!
//! An [`Origin`] listens as long as it exists. Its connections are handled by threads of their own, all at once: by one
//! answer for everybody, by a closure that makes answers, by one that has the socket, or by one that sees nothing but
//! the connection. [`Origin::refusing`] and [`Origin::deaf`] are applications that are down.

mod answer;
mod receive;

pub use answer::{Answer, Then, control_event, text_event};
pub use receive::Received;

use crate::socket::patient;
use crate::source::Source;
use crate::{tls, tunnel};
use receive::receive;
use rustls::ServerConfig;
use socket2::{Domain, Socket, Type};
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// An application. Dropped, it accepts nobody any more; those who are connected stay.
pub struct Origin {
    address: SocketAddr,
    has_ended: Arc<AtomicBool>,
    /// What makes a dead one what it is.
    _held: Vec<Socket>,
}

impl Origin {
    /// Every request gets the same answer.
    pub fn answering(answer: Answer) -> Origin {
        Origin::http(move |_| answer.clone())
    }

    /// `answer` makes the answer to each request. Connections stay open.
    pub fn http(answer: impl Fn(&Received) -> Answer + Send + Sync + 'static) -> Origin {
        Origin::handling(move |request, socket| {
            let _ = socket.write_all(&answer(request).bytes_for(&request.method));
            Then::KeepOpen
        })
    }

    /// `answer` makes the events of WebSockets that are answered to those of each request, on a route with `over_http`.
    pub fn events(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> Origin {
        Origin::http(move |request| Answer::events(answer(&String::from_utf8_lossy(&request.body))))
    }

    /// `handle` answers each request by writing to the socket, which it may also keep.
    pub fn handling(handle: impl Fn(&Received, &mut TcpStream) -> Then + Send + Sync + 'static) -> Origin {
        Origin::raw(move |socket| serve(socket, &handle))
    }

    /// The same by TLS, with a certificate of `host` that [`tls::write_authority`] vouches for.
    pub fn handling_tls(
        host: &str,
        handle: impl Fn(&Received, &mut TcpStream) -> Then + Send + Sync + 'static,
    ) -> Origin {
        let config: Arc<ServerConfig> = tls::server_config(host).into();
        Origin::raw(move |socket| {
            // A client that does not trust the certificate ends the handshake.
            if let Ok(plain) = tunnel::accept(socket, config.clone()) {
                serve(plain, &handle);
            }
        })
    }

    /// `handle` does what it likes with each connection, which ends when it returns.
    pub fn raw(handle: impl Fn(TcpStream) + Send + Sync + 'static) -> Origin {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port for the application");
        let address = listener.local_addr().expect("its address");
        let (handle, has_ended) = (Arc::new(handle), Arc::new(AtomicBool::new(false)));
        let ended = has_ended.clone();
        thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                if ended.load(Ordering::Acquire) {
                    return;
                }
                let handle = handle.clone();
                thread::spawn(move || handle(patient(socket)));
            }
        });
        Origin { address, has_ended, _held: Vec::new() }
    }

    /// An address that refuses connections: a port that is bound, so that nobody else takes it, and not listened on.
    pub fn refusing() -> Origin {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        Origin::dead(bound(&socket), vec![socket])
    }

    /// An address that answers no connection at all: a listener whose queue is full.
    pub fn deaf() -> Origin {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        let address = bound(&listener);
        listener.listen(0).expect("a listener");
        // Those whose handshake the kernel completes; the next waits for an answer that does not come.
        let mut held: Vec<Socket> = (0..3)
            .map(|_| {
                let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
                socket.set_nonblocking(true).expect("a socket that does not block");
                let _ = socket.connect(&address.into());
                socket
            })
            .collect();
        held.push(listener);
        Origin::dead(address, held)
    }

    fn dead(address: SocketAddr, held: Vec<Socket>) -> Origin {
        Origin { address, has_ended: Arc::new(AtomicBool::new(true)), _held: held }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A line of routes that takes everything to it.
    pub fn route(&self) -> String {
        format!("* {}", self.address)
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        if !self.has_ended.swap(true, Ordering::AcqRel) {
            // The thread that accepts sees a last connection.
            let _ = TcpStream::connect(self.address);
        }
    }
}

fn bound(socket: &Socket) -> SocketAddr {
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a port");
    socket.local_addr().ok().and_then(|address| address.as_socket()).expect("its address")
}

fn serve(mut socket: TcpStream, handle: &impl Fn(&Received, &mut TcpStream) -> Then) {
    let mut source = Source::new(socket.try_clone().expect("a second handle"));
    while let Ok(request) = receive(&mut source, &mut socket) {
        if handle(&request, &mut socket) == Then::Close {
            return;
        }
    }
}

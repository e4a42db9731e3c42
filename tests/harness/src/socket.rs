//! Bare sockets on which no test can hang.

use crate::deadline::patience;
use std::io::{self, BufRead, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::ops::Deref;

/// A connection to `address` whose reads and writes end after [`patience`].
pub fn connect(address: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect_timeout(&address, patience());
    patient(socket.unwrap_or_else(|error| panic!("no connection to {address}: {error}")))
}

/// `socket`, whose reads and writes end after [`patience`] from now on, and whose writes are sent at once.
pub fn patient(socket: TcpStream) -> TcpStream {
    socket.set_read_timeout(Some(patience())).expect("a timeout");
    socket.set_write_timeout(Some(patience())).expect("a timeout");
    // A connection that has ended already takes no options; whoever uses it notices.
    let _ = socket.set_nodelay(true);
    socket
}

/// What `call` gives when no signal interrupts it. Where a process was stopped and goes on (SIGSTOP, a freezer), each of
/// its waits with a timeout is interrupted (signal(7)).
pub fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}

/// A connection that no signal interrupts, for protocols that take an interruption for a failure.
pub struct Steady(pub TcpStream);

impl Read for Steady {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        uninterrupted(|| self.0.read(into))
    }
}

impl Write for Steady {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        uninterrupted(|| self.0.write(from))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Deref for Steady {
    type Target = TcpStream;

    fn deref(&self) -> &TcpStream {
        &self.0
    }
}

/// Two ends of a connection.
pub fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let near = TcpStream::connect(listener.local_addr().expect("its address")).expect("a connection");
    let (far, _) = listener.accept().expect("the other end");
    (near, far)
}

/// Reads the head of a request or an answer, or what there is of it before the connection's end.
pub fn read_head(reader: &mut impl BufRead) -> String {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).unwrap_or(0) > 0 {}
    head
}

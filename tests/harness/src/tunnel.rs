//! Plain ends of connections that speak TLS: two threads carry what is said, so that clients and applications read and
//! write as without TLS.

use crate::socket::{pair, patient};
use crate::tls::{Secure, config, handshake, handshake_over};
use rustls::{Connection, ServerConfig, ServerConnection};
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// One end of a pair of sockets, whose other end is carried to the host `name` at `address`.
pub fn tunnel(address: SocketAddr, name: &str) -> TcpStream {
    let Secure { conn, sock, .. } = handshake(address, name).expect("a handshake");
    carry(Connection::Client(conn), sock)
}

/// The same by `socket`, on which something may have been sent before TLS.
pub fn tunnel_over(socket: TcpStream, name: &str) -> TcpStream {
    let Secure { conn, sock, .. } = handshake_over(socket, name, config()).expect("a handshake");
    carry(Connection::Client(conn), sock)
}

/// The plain end of a connection that a client has opened to an application.
pub(crate) fn accept(socket: TcpStream, config: Arc<ServerConfig>) -> io::Result<TcpStream> {
    let mut connection = ServerConnection::new(config).map_err(io::Error::other)?;
    let mut socket = patient(socket);
    while connection.is_handshaking() {
        connection.complete_io(&mut socket)?;
    }
    Ok(carry(Connection::Server(connection), socket))
}

fn carry(connection: Connection, socket: TcpStream) -> TcpStream {
    socket.set_read_timeout(None).expect("no timeout");
    let (near, far) = pair();
    let connection = Arc::new(Mutex::new(connection));
    let (up, mut from_near, mut to_peer) =
        (connection.clone(), far.try_clone().expect("a handle"), socket.try_clone().expect("a handle"));
    thread::spawn(move || {
        let mut block = [0; 16 * 1024];
        while let Ok(count @ 1..) = from_near.read(&mut block) {
            let mut connection = up.lock().expect("no panic");
            let written = connection.writer().write_all(&block[..count]);
            if written.and_then(|()| send(&mut connection, &mut to_peer)).is_err() {
                return;
            }
        }
        let mut connection = up.lock().expect("no panic");
        connection.send_close_notify();
        let _ = send(&mut connection, &mut to_peer);
        let _ = to_peer.shutdown(Shutdown::Write);
    });
    thread::spawn(move || {
        let _ = carry_down(&connection, socket, &far);
        let _ = far.shutdown(Shutdown::Both);
    });
    near
}

fn send(connection: &mut Connection, socket: &mut TcpStream) -> io::Result<()> {
    while connection.wants_write() {
        connection.write_tls(socket)?;
    }
    Ok(())
}

/// Carries what the peer says, and no more than the near end takes.
fn carry_down(connection: &Mutex<Connection>, mut socket: TcpStream, mut far: &TcpStream) -> io::Result<()> {
    let mut block = [0; 16 * 1024];
    loop {
        let count = socket.read(&mut block)?;
        let mut plain = Vec::new();
        {
            let mut connection = connection.lock().expect("no panic");
            let mut input = &block[..count];
            while !input.is_empty() {
                connection.read_tls(&mut input)?;
                let state = connection.process_new_packets().map_err(io::Error::other)?;
                let start = plain.len();
                plain.resize(start + state.plaintext_bytes_to_read(), 0);
                connection.reader().read_exact(&mut plain[start..])?;
            }
            send(&mut connection, &mut socket)?;
        }
        if count == 0 {
            return Ok(());
        }
        far.write_all(&plain)?;
    }
}

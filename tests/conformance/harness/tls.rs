//! Clients that speak TLS, by rustls, and the certificates they are shown.
//!
//! Cases speak plain text to a [`tunnel`], one end of a pair of sockets whose other end two threads carry to and from the
//! server under test. So they have the same [`Client`](super::client::Client) and the same WebSockets as all others.
//! [`Secure`] is for those that look at TLS itself.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion};

use super::PATIENCE;
use super::proxy::write;

/// A host with a certificate of its own; one below `_.secure.test`, and one that only the port's default is for.
pub const EXACT: &str = "exact.secure.test";
pub const BELOW: &str = "below.secure.test";
pub const OTHER: &str = "other.test";

/// A connection by TLS whose bytes are read and written where the case stands.
pub type Secure = StreamOwned<ClientConnection, TcpStream>;

type Authority = CertifiedIssuer<'static, KeyPair>;

/// Who signs everything.
fn authority() -> &'static Authority {
    static AUTHORITY: OnceLock<Authority> = OnceLock::new();
    AUTHORITY.get_or_init(|| {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority")
    })
}

/// Writes the certificates of a server whose TLS is at `address`, into `directory`.
pub fn issue_all(directory: &Path, address: SocketAddr) {
    std::fs::create_dir_all(directory).expect("a directory");
    issue(directory, EXACT, EXACT);
    issue(directory, "_.secure.test", "*.secure.test");
    issue(directory, &format!("default_{}", address.port()), OTHER);
    write(&directory.join("authority.pem"), &authority().pem());
}

/// Writes a new certificate for `host` and its key to the files `name`.
pub fn issue(directory: &Path, name: &str, host: &str) -> CertificateDer<'static> {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec![host.to_owned()]).expect("a name");
    let certificate = params.signed_by(&key, authority()).expect("a certificate");
    write(&directory.join(format!("{name}.key")), &key.serialize_pem());
    write(&directory.join(format!("{name}.crt")), &certificate.pem());
    certificate.der().clone()
}

/// What a client trusts and offers.
pub fn config() -> ClientConfig {
    config_of(rustls::DEFAULT_VERSIONS)
}

/// The same with these versions alone.
pub fn config_of(versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(authority().der().clone()).expect("a root");
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let versions = builder.with_protocol_versions(versions).expect("versions");
    versions.with_root_certificates(roots).with_no_client_auth()
}

/// A connection to `address`, to the host `name`.
fn connect(address: SocketAddr, name: &str, config: ClientConfig) -> Secure {
    let socket = TcpStream::connect(address).expect("the server under test accepts a connection");
    socket.set_nodelay(true).expect("TCP_NODELAY");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    StreamOwned::new(ClientConnection::new(Arc::new(config), name).expect("a client"), socket)
}

/// The same once the handshake is over; its error if it fails.
pub fn handshake(address: SocketAddr, name: &str) -> io::Result<Secure> {
    handshake_with(address, name, config())
}

/// The same with a client's own wishes.
pub fn handshake_with(address: SocketAddr, name: &str, config: ClientConfig) -> io::Result<Secure> {
    let mut secure = connect(address, name, config);
    while secure.conn.is_handshaking() {
        secure.conn.complete_io(&mut secure.sock)?;
    }
    Ok(secure)
}

/// One end of a pair of sockets, whose other end is carried to the host `name` at `address`.
pub fn tunnel(address: SocketAddr, name: &str) -> TcpStream {
    let Secure { conn, sock, .. } = handshake(address, name).expect("a handshake");
    sock.set_read_timeout(None).expect("no timeout");
    let (near, far) = pair();
    let connection = Arc::new(Mutex::new(conn));
    let (up, mut from_near, mut to_server) =
        (connection.clone(), far.try_clone().expect("a handle"), sock.try_clone().expect("a handle"));
    thread::spawn(move || {
        let mut block = [0; 16 * 1024];
        while let Ok(count @ 1..) = from_near.read(&mut block) {
            let mut connection = up.lock().expect("no panic");
            let written = connection.writer().write_all(&block[..count]);
            if written.and_then(|()| send(&mut connection, &mut to_server)).is_err() {
                return;
            }
        }
        let mut connection = up.lock().expect("no panic");
        connection.send_close_notify();
        let _ = send(&mut connection, &mut to_server);
        let _ = to_server.shutdown(Shutdown::Write);
    });
    thread::spawn(move || {
        let _ = carry_down(&connection, sock, &far);
        let _ = far.shutdown(Shutdown::Both);
    });
    near
}

fn send(connection: &mut ClientConnection, socket: &mut TcpStream) -> io::Result<()> {
    while connection.wants_write() {
        connection.write_tls(socket)?;
    }
    Ok(())
}

/// Carries what the server says, and no more than the near end takes.
fn carry_down(
    connection: &Mutex<ClientConnection>,
    mut socket: TcpStream,
    mut far: &TcpStream,
) -> io::Result<()> {
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

/// Two connected sockets.
pub fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let near = TcpStream::connect(listener.local_addr().expect("its address")).expect("a connection");
    let (far, _) = listener.accept().expect("the other end");
    (near, far)
}

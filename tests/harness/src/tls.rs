//! Clients that speak TLS, by rustls, and the certificates they are shown.
//!
//! [`Secure`] is for tests that look at TLS itself. Others speak plain text to a [`tunnel`](crate::tunnel), and so have
//! the same [`Client`](crate::client::Client) and the same WebSockets as those without TLS.

use crate::directory::write;
use crate::socket;
use rcgen::{BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, StreamOwned, SupportedProtocolVersion,
};
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// A host with a certificate of its own.
pub const EXACT: &str = "exact.secure.test";
/// One whose certificate is that of all names below its parent.
pub const BELOW: &str = "below.secure.test";
/// One that only the certificate of the port is for.
pub const OTHER: &str = "other.test";

/// A connection by TLS whose bytes are read and written where the case stands.
pub type Secure = StreamOwned<ClientConnection, TcpStream>;

type Authority = CertifiedIssuer<'static, KeyPair>;

/// Who signs everything.
fn authority() -> &'static Authority {
    static AUTHORITY: OnceLock<Authority> = OnceLock::new();
    AUTHORITY.get_or_init(|| {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        // Without a name of its own it looks to OpenSSL as if it were the certificate that it has signed.
        params.distinguished_name.push(DnType::CommonName, "Gripwire's tests");
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
    write_authority(&directory.join(AUTHORITY_FILE));
}

/// Writes the authority that signs everything, for clients and servers that are told whom to trust.
pub fn write_authority(path: &Path) {
    write(path, &authority().pem());
}

/// The file of the authority beside the certificates of [`issue_all`].
pub const AUTHORITY_FILE: &str = "authority.pem";

/// Writes a new certificate for `host` and its key to the files `name`.
pub fn issue(directory: &Path, name: &str, host: &str) -> CertificateDer<'static> {
    let (certificate, key) = sign(host);
    write(&directory.join(format!("{name}.key")), &key.serialize_pem());
    write(&directory.join(format!("{name}.crt")), &certificate.pem());
    certificate.der().clone()
}

fn sign(host: &str) -> (Certificate, KeyPair) {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec![host.to_owned()]).expect("a name");
    (params.signed_by(&key, authority()).expect("a certificate"), key)
}

/// What an application shows that answers for `host`.
pub(crate) fn server_config(host: &str) -> ServerConfig {
    let (certificate, key) = sign(host);
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let versions = builder.with_safe_default_protocol_versions().expect("versions");
    let shown = versions.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key);
    shown.expect("a certificate with its key")
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

/// A connection by `socket`, to the host `name`.
fn over(socket: TcpStream, name: &str, config: ClientConfig) -> Secure {
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    StreamOwned::new(ClientConnection::new(Arc::new(config), name).expect("a client"), socket)
}

/// The same once the handshake is over; its error if it fails.
pub fn handshake(address: SocketAddr, name: &str) -> io::Result<Secure> {
    handshake_with(address, name, config())
}

/// The same with a client's own wishes.
pub fn handshake_with(address: SocketAddr, name: &str, config: ClientConfig) -> io::Result<Secure> {
    handshake_over(socket::connect(address), name, config)
}

/// The same by `socket`, on which something may have been sent before TLS.
pub fn handshake_over(socket: TcpStream, name: &str, config: ClientConfig) -> io::Result<Secure> {
    let mut secure = over(socket, name, config);
    while secure.conn.is_handshaking() {
        secure.conn.complete_io(&mut secure.sock)?;
    }
    Ok(secure)
}

//! Small origins on threads, for tests. Each connection follows a script: it reads a whole request, writes the next
//! reply literally, and closes after the last reply. Tests can read the requests back; nothing is timed.

use super::route::{ClientCertificate, Destination, HostCondition, Route, Target};
use futures_rustls::pki_types::{CertificateDer, PrivateKeyDer};
use futures_rustls::rustls::crypto::ring;
use futures_rustls::rustls::server::WebPkiClientVerifier;
use futures_rustls::rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, mpsc::Sender};
use std::thread;

/// What a connection does after reading a request.
#[derive(Clone, Copy)]
pub(super) enum Reply {
    /// Writes these bytes.
    Send(&'static str),
    /// Closes without writing.
    Close,
    /// Writes these bytes and waits for the other side to close.
    Stall(&'static str),
}

/// A running origin.
pub(super) struct FakeOrigin {
    pub port: u16,
    requests: Receiver<String>,
    accepted: Arc<AtomicUsize>,
}

/// A certificate for `app.test`, with its key.
pub(super) struct Identity {
    pub certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
    /// The PEM of the certificate, and of the key.
    pem: (String, String),
}

impl Identity {
    /// Writes both to files, in a directory that is named after the test.
    pub fn write(&self, test: &str) -> ClientCertificate {
        let directory = std::env::temp_dir().join(format!("gripwire-{test}-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a directory");
        let (chain, key) = (directory.join("cert.pem"), directory.join("key.pem"));
        std::fs::write(&chain, &self.pem.0).expect("a file");
        std::fs::write(&key, &self.pem.1).expect("a file");
        ClientCertificate { chain, key }
    }
}

impl FakeOrigin {
    /// Starts an origin with one script for each connection, in the order of accepting. After the last script it
    /// stops listening.
    pub fn start(scripts: &[&[Reply]]) -> Self {
        Self::serve(scripts, |tcp, script, seen| follow(tcp, script, &seen))
    }

    /// Starts such an origin behind TLS.
    pub fn start_tls(identity: &Identity, scripts: &[&[Reply]]) -> Self {
        Self::start_tls_for(None, identity, scripts)
    }

    /// Starts such an origin behind TLS, which demands the certificate of `client`.
    pub fn start_tls_for(client: Option<&Identity>, identity: &Identity, scripts: &[&[Reply]]) -> Self {
        let provider = Arc::new(ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .and_then(|versions| {
                let chain = vec![identity.certificate.clone()];
                let verifier = match client {
                    None => WebPkiClientVerifier::no_client_auth(),
                    Some(client) => {
                        let mut roots = RootCertStore::empty();
                        roots.add(client.certificate.clone())?;
                        let builder = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
                        builder.build().expect("a verifier")
                    }
                };
                let versions = versions.with_client_cert_verifier(verifier);
                versions.with_single_cert(chain, identity.key.clone_key())
            })
            .expect("a server configuration");
        let config = Arc::new(config);
        Self::serve(scripts, move |tcp, script, seen| {
            let tls = ServerConnection::new(config.clone()).map_err(io::Error::other)?;
            follow(StreamOwned::new(tls, tcp), script, &seen)
        })
    }

    /// The next request that a connection has read.
    pub fn asked(&self) -> String {
        self.requests.recv().expect("a request")
    }

    /// How many requests were read and not yet returned by [`FakeOrigin::asked`].
    pub fn asked_more(&self) -> usize {
        self.requests.try_iter().count()
    }

    /// How many connections were made to this origin.
    pub fn connections(&self) -> usize {
        self.accepted.load(Relaxed)
    }

    fn serve<F>(scripts: &[&[Reply]], one: F) -> Self
    where
        F: Fn(std::net::TcpStream, Vec<Reply>, Sender<String>) -> io::Result<()> + Clone + Send + 'static,
    {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let scripts: Vec<Vec<Reply>> = scripts.iter().map(|script| script.to_vec()).collect();
        let (seen, requests) = channel();
        let accepted = Arc::<AtomicUsize>::default();
        let accepting = accepted.clone();
        thread::spawn(move || {
            for script in scripts {
                let Ok((tcp, _)) = listener.accept() else { return };
                accepting.fetch_add(1, Relaxed);
                let (one, seen) = (one.clone(), seen.clone());
                thread::spawn(move || one(tcp, script, seen));
            }
        });
        FakeOrigin { port, requests, accepted }
    }
}

/// Makes a self-signed certificate.
pub(super) fn identity() -> Identity {
    let made = rcgen::generate_simple_self_signed(["app.test".to_string()]).expect("a certificate");
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
    let pem = (made.cert.pem(), made.signing_key.serialize_pem());
    Identity { certificate: made.cert.der().clone(), key, pem }
}

/// A route with these targets and no other properties.
pub(super) fn route_to(targets: &[Target]) -> Route {
    let bare = Route::bare(HostCondition::Any);
    Route { id: "r".into(), has_own_id: true, targets: targets.to_vec(), ..bare }
}

/// A plain target.
pub(super) fn target_at(host: &str, port: u16) -> Target {
    target(Destination::Address { host: host.into(), port })
}

/// A target with no properties.
pub(super) fn target(destination: Destination) -> Target {
    Target::to(destination)
}

fn follow(stream: impl Read + Write, script: Vec<Reply>, seen: &Sender<String>) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    for reply in script {
        let request = read_request(&mut stream)?;
        let _ = seen.send(request);
        match reply {
            Reply::Send(bytes) => stream.get_mut().write_all(bytes.as_bytes())?,
            Reply::Close => return Ok(()),
            Reply::Stall(bytes) => {
                stream.get_mut().write_all(bytes.as_bytes())?;
                stream.read_to_end(&mut Vec::new())?;
            }
        }
        stream.get_mut().flush()?;
    }
    Ok(())
}

/// The head and body of a request, unchanged.
fn read_request(stream: &mut impl BufRead) -> io::Result<String> {
    let mut text = String::new();
    while !text.ends_with("\r\n\r\n") {
        if stream.read_line(&mut text)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    let length = text.lines().find_map(|line| line.strip_prefix("Content-Length: ")?.parse().ok());
    if let Some(length) = length {
        let mut body = vec![0; length];
        stream.read_exact(&mut body)?;
        text.push_str(&String::from_utf8_lossy(&body));
    }
    if text.contains("Transfer-Encoding: chunked\r\n") {
        let head = text.len();
        while !text[head..].ends_with("0\r\n\r\n") {
            stream.read_line(&mut text)?;
        }
    }
    Ok(text)
}

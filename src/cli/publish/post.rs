//! One blocking POST over HTTP/1.1, plain or TLS, for `gripwire publish`. A command that sends one message and ends
//! needs no event loop. Each step has a bound in time, and the answer one in size.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use futures_rustls::rustls;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::destination::Destination;

/// Why a message was not taken.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    /// There is nobody.
    #[error(
        "cannot connect to {to} to publish; check that the server is running and that --spec (or GRIP_URL) names \
         its control port"
    )]
    Connect {
        /// Where.
        to: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// TLS could not be set up.
    #[error("cannot publish to {to}, because TLS with it fails")]
    Tls {
        /// Where.
        to: String,
        /// Why.
        source: std::io::Error,
    },
    /// The connection broke.
    #[error("the connection to {to} broke before it answered; the message may or may not have been taken")]
    Exchange {
        /// Where.
        to: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The answer is not HTTP.
    #[error("{to} does not answer in HTTP; check that --spec (or GRIP_URL) names a control port")]
    NotHttp {
        /// Where.
        to: String,
    },
    /// The server said no.
    #[error("{to} refused the message with {status}: {}; {}", body.trim_end(), advice(*status))]
    Refused {
        /// Where.
        to: String,
        /// The status of the answer.
        status: u16,
        /// Its text.
        body: String,
    },
}

/// Posts `body` as JSON; succeeds if the server took it.
pub fn post(destination: &Destination, body: &[u8]) -> Result<(), PostError> {
    let to = || destination.to_string();
    let socket = connect(destination).map_err(|source| PostError::Connect { to: to(), source })?;
    let answer = if destination.tls {
        let stream = encrypt(destination, socket).map_err(|source| PostError::Tls { to: to(), source })?;
        exchange(stream, destination, body)
    } else {
        exchange(socket, destination, body)
    };
    let answer = answer.map_err(|source| PostError::Exchange { to: to(), source })?;
    let (status, body) = read_answer(&answer).ok_or_else(|| PostError::NotHttp { to: to() })?;
    match status {
        200..=299 => Ok(()),
        _ => Err(PostError::Refused { to: to(), status, body }),
    }
}

/// Tries every address of the host, as `localhost` may be served on one of two only.
fn connect(destination: &Destination) -> std::io::Result<TcpStream> {
    let mut failure = std::io::Error::new(ErrorKind::NotFound, "the name has no address");
    for address in (destination.host.as_str(), destination.port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(socket) => {
                socket.set_read_timeout(Some(PATIENCE))?;
                socket.set_write_timeout(Some(PATIENCE))?;
                return Ok(socket);
            }
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// Finishes the handshake, so that a certificate that is not trusted is not taken for a lost answer.
fn encrypt(
    destination: &Destination,
    mut socket: TcpStream,
) -> std::io::Result<StreamOwned<ClientConnection, TcpStream>> {
    let mut session = session(destination).map_err(std::io::Error::other)?;
    while session.is_handshaking() {
        session.complete_io(&mut socket)?;
    }
    Ok(StreamOwned::new(session, socket))
}

fn session(destination: &Destination) -> Result<ClientConnection, rustls::Error> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from(destination.host.clone())
        .map_err(|_| rustls::Error::General(format!("`{}` is no host name", destination.host)))?;
    ClientConnection::new(Arc::new(config), name)
}

/// Sends the request and gives the bytes of the answer.
fn exchange(
    mut stream: impl Read + Write,
    destination: &Destination,
    body: &[u8],
) -> std::io::Result<Vec<u8>> {
    let authorization = destination
        .authorization
        .iter()
        .map(|value| format!("Authorization: {value}\r\n"))
        .collect::<String>();
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         {authorization}Connection: close\r\n\r\n",
        destination.path,
        destination.authority(),
        body.len(),
    );
    let request = [head.as_bytes(), body].concat();
    // A server may refuse a large message before it has read all of it: what it said is worth more than the error.
    let written = stream.write_all(&request).and_then(|()| stream.flush());
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while !is_whole(&answer) && answer.len() < ANSWER_BYTES {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => answer.extend(buffer.iter().take(count)),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // Servers that close without TLS's goodbye have still answered.
            Err(error) if answer.is_empty() => return Err(written.err().unwrap_or(error)),
            Err(_) => break,
        }
    }
    match answer.is_empty() {
        true => Err(written.err().unwrap_or_else(|| ErrorKind::UnexpectedEof.into())),
        false => Ok(answer),
    }
}

/// Whether nothing more of the answer can come.
fn is_whole(answer: &[u8]) -> bool {
    let Some((head_bytes, head)) = Head::read(answer) else { return false };
    let body = answer.get(head_bytes..).unwrap_or_default();
    match head.length {
        Some(length) => body.len() >= length,
        None => head.chunked && body.ends_with(b"0\r\n\r\n"),
    }
}

/// The status and the text of an answer; `None` if it is not HTTP.
fn read_answer(answer: &[u8]) -> Option<(u16, String)> {
    let (head_bytes, head) = Head::read(answer)?;
    let body = answer.get(head_bytes..).unwrap_or_default();
    let body = if head.chunked { join_chunks(body) } else { body.to_vec() };
    Some((head.status, String::from_utf8_lossy(&body).into_owned()))
}

/// What of a head matters here.
struct Head {
    status: u16,
    length: Option<usize>,
    chunked: bool,
}

impl Head {
    /// The head at the start of `answer` and its length, once it is there.
    fn read(answer: &[u8]) -> Option<(usize, Head)> {
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut response = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(length) = response.parse(answer).ok()? else { return None };
        let value = |name: &str| {
            let header = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
            std::str::from_utf8(header.value).ok()
        };
        let chunked = value("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked"));
        let content = value("content-length").and_then(|value| value.trim().parse().ok());
        let head = Head { status: response.code?, length: content.filter(|_| !chunked), chunked };
        Some((length, head))
    }
}

/// The content of as many chunks as are whole.
fn join_chunks(mut body: &[u8]) -> Vec<u8> {
    let mut joined = Vec::new();
    while let Ok(httparse::Status::Complete((start, size))) = httparse::parse_chunk_size(body) {
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let Some(chunk) = start.checked_add(size).and_then(|end| body.get(start..end)) else { break };
        if chunk.is_empty() {
            break;
        }
        joined.extend_from_slice(chunk);
        // After a chunk comes an empty line's end.
        body = body.get(start + size + 2..).unwrap_or_default();
    }
    joined
}

fn advice(status: u16) -> &'static str {
    match status {
        400 => "the server does not understand it, or it is too large: see its `body_bytes`",
        401 | 403 => "give --user or --bearer, or put `iss` and `key` into GRIP_URL",
        404 | 405 => "check that --spec (or GRIP_URL) names a control port, and its path",
        413 => "the message is too large for this server: see its `body_bytes`",
        500..=599 => "the server is in trouble: see its log, and try again",
        _ => "check that --spec (or GRIP_URL) names a control port",
    }
}

const PATIENCE: Duration = Duration::from_secs(30);
const ANSWER_BYTES: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_when_its_own_measure_says_so() {
        let sized = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        let chunked = b"HTTP/1.1 400 No\r\ntransfer-encoding: Chunked\r\n\r\n2\r\nno\r\n1\r\n!\r\n0\r\n\r\n";
        for answer in [&sized[..], &chunked[..]] {
            assert!((0..answer.len()).all(|end| !is_whole(&answer[..end])));
            assert!(is_whole(answer));
        }
        assert_eq!(read_answer(sized), Some((200, "ok".into())));
        assert_eq!(read_answer(chunked), Some((400, "no!".into())));
        assert_eq!(read_answer(b"+OK not HTTP\r\n\r\n"), None);
    }

    #[test]
    fn chunks_that_lie_about_their_size_end_the_text() {
        assert_eq!(join_chunks(b"ffffffffffffffff\r\nab"), b"");
        assert_eq!(join_chunks(b"1\r\na\r\n9\r\nshort"), b"a");
    }
}

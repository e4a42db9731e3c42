//! The application behind the server under test: a small threaded HTTP/1.1 server with one page for each case.
//!
//! A case makes a [`Page`], sends its clients to the page's path, and looks at the requests that came. The page is
//! found by any segment of the request's path, so that routes may rewrite what stands around it. Requests are
//! reported before they are answered. Pushpin asks a second time one second after a channel's first subscription, so a
//! page of a held request must be able to answer twice.

use std::collections::HashMap;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;

use super::headers::Headers;
use super::wire::{End, Source};
use super::{PATIENCE, against_pushpin, unique};

/// What one case's requests get from the origin.
pub struct Page {
    /// The path that leads here, such as `/p12-4242`.
    pub path: String,
    requests: Receiver<Received>,
}

/// A request as the origin received it.
#[derive(Clone, Debug)]
pub struct Received {
    pub method: String,
    pub target: String,
    pub version: String,
    pub headers: Headers,
    pub body: Vec<u8>,
}

/// What happens to the origin's connection after an answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Then {
    KeepOpen,
    Close,
}

type Handler = dyn Fn(&Received, &mut TcpStream) -> Then + Send + Sync;

impl Page {
    /// Every request gets the same answer.
    pub fn answering(answer: Answer) -> Page {
        Page::handling(move |request, socket| {
            let _ = socket.write_all(&answer.bytes_for(&request.method));
            Then::KeepOpen
        })
    }

    /// Every request gets these very bytes, and then the connection's end. They come together: were the end late, the
    /// connection could be used for another case's request first.
    pub fn sending_raw(bytes: impl Into<Vec<u8>>) -> Page {
        let bytes = bytes.into();
        Page::handling(move |_, socket| {
            let _ = socket2::SockRef::from(&*socket).set_tcp_cork(true);
            let _ = socket.write_all(&bytes);
            Then::Close
        })
    }

    /// Every request is handled by `handler`, on a thread of its connection.
    pub fn handling(handler: impl Fn(&Received, &mut TcpStream) -> Then + Send + Sync + 'static) -> Page {
        Page::at(&unique("p"), handler)
    }

    /// The same at a path that a route names.
    pub fn at(
        segment: &str,
        handler: impl Fn(&Received, &mut TcpStream) -> Then + Send + Sync + 'static,
    ) -> Page {
        let (report, requests) = channel();
        let entry = Entry { report, handler: Arc::new(handler) };
        origin().pages.lock().expect("pages").insert(segment.to_owned(), entry);
        Page { path: format!("/{segment}"), requests }
    }

    /// The next request.
    pub fn request(&self) -> Received {
        self.requests.recv_timeout(PATIENCE).expect("a request reaches the origin")
    }

    /// A request that has already come, if any.
    pub fn request_so_far(&self) -> Option<Received> {
        self.requests.try_recv().ok()
    }

    /// Waits until the server under test will not ask again by itself: until all `requests_for_a_hold` have come.
    pub fn await_hold(&self) {
        for _ in 0..requests_for_a_hold() {
            self.request();
        }
    }
}

/// How often the origin is asked for one long poll on a new channel: Pushpin asks a second time, one second after the
/// first subscription to a channel, in case a message was published just before it.
pub fn requests_for_a_hold() -> usize {
    if against_pushpin() { 2 } else { 1 }
}

/// An answer of the origin.
#[derive(Clone)]
pub struct Answer {
    code: u16,
    reason: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Answer {
    pub fn new(code: u16, reason: &str) -> Answer {
        Answer { code, reason: reason.to_owned(), headers: Vec::new(), body: Vec::new() }
    }

    /// A 200 with a body of plain text.
    pub fn text(body: &str) -> Answer {
        Answer::new(200, "OK").header("Content-Type", "text/plain").body(body)
    }

    pub fn header(mut self, name: &str, value: &str) -> Answer {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Answer {
        self.body = body.into();
        self
    }

    /// The answer to a request with this method, framed by Content-Length.
    pub fn bytes_for(&self, method: &str) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.code, self.reason);
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        let bodiless = self.code / 100 == 1 || self.code == 204 || self.code == 304;
        if !bodiless {
            head += &format!("Content-Length: {}\r\n", self.body.len());
        }
        let mut bytes = (head + "\r\n").into_bytes();
        if !bodiless && method != "HEAD" {
            bytes.extend(&self.body);
        }
        bytes
    }
}

/// Where the origin listens.
pub fn address() -> SocketAddr {
    origin().address
}

struct Origin {
    address: SocketAddr,
    pages: Mutex<HashMap<String, Entry>>,
}

#[derive(Clone)]
struct Entry {
    report: Sender<Received>,
    handler: Arc<Handler>,
}

/// The one origin of this test process, started when first asked for.
fn origin() -> &'static Origin {
    static ORIGIN: OnceLock<Origin> = OnceLock::new();
    ORIGIN.get_or_init(|| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port for the origin");
        let address = listener.local_addr().expect("the origin's address");
        thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                thread::spawn(move || serve(socket));
            }
        });
        Origin { address, pages: Mutex::new(HashMap::new()) }
    })
}

fn serve(mut socket: TcpStream) {
    let _ = socket.set_nodelay(true);
    let mut source = Source::new(socket.try_clone().expect("a second handle"));
    while let Ok(request) = receive(&mut source, &mut socket) {
        let Some(entry) = entry_for(&request.target) else {
            let answer =
                Answer::new(404, "Not Found").body(format!("the origin has no {}\n", request.target));
            let _ = socket.write_all(&answer.bytes_for(&request.method));
            continue;
        };
        let _ = entry.report.send(request.clone());
        if (entry.handler)(&request, &mut socket) == Then::Close {
            return;
        }
    }
}

fn entry_for(target: &str) -> Option<Entry> {
    let path = target.split('?').next().unwrap_or_default();
    let pages = origin().pages.lock().expect("pages");
    path.split('/').find_map(|segment| pages.get(segment).cloned())
}

fn receive(source: &mut Source, socket: &mut TcpStream) -> Result<Received, End> {
    while source.await_bytes(PATIENCE) == Err(End::Silence) {}
    let head = String::from_utf8_lossy(&source.until(b"\r\n\r\n")?).into_owned();
    let (first, rest) = head.split_once("\r\n").expect("a request line");
    let words: Vec<&str> = first.split(' ').collect();
    let [method, target, version] = words[..] else { panic!("bad request line {first:?}") };
    let headers = Headers::parse(rest);
    if headers.has("Expect") {
        let _ = socket.write_all(b"HTTP/1.1 100 Continue\r\n\r\n");
    }
    let body = receive_body(source, &headers)?;
    Ok(Received { method: method.into(), target: target.into(), version: version.into(), headers, body })
}

fn receive_body(source: &mut Source, headers: &Headers) -> Result<Vec<u8>, End> {
    if headers.has("Transfer-Encoding") {
        assert_eq!(headers.get("Content-Length"), None, "a chunked request has no Content-Length");
        let mut body = Vec::new();
        loop {
            let chunk = source.chunk()?;
            if chunk.is_empty() {
                return Ok(body);
            }
            body.extend(chunk);
        }
    }
    let length =
        headers.get("Content-Length").map_or(0, |value| value.parse().expect("Content-Length is a number"));
    source.exactly(length)
}

//! The application behind the server under test: one page for each case.
//!
//! A case makes a [`Page`], sends its clients to the page's path, and looks at the requests that came. The page is
//! found by any segment of the request's path, so that routes may rewrite what stands around it. Requests are
//! reported before they are answered. Pushpin asks a second time one second after a channel's first subscription, so a
//! page of a held request must be able to answer twice.

use std::collections::HashMap;
use std::io::Write;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use gripwire_harness::origin::Origin;
pub use gripwire_harness::origin::{Answer, Received, Then};
use gripwire_harness::source::Source;

use super::{against_pushpin, patience, unique};

/// What one case's requests get from the origin.
pub struct Page {
    /// The path that leads here, such as `/p12-4242`.
    pub path: String,
    requests: Receiver<Received>,
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

    /// Every request gets these very bytes, and the connection stays open. They are a whole answer.
    pub fn saying(bytes: impl Into<Vec<u8>>) -> Page {
        Page::writing(bytes, Then::KeepOpen)
    }

    /// Every request gets these very bytes, and then the connection's end. They are no answer that allows another
    /// request on the connection: the server may take the connection for another case's request before the end comes.
    pub fn sending_raw(bytes: impl Into<Vec<u8>>) -> Page {
        Page::writing(bytes, Then::Close)
    }

    fn writing(bytes: impl Into<Vec<u8>>, then: Then) -> Page {
        let bytes = bytes.into();
        Page::handling(move |_, socket| {
            let _ = socket.write_all(&bytes);
            then
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
        pages().insert(segment.to_owned(), entry);
        Page { path: format!("/{segment}"), requests }
    }

    /// The next request.
    pub fn request(&self) -> Received {
        self.requests.recv_timeout(patience()).expect("a request reaches the origin")
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

/// Where the origin listens.
pub fn address() -> SocketAddr {
    origin().address()
}

/// Where it listens as well, for cases whose connections no other case may use.
pub fn address_apart() -> SocketAddr {
    static APART: OnceLock<Origin> = OnceLock::new();
    APART.get_or_init(|| Origin::handling(handle)).address()
}

/// Where an application listens that answers 413 when it has read the head of a request, and then closes, or at the
/// path `/ends` first says that it has ended.
pub fn hasty_address() -> SocketAddr {
    static HASTY: OnceLock<Origin> = OnceLock::new();
    HASTY.get_or_init(|| Origin::raw(answer_hastily)).address()
}

fn answer_hastily(mut socket: TcpStream) {
    let mut source = Source::new(socket.try_clone().expect("a second handle"));
    let Ok(head) = source.until(b"\r\n\r\n") else { return };
    let answer = Answer::new(413, "Payload Too Large").header("Connection", "close").body("too much\n");
    let _ = socket.write_all(&answer.bytes_for("POST"));
    if head.starts_with(b"POST /ends ") {
        let _ = socket.shutdown(Shutdown::Write);
    }
}

type Pages = Mutex<HashMap<String, Entry>>;

#[derive(Clone)]
struct Entry {
    report: Sender<Received>,
    handler: Arc<Handler>,
}

fn pages() -> MutexGuard<'static, HashMap<String, Entry>> {
    static PAGES: OnceLock<Pages> = OnceLock::new();
    PAGES.get_or_init(Pages::default).lock().expect("pages")
}

/// The one origin of this test process, started when first asked for.
fn origin() -> &'static Origin {
    static ORIGIN: OnceLock<Origin> = OnceLock::new();
    ORIGIN.get_or_init(|| Origin::handling(handle))
}

fn handle(request: &Received, socket: &mut TcpStream) -> Then {
    let Some(entry) = entry_for(&request.target) else {
        let answer = Answer::new(404, "Not Found").body(format!("the origin has no {}\n", request.target));
        let _ = socket.write_all(&answer.bytes_for(&request.method));
        return Then::KeepOpen;
    };
    let _ = entry.report.send(request.clone());
    (entry.handler)(request, socket)
}

fn entry_for(target: &str) -> Option<Entry> {
    let path = target.split('?').next().unwrap_or_default();
    let pages = pages();
    path.split('/').find_map(|segment| pages.get(segment).cloned())
}

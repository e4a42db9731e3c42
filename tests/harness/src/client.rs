//! A client on a bare socket: it writes the bytes it is told to, and reads answers strictly.
//!
//! An answer may be read whole (`response`) or as it comes (`head`, then `expect_body`, then `expect_body_end`),
//! which is how the cases watch held streams. Interim (1xx) answers are only skipped by who asks for that.

use crate::headers::Headers;
use crate::socket::{self, patient};
use crate::source::{End, Source};
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// One connection to the server under test.
pub struct Client {
    socket: TcpStream,
    source: Source,
    framing: Framing,
    /// Body bytes that have been decoded and not yet been expected.
    decoded: Vec<u8>,
    /// The method of the request whose answer is next: a HEAD has no body, whatever its headers say.
    asked_head: bool,
}

/// The first part of an answer.
#[derive(Clone, Debug)]
pub struct Head {
    /// `HTTP/1.1` or `HTTP/1.0`.
    pub version: String,
    /// The status code.
    pub code: u16,
    /// The reason phrase.
    pub reason: String,
    /// The fields.
    pub headers: Headers,
}

/// A whole answer.
#[derive(Debug)]
pub struct Response {
    /// `HTTP/1.1` or `HTTP/1.0`.
    pub version: String,
    /// The status code.
    pub code: u16,
    /// The reason phrase.
    pub reason: String,
    /// The fields.
    pub headers: Headers,
    /// The body without its framing.
    pub body: Vec<u8>,
}

impl Response {
    /// The body, which is text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a body of UTF-8")
    }
}

#[derive(Clone, Copy, Debug)]
enum Framing {
    Length(usize),
    Chunked,
    UntilClose,
    Ended,
}

impl Client {
    /// A client that connects to `address`.
    pub fn connect(address: SocketAddr) -> Client {
        Client::over(socket::connect(address))
    }

    /// A client that has `socket` for its connection.
    pub fn over(socket: TcpStream) -> Client {
        let socket = patient(socket);
        let source = Source::new(socket.try_clone().expect("a second handle"));
        Client { socket, source, framing: Framing::Ended, decoded: Vec::new(), asked_head: false }
    }

    /// Sends bytes as they are. A server that has already refused them may have closed: that is no failure here.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Client {
        let bytes = bytes.as_ref();
        self.asked_head = bytes.starts_with(b"HEAD ");
        let _ = self.socket.write_all(bytes);
        self
    }

    /// Reads a whole answer.
    pub fn response(&mut self) -> Response {
        let Head { version, code, reason, headers } = self.head();
        let mut body = std::mem::take(&mut self.decoded);
        while let Some(part) =
            self.part().unwrap_or_else(|end| panic!("{end:?} within a body, after {body:?}"))
        {
            body.extend(part);
        }
        Response { version, code, reason, headers, body }
    }

    /// Reads the head of an answer; its body comes next.
    pub fn head(&mut self) -> Head {
        let head = self.try_head().unwrap_or_else(|end| panic!("{end:?} instead of the head of an answer"));
        self.framing = self.framing_of(&head);
        self.decoded.clear();
        head
    }

    /// Reads the head of an answer, or says why there is none.
    pub fn try_head(&mut self) -> Result<Head, End> {
        let text = String::from_utf8(self.source.until(b"\r\n\r\n")?).expect("a head of UTF-8");
        let (first, rest) = text.split_once("\r\n").expect("a status line");
        let mut words = first.splitn(3, ' ');
        let version = words.next().expect("a version").to_owned();
        assert!(version == "HTTP/1.1" || version == "HTTP/1.0", "bad status line {first:?}");
        let code =
            words.next().and_then(|word| word.parse().ok()).unwrap_or_else(|| panic!("no code in {first:?}"));
        let reason = words.next().unwrap_or_default().to_owned();
        Ok(Head { version, code, reason, headers: Headers::parse(rest) })
    }

    /// Reads as many bytes of the body as `text` has, as soon as they have come, and compares.
    pub fn expect_body(&mut self, text: impl AsRef<[u8]>) {
        let wanted = text.as_ref();
        while self.decoded.len() < wanted.len() {
            let lossy = String::from_utf8_lossy(&self.decoded).into_owned();
            match self.part() {
                Ok(Some(part)) => self.decoded.extend(part),
                Ok(None) => panic!("the body ended after {lossy:?}"),
                Err(end) => panic!("{end:?} after {lossy:?}, awaiting {:?}", String::from_utf8_lossy(wanted)),
            }
        }
        let got: Vec<u8> = self.decoded.drain(..wanted.len()).collect();
        assert_eq!(
            String::from_utf8_lossy(&got),
            String::from_utf8_lossy(wanted),
            "the next bytes of the body"
        );
    }

    /// The next bytes of a body, whatever they are, if some come in time.
    pub fn body_within(&mut self, patience: Duration) -> Option<String> {
        if self.decoded.is_empty() {
            self.source.await_bytes(patience).ok()?;
            self.decoded = self.part().expect("more of the body").expect("a body that goes on");
        }
        Some(String::from_utf8(std::mem::take(&mut self.decoded)).expect("a body of UTF-8"))
    }

    /// The body ends here, cleanly: by its length, its final chunk, or (if so framed) the connection's end.
    pub fn expect_body_end(&mut self) {
        assert_eq!(String::from_utf8_lossy(&self.decoded), "", "nothing more in the body");
        match self.part() {
            Ok(None) => {}
            Ok(Some(part)) => panic!("the body goes on: {:?}", String::from_utf8_lossy(&part)),
            Err(end) => panic!("{end:?} instead of the body's end"),
        }
    }

    /// Reads the rest of a body, which is text, up to its clean end.
    pub fn rest_of_body(&mut self) -> String {
        while let Some(part) = self.part().unwrap_or_else(|end| panic!("{end:?} instead of the body's end")) {
            self.decoded.extend(part);
        }
        String::from_utf8(std::mem::take(&mut self.decoded)).expect("a body of UTF-8")
    }

    /// The body is cut off: the connection ends before the body does. Returns what came before.
    pub fn expect_body_cut(&mut self) -> Vec<u8> {
        loop {
            match self.part() {
                Ok(Some(part)) => self.decoded.extend(part),
                Ok(None) => {
                    panic!("the body ended cleanly after {:?}", String::from_utf8_lossy(&self.decoded))
                }
                Err(End::Closed) => return std::mem::take(&mut self.decoded),
                Err(End::Silence) => panic!("the connection stays open"),
            }
        }
    }

    /// The server closes the connection and sends nothing before.
    pub fn expect_closed(&mut self) {
        match self.source.some(usize::MAX) {
            Err(End::Closed) => {}
            Err(End::Silence) => panic!("the connection stays open"),
            Ok(bytes) => panic!("bytes instead of the end: {:?}", String::from_utf8_lossy(&bytes)),
        }
    }

    /// Does a byte of an answer come in time?
    pub fn answered_within(&mut self, patience: Duration) -> bool {
        match self.source.await_bytes(patience) {
            Ok(()) => true,
            Err(End::Silence) => false,
            Err(End::Closed) => panic!("closed instead of an answer"),
        }
    }

    /// Like `answered_within`, but a closed connection is no answer either.
    pub fn await_answer(&mut self, patience: Duration) -> bool {
        self.source.await_bytes(patience).is_ok()
    }

    fn part(&mut self) -> Result<Option<Vec<u8>>, End> {
        match self.framing {
            Framing::Ended | Framing::Length(0) => Ok(None),
            Framing::Length(left) => {
                let bytes = self.source.some(left)?;
                self.framing = Framing::Length(left - bytes.len());
                Ok(Some(bytes))
            }
            Framing::Chunked => {
                let chunk = self.source.chunk()?;
                if chunk.is_empty() {
                    self.framing = Framing::Ended;
                }
                Ok(Some(chunk).filter(|chunk| !chunk.is_empty()))
            }
            Framing::UntilClose => match self.source.some(usize::MAX) {
                Ok(bytes) => Ok(Some(bytes)),
                Err(End::Closed) => {
                    self.framing = Framing::Ended;
                    Ok(None)
                }
                Err(silence) => Err(silence),
            },
        }
    }

    /// RFC 9112 section 6.3.
    fn framing_of(&self, head: &Head) -> Framing {
        if self.asked_head || head.code / 100 == 1 || head.code == 204 || head.code == 304 {
            return Framing::Ended;
        }
        let length = head.headers.get("Content-Length");
        if let Some(coding) = head.headers.get("Transfer-Encoding") {
            assert_eq!(coding, "chunked");
            assert_eq!(length, None, "a chunked answer has no Content-Length");
            return Framing::Chunked;
        }
        match length {
            Some(length) => Framing::Length(length.parse().expect("Content-Length is a number")),
            None => Framing::UntilClose,
        }
    }
}

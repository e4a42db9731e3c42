//! Applications that speak WebSocket themselves, and clients seen as closely: frame by frame.
//!
//! A case holds both ends. It opens the client's with [`Sockets::open`], which also gives it the application's, and
//! from then on whatever one end sends, the other expects. Nothing is answered by itself, neither pings nor closes, so
//! that a case sees what the server under test does and nothing else. An end that is dropped vanishes without a close.

use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};
use tungstenite::handshake::derive_accept_key;
pub use tungstenite::protocol::frame::coding::OpCode;
use tungstenite::protocol::frame::coding::{Control, Data};
use tungstenite::protocol::frame::{Frame, FrameHeader, FrameSocket};

use super::origin::{Page, Received, Then};
use super::proxy::{Proxy, standard};
use super::websocket::{PROBE, Socket};
use super::{PATIENCE, against_pushpin};

pub const TEXT: OpCode = OpCode::Data(Data::Text);
pub const BINARY: OpCode = OpCode::Data(Data::Binary);
pub const CONTINUE: OpCode = OpCode::Data(Data::Continue);
pub const PING: OpCode = OpCode::Control(Control::Ping);
pub const PONG: OpCode = OpCode::Control(Control::Pong);
pub const CLOSE: OpCode = OpCode::Control(Control::Close);

/// An application that accepts every WebSocket.
pub struct Sockets {
    pub page: Page,
    accepted: Receiver<Peer>,
}

impl Sockets {
    /// The 101 has `headers` beside those of the upgrade.
    pub fn accepting(headers: &'static [(&'static str, &'static str)]) -> Sockets {
        Sockets::with(move |request| acceptance(request, headers))
    }

    /// The application speaks GRIP, with the usual prefix.
    pub fn speaking_grip() -> Sockets {
        Sockets::accepting(&[("Sec-WebSocket-Extensions", "grip")])
    }

    /// `answer` makes the bytes of the 101, and of what follows it at once.
    pub fn with(answer: impl Fn(&Received) -> Vec<u8> + Send + Sync + 'static) -> Sockets {
        let (report, accepted) = channel();
        let page = Page::handling(move |request, socket| {
            let _ = socket.write_all(&answer(request));
            let _ = report.send(Peer::new(socket.try_clone().expect("a second handle"), None));
            // The connection stays open: the case has it now.
            Then::Close
        });
        Sockets { page, accepted }
    }

    /// Opens a WebSocket to this application by way of `proxy`; both its ends, the client's first.
    pub fn open(&self, proxy: &Proxy, host: &str) -> (Peer, Peer) {
        let client = Peer::client(&proxy.open(host, &self.page.path));
        (client, self.peer())
    }

    /// The application's end of the next WebSocket.
    pub fn peer(&self) -> Peer {
        self.accepted.recv_timeout(PATIENCE).expect("a WebSocket reaches the application")
    }
}

/// A 101 for `request`.
pub fn acceptance(request: &Received, headers: &[(&str, &str)]) -> Vec<u8> {
    let key = request.headers.get("Sec-WebSocket-Key").expect("a key");
    let accept = derive_accept_key(key.as_bytes());
    let mut head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n"
    );
    headers.iter().for_each(|(name, value)| head += &format!("{name}: {value}\r\n"));
    (head + "\r\n").into_bytes()
}

/// Subscribes the client by a control message of the application, and waits until that is in force.
pub fn subscribe(client: &mut Peer, server: &mut Peer, channel: &str) {
    server.control(json!({"type": "subscribe", "channel": channel}));
    expect_relayed(client, server, "welcome");
    client.await_subscription(standard(), channel);
}

/// Sends a text with GRIP's prefix, which the client gets without, and nothing before it.
pub fn expect_relayed(client: &mut Peer, server: &mut Peer, text: &str) {
    server.text(&format!("m:{text}"));
    client.expect_text(text);
}

/// One end of a WebSocket.
pub struct Peer {
    frames: FrameSocket<TcpStream>,
    /// What this end's frames are masked with: only clients mask (RFC 6455 section 5.1).
    mask: Option<[u8; 4]>,
}

/// A frame as it arrived.
#[derive(Debug, PartialEq, Eq)]
pub struct Seen {
    pub kind: OpCode,
    pub last: bool,
    pub masked: bool,
    pub payload: Vec<u8>,
}

impl Peer {
    /// The client's end of a WebSocket through which nothing has come yet.
    pub fn client(socket: &Socket) -> Peer {
        Peer::new(socket.socket.get_ref().try_clone().expect("a second handle"), Some(*b"mask"))
    }

    fn new(stream: TcpStream, mask: Option<[u8; 4]>) -> Peer {
        let _ = stream.set_nodelay(true);
        let peer = Peer { frames: FrameSocket::new(stream), mask };
        peer.wait_at_most(PATIENCE);
        peer
    }

    /// Sends a message of one frame.
    pub fn send(&mut self, kind: OpCode, payload: impl AsRef<[u8]>) {
        self.frame(kind, true, payload.as_ref());
    }

    pub fn text(&mut self, text: &str) {
        self.send(TEXT, text);
    }

    /// Sends a control message of GRIP.
    pub fn control(&mut self, message: Value) {
        self.text(&format!("c:{message}"));
    }

    /// Sends a message's first frame, or (CONTINUE) one in its midst; `send` with CONTINUE sends its last.
    pub fn part(&mut self, kind: OpCode, payload: impl AsRef<[u8]>) {
        self.frame(kind, false, payload.as_ref());
    }

    /// Sends a close.
    pub fn close(&mut self, code: u16, reason: &str) {
        self.send(CLOSE, close_payload(code, reason));
    }

    /// Sends bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.frames.get_mut().write_all(bytes).expect("bytes are sent");
    }

    fn frame(&mut self, kind: OpCode, last: bool, payload: &[u8]) {
        let header = FrameHeader { is_final: last, opcode: kind, mask: self.mask, ..FrameHeader::default() };
        self.frames.send(Frame::from_payload(header, payload.to_vec().into())).expect("a frame is sent");
    }

    /// The next frame.
    pub fn next(&mut self) -> Seen {
        self.next_or_end().expect("a frame").expect("a frame, not the end")
    }

    /// Does a frame come in time?
    pub fn hears_within(&mut self, patience: Duration) -> bool {
        self.wait_at_most(patience);
        let heard = matches!(self.try_next(), Ok(Some(_)));
        self.wait_at_most(PATIENCE);
        heard
    }

    /// The next frame is this one.
    pub fn expect_frame(&mut self, kind: OpCode, last: bool, payload: impl AsRef<[u8]>) {
        let seen = self.next();
        assert_eq!((seen.kind, seen.last, lossy(&seen.payload)), (kind, last, lossy(payload.as_ref())));
    }

    /// The next message is this one, in however many frames and with nothing between them.
    pub fn expect(&mut self, kind: OpCode, payload: impl AsRef<[u8]>) {
        let first = self.next();
        assert_eq!(first.kind, kind, "{first:?}");
        assert!(lossy(&self.rest_of(first)) == lossy(payload.as_ref()), "{kind} of other content");
    }

    pub fn expect_text(&mut self, text: &str) {
        let first = self.next();
        assert_eq!(first.kind, TEXT, "{first:?}");
        assert_eq!(lossy(&self.rest_of(first)), text);
    }

    /// The next frame is a close, with this code and reason.
    pub fn expect_close(&mut self, code: u16, reason: &str) {
        self.expect_frame(CLOSE, true, close_payload(code, reason));
    }

    /// The connection ends, and nothing comes before.
    pub fn expect_end(&mut self) {
        match self.next_or_end() {
            Ok(None) => {}
            Err(tungstenite::Error::Io(error)) if !is_silence(&error) => {}
            other => panic!("not the end: {other:?}"),
        }
    }

    /// The connection is closed or ends, and no message comes before.
    pub fn expect_closing(&mut self) {
        match self.next_or_end() {
            Ok(Some(seen)) => assert_eq!(seen.kind, CLOSE, "{seen:?}"),
            Ok(None) => {}
            Err(tungstenite::Error::Io(error)) if !is_silence(&error) => {}
            other => panic!("not the end: {other:?}"),
        }
    }

    /// Sends nothing more, and still reads.
    pub fn end_sending(&self) {
        self.frames.get_ref().shutdown(Shutdown::Write).expect("a connection");
    }

    /// Ends the connection without a close, as the end of a process does.
    pub fn vanish(self) {
        let _ = self.frames.get_ref().shutdown(Shutdown::Both);
    }

    /// Waits until a subscription is in force; see [`Socket::await_subscription`].
    pub fn await_subscription(&mut self, proxy: &Proxy, channel: &str) {
        if !against_pushpin() {
            return;
        }
        proxy.publish_until(channel, || self.hears_within(Duration::from_millis(50)));
    }

    /// All of a message that begins with `first`.
    fn rest_of(&mut self, first: Seen) -> Vec<u8> {
        let Seen { mut last, mut payload, .. } = first;
        while !last {
            let next = self.next();
            assert_eq!(next.kind, CONTINUE, "within a message: {next:?}");
            payload.extend(next.payload);
            last = next.last;
        }
        payload
    }

    fn next_or_end(&mut self) -> tungstenite::Result<Option<Seen>> {
        loop {
            match self.try_next() {
                Ok(Some(seen)) if seen.payload == PROBE.as_bytes() => {}
                other => return other,
            }
        }
    }

    fn try_next(&mut self) -> tungstenite::Result<Option<Seen>> {
        let Some(frame) = self.frames.read(None)? else { return Ok(None) };
        let header = frame.header().clone();
        let mut payload = frame.into_payload().to_vec();
        if let Some(mask) = header.mask {
            payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
        }
        let masked = header.mask.is_some();
        Ok(Some(Seen { kind: header.opcode, last: header.is_final, masked, payload }))
    }

    fn wait_at_most(&self, patience: Duration) {
        self.frames.get_ref().set_read_timeout(Some(patience)).expect("a timeout");
    }
}

fn close_payload(code: u16, reason: &str) -> Vec<u8> {
    [&code.to_be_bytes(), reason.as_bytes()].concat()
}

fn is_silence(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)
}

fn lossy(payload: &[u8]) -> String {
    String::from_utf8_lossy(payload).into_owned()
}

//! Ends of a WebSocket seen closely, frame by frame: a client's or an application's.
//!
//! Whatever one end sends, the other expects. Nothing is answered by itself, neither pings nor closes, so that a test
//! sees what the server under test does and nothing else. An end that is dropped vanishes without a close.

use crate::deadline::patience;
use crate::socket::{Steady, patient};
use crate::websocket::{PROBE, Socket};
use serde_json::Value;
use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::time::Duration;
pub use tungstenite::protocol::frame::coding::OpCode;
use tungstenite::protocol::frame::coding::{Control, Data};
use tungstenite::protocol::frame::{Frame, FrameHeader, FrameSocket};

/// A message of text, or its first frame.
pub const TEXT: OpCode = OpCode::Data(Data::Text);
/// A message of bytes, or its first frame.
pub const BINARY: OpCode = OpCode::Data(Data::Binary);
/// A further frame of a message.
pub const CONTINUE: OpCode = OpCode::Data(Data::Continue);
/// A ping.
pub const PING: OpCode = OpCode::Control(Control::Ping);
/// The answer to a ping.
pub const PONG: OpCode = OpCode::Control(Control::Pong);
/// The last frame of a direction.
pub const CLOSE: OpCode = OpCode::Control(Control::Close);

/// One end of a WebSocket.
pub struct Peer {
    frames: FrameSocket<Steady>,
    /// What this end's frames are masked with: only clients mask (RFC 6455 section 5.1).
    mask: Option<[u8; 4]>,
}

/// A frame as it arrived.
#[derive(Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its kind.
    pub kind: OpCode,
    /// Whether it ends its message.
    pub last: bool,
    /// Whether it was masked.
    pub masked: bool,
    /// What it carries, without its mask.
    pub payload: Vec<u8>,
}

impl Peer {
    /// The client's end of a WebSocket through which nothing has come yet.
    pub fn client(socket: &Socket) -> Peer {
        Peer::new(socket.socket.get_ref().try_clone().expect("a second handle"), Some(*b"mask"))
    }

    /// The application's end of a connection whose 101 has been sent.
    pub fn server(stream: TcpStream) -> Peer {
        Peer::new(stream, None)
    }

    fn new(stream: TcpStream, mask: Option<[u8; 4]>) -> Peer {
        Peer { frames: FrameSocket::new(Steady(patient(stream))), mask }
    }

    /// Sends a message of one frame.
    pub fn send(&mut self, kind: OpCode, payload: impl AsRef<[u8]>) {
        self.frame(kind, true, payload.as_ref());
    }

    /// Sends a message of text in one frame.
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
        self.try_raw(bytes).expect("bytes are sent");
    }

    /// Sends bytes as they are to a server that may have closed.
    pub fn try_raw(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.frames.get_mut().write_all(bytes)
    }

    fn frame(&mut self, kind: OpCode, last: bool, payload: &[u8]) {
        let header = FrameHeader { is_final: last, opcode: kind, mask: self.mask, ..FrameHeader::default() };
        self.frames.send(Frame::from_payload(header, payload.to_vec().into())).expect("a frame is sent");
    }

    /// The next frame.
    pub fn next_frame(&mut self) -> Seen {
        self.next_or_end().expect("a frame").expect("a frame, not the end")
    }

    /// Does a frame come in time?
    pub fn hears_within(&mut self, time: Duration) -> bool {
        self.wait_at_most(time);
        let heard = matches!(self.try_next(), Ok(Some(_)));
        self.wait_at_most(patience());
        heard
    }

    /// The next frame is this one.
    pub fn expect_frame(&mut self, kind: OpCode, last: bool, payload: impl AsRef<[u8]>) {
        let seen = self.next_frame();
        assert_eq!((seen.kind, seen.last, lossy(&seen.payload)), (kind, last, lossy(payload.as_ref())));
    }

    /// The next message is this one, in however many frames and with nothing between them.
    pub fn expect(&mut self, kind: OpCode, payload: impl AsRef<[u8]>) {
        let first = self.next_frame();
        assert_eq!(first.kind, kind, "{first:?}");
        assert!(lossy(&self.rest_of(first)) == lossy(payload.as_ref()), "{kind} of other content");
    }

    /// The next message is this text.
    pub fn expect_text(&mut self, text: &str) {
        let first = self.next_frame();
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

    /// All of a message that begins with `first`.
    fn rest_of(&mut self, first: Seen) -> Vec<u8> {
        let Seen { mut last, mut payload, .. } = first;
        while !last {
            let next = self.next_frame();
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
        // A mask of zeros changes nothing.
        let payload = unmasked(&frame.into_payload(), header.mask.unwrap_or_default());
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

/// The client's frame at the start of `input`, and the number of its bytes; `None` until it is whole.
pub fn masked_frame(input: &[u8]) -> Option<(Seen, usize)> {
    let &[first, second, ref rest @ ..] = input else { return None };
    assert!(second & 0x80 != 0, "a client's frame without a mask");
    let (length, rest) = match (second & 0x7f, rest) {
        (126, &[high, low, ref rest @ ..]) => (usize::from(u16::from_be_bytes([high, low])), rest),
        (126, _) => return None,
        (127, _) => panic!("a frame of 64 KiB or more"),
        (length, rest) => (usize::from(length), rest),
    };
    let (mask, masked) = rest.split_first_chunk::<4>()?;
    let payload = unmasked(masked.get(..length)?, *mask);
    let seen = Seen { kind: OpCode::from(first & 0x0f), last: first & 0x80 != 0, masked: true, payload };
    Some((seen, input.len() - masked.len() + length))
}

/// A client's frame of a message of text: its first one, or a further one (`CONTINUE`), and whether it is the last.
pub fn client_frame(kind: OpCode, is_last: bool, text: &[u8]) -> Vec<u8> {
    let mask = *b"mask";
    let mut frame = vec![u8::from(kind) | if is_last { 0x80 } else { 0 }];
    match text.len() {
        length @ 0..126 => frame.push(0x80 | length as u8),
        length => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&u16::try_from(length).expect("a short text").to_be_bytes());
        }
    }
    frame.extend_from_slice(&mask);
    frame.extend(unmasked(text, mask));
    frame
}

/// Takes a mask off, or puts it on.
fn unmasked(bytes: &[u8], mask: [u8; 4]) -> Vec<u8> {
    bytes.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect()
}

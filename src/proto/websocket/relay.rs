//! Relays the frames of an application that speaks WebSocket to its client (GRIP's WebSocket extension). Without GRIP
//! all frames pass unchanged. With GRIP a message that begins with the prefix goes to the client, without the prefix;
//! a text message that begins with `c:` is a control message for this server; any other message is dropped. Frames
//! are not joined: they pass as they arrive, and only the beginning of a message is read.

use super::frames::{Frames, Piece, Seen};
use super::header::{FrameHeader, Opcode};
use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use std::mem;

/// The longest control message, bytes; a longer one is dropped.
const CONTROL_BYTES: usize = 65_536;
/// The beginning of control messages.
const CONTROL: &[u8] = b"c:";

/// Relays an application's frames to its client.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Relay {
    /// The prefix of messages for the client; `None` without GRIP.
    prefix: Option<Box<str>>,
    frames: Frames,
    frame: Frame,
    message: Message,
    has_closed: bool,
}

/// Counts of a relay.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Relayed {
    /// All messages of the application.
    pub said: Seen,
    /// The messages for the client, in the form that the client gets.
    pub passed: Seen,
}

/// The frame that is arriving.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Frame {
    /// The frame is a ping, pong or close, which passes unchanged.
    is_control: bool,
    fin: bool,
    left: u64,
}

/// The message that is arriving.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Message {
    /// There is no message, or it is dropped.
    Dropped,
    /// The beginning of the message is not complete.
    Begun {
        opcode: Opcode,
        start: Vec<u8>,
        frames: u32,
    },
    Passed,
    /// The message is for this server.
    Control(Vec<u8>),
}

impl Relay {
    /// A relay; messages for the client begin with `prefix`. `None` is without GRIP.
    pub fn new(prefix: Option<Box<str>>) -> Relay {
        let frame = Frame { is_control: false, fin: true, left: 0 };
        Relay { prefix, frames: Frames::default(), frame, message: Message::Dropped, has_closed: false }
    }

    /// Takes bytes from the front of `input`, up to its end or the next control message, which is returned without
    /// its `c:`. Bytes for the client are appended to `out`; this is the only copy. Messages are counted in
    /// `relayed`.
    pub fn pass(&mut self, input: &mut &[u8], out: &mut BytesMut, relayed: &mut Relayed) -> Option<Bytes> {
        if self.prefix.is_none() {
            out.extend_from_slice(input);
            while let Some(piece) = self.frames.next(input) {
                self.has_closed |= is_close(&piece);
                relayed.said.see(&piece);
                relayed.passed.see(&piece);
            }
            return None;
        }
        while let Some(piece) = self.frames.next(input) {
            self.has_closed |= is_close(&piece);
            relayed.said.see(&piece);
            let control = match piece {
                Piece::Header(header) => self.begin(&header, out, &mut relayed.passed),
                Piece::Payload(payload, _) => self.payload(payload, out, &mut relayed.passed),
            };
            if control.is_some() {
                return control;
            }
        }
        None
    }

    /// Whether the client got only whole messages.
    pub fn is_between_messages(&self) -> bool {
        match self.prefix {
            None => self.frames.is_between_messages(),
            Some(_) => {
                let in_control = self.frame.is_control && self.frame.left > 0;
                !in_control && !matches!(self.message, Message::Passed)
            }
        }
    }

    /// Whether the client got only whole frames.
    pub fn is_between_frames(&self) -> bool {
        self.is_between_messages() || self.frames.is_between_frames()
    }

    /// Whether a close has passed.
    pub fn has_closed(&self) -> bool {
        self.has_closed
    }

    fn begin(&mut self, header: &FrameHeader, out: &mut BytesMut, passed: &mut Seen) -> Option<Bytes> {
        // A frame with a reserved opcode passes, and the client refuses it.
        let opcode = header.opcode.unwrap_or(Opcode::Continuation);
        self.frame = Frame { is_control: opcode.is_control(), fin: header.fin, left: header.length };
        if self.frame.is_control {
            FrameHeader::write(out, opcode, header.fin, header.length);
            return None;
        }
        match (opcode, &mut self.message) {
            (Opcode::Continuation, Message::Passed) => {
                FrameHeader::write(out, Opcode::Continuation, header.fin, header.length);
                passed.frame(header.length, header.fin);
            }
            (Opcode::Continuation, Message::Begun { frames, .. }) => *frames += 1,
            (Opcode::Continuation, _) => self.message = Message::Dropped,
            _ => self.message = Message::Begun { opcode, start: Vec::new(), frames: 1 },
        }
        self.decide(out, passed)
    }

    fn payload(&mut self, mut payload: &[u8], out: &mut BytesMut, passed: &mut Seen) -> Option<Bytes> {
        if self.frame.is_control {
            self.frame.left -= payload.len() as u64;
            out.extend_from_slice(payload);
            return None;
        }
        let needed = self.needed();
        if let Message::Begun { start, .. } = &mut self.message {
            let (now, rest) = payload.split_at(needed.saturating_sub(start.len()).min(payload.len()));
            start.extend_from_slice(now);
            self.frame.left -= now.len() as u64;
            payload = rest;
            let control = self.decide(out, passed);
            if control.is_some() {
                return control;
            }
        }
        self.frame.left -= payload.len() as u64;
        match &mut self.message {
            Message::Passed => out.extend_from_slice(payload),
            Message::Control(content) if content.len() + payload.len() > CONTROL_BYTES => {
                self.message = Message::Dropped;
            }
            Message::Control(content) => content.extend_from_slice(payload),
            Message::Dropped | Message::Begun { .. } => {}
        }
        self.end_frame()
    }

    /// How many bytes of a message show whom the message is for.
    fn needed(&self) -> usize {
        self.prefix.as_ref().map_or(0, |prefix| prefix.len()).max(CONTROL.len())
    }

    /// Decides about a message once its beginning is complete, or the message is over.
    fn decide(&mut self, out: &mut BytesMut, passed: &mut Seen) -> Option<Bytes> {
        let needed = self.needed();
        let is_over = self.frame.left == 0 && self.frame.fin;
        if let Message::Begun { opcode, start, frames } = &mut self.message
            && (start.len() >= needed || is_over)
        {
            let prefix = self.prefix.as_deref().unwrap_or_default().as_bytes();
            self.message = if *opcode == Opcode::Text && start.starts_with(CONTROL) {
                // As in Pushpin, a control message is one frame.
                match *frames == 1 && self.frame.fin {
                    true => Message::Control(start.split_off(CONTROL.len())),
                    false => Message::Dropped,
                }
            } else if let Some(content) = start.strip_prefix(prefix) {
                let length = content.len() as u64 + self.frame.left;
                FrameHeader::write(out, *opcode, self.frame.fin, length);
                out.extend_from_slice(content);
                passed.frame(length, self.frame.fin);
                Message::Passed
            } else {
                Message::Dropped
            };
        }
        self.end_frame()
    }

    /// The last frame of a message ends it.
    fn end_frame(&mut self) -> Option<Bytes> {
        if self.frame.left > 0 || !self.frame.fin || matches!(self.message, Message::Begun { .. }) {
            return None;
        }
        match mem::replace(&mut self.message, Message::Dropped) {
            Message::Control(content) => Some(content.into()),
            _ => None,
        }
    }
}

fn is_close(piece: &Piece<'_>) -> bool {
    matches!(piece, Piece::Header(FrameHeader { opcode: Some(Opcode::Close), .. }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(first: u8, payload: &str) -> Vec<u8> {
        [&[first, payload.len() as u8][..], payload.as_bytes()].concat()
    }

    /// What the client and this server get when `input` arrives in pieces of `piece` bytes.
    fn passed(prefix: Option<&str>, input: &[u8], piece: usize) -> (Vec<u8>, Vec<Bytes>) {
        let (mut relay, mut out, mut controls) =
            (Relay::new(prefix.map(Into::into)), BytesMut::new(), Vec::new());
        for mut part in input.chunks(piece) {
            while !part.is_empty() {
                controls.extend(relay.pass(&mut part, &mut out, &mut Relayed::default()));
            }
        }
        (out.to_vec(), controls)
    }

    #[test]
    fn without_grip_everything_passes() {
        let input = [frame(0x81, "c:{}"), frame(0x01, "a"), frame(0x89, "p"), frame(0x80, "b")].concat();
        assert_eq!(passed(None, &input, 3), (input, Vec::new()));
    }

    #[test]
    fn with_grip_messages_lose_their_prefix_and_others_are_dropped() {
        type Sent = &'static [(u8, &'static str)];
        let cases: [(&str, Sent, Sent, &[&str]); 9] = [
            ("m:", &[(0x81, "m:hi"), (0x82, "m:")], &[(0x81, "hi"), (0x82, "")], &[]),
            ("m:", &[(0x81, "hi"), (0x81, ""), (0x81, "m")], &[], &[]),
            ("m:", &[(0x81, "c:{}"), (0x82, "c:{}")], &[], &["{}"]),
            ("m:", &[(0x01, "c:{"), (0x80, "}"), (0x81, "c:")], &[], &[""]),
            (
                "m:",
                &[(0x01, "m:a"), (0x89, "p"), (0x00, ""), (0x80, "b")],
                &[(0x01, "a"), (0x89, "p"), (0x00, ""), (0x80, "b")],
                &[],
            ),
            ("m:", &[(0x01, "m"), (0x80, ":b")], &[(0x81, "b")], &[]),
            ("m:", &[(0x01, "x:"), (0x80, "m:b")], &[], &[]),
            ("", &[(0x81, "hi"), (0x81, ""), (0x82, "c:")], &[(0x81, "hi"), (0x81, ""), (0x82, "c:")], &[]),
            ("abc", &[(0x81, "c:x"), (0x81, "abcd"), (0x88, "")], &[(0x81, "d"), (0x88, "")], &["x"]),
        ];
        for (prefix, input, client, server) in cases {
            let bytes = |sent: Sent| -> Vec<u8> {
                sent.iter().flat_map(|(first, text)| frame(*first, text)).collect()
            };
            let (input, client) = (bytes(input), bytes(client));
            let server: Vec<Bytes> =
                server.iter().map(|control| Bytes::from_static(control.as_bytes())).collect();
            for piece in 1..=input.len() {
                assert_eq!(
                    passed(Some(prefix), &input, piece),
                    (client.clone(), server.clone()),
                    "{prefix:?} {input:x?} {piece}"
                );
            }
        }
    }

    #[test]
    fn a_control_message_stops_the_relay_until_it_is_done() {
        let input = [frame(0x81, "m:a"), frame(0x81, "c:1"), frame(0x81, "m:b")].concat();
        let (mut relay, mut out, mut rest) = (Relay::new(Some("m:".into())), BytesMut::new(), &input[..]);
        assert_eq!(relay.pass(&mut rest, &mut out, &mut Relayed::default()).as_deref(), Some(&b"1"[..]));
        assert_eq!((&out[..], rest), (&b"\x81\x01a"[..], &input[10..]));
    }

    #[test]
    fn a_message_that_is_under_way_shows_and_a_dropped_one_does_not() {
        for (prefix, input, between) in [
            (None, &b"\x01\x01a"[..], false),
            (None, b"\x81\x01a", true),
            (None, b"\x81", false),
            (Some("m:"), b"\x01\x03m:a", false),
            (Some("m:"), b"\x81\x03m:", false),
            (Some("m:"), b"\x81\x03m", true),
            (Some("m:"), b"\x01\x03x:a", true),
            (Some("m:"), b"\x89\x02p", false),
            (Some("m:"), b"\x89\x02pp", true),
        ] {
            let (mut relay, mut rest) = (Relay::new(prefix.map(Into::into)), input);
            relay.pass(&mut rest, &mut BytesMut::new(), &mut Relayed::default());
            assert_eq!(relay.is_between_messages(), between, "{prefix:?} {input:x?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_pass_the_same_however_they_are_cut(
            input in prop::collection::vec(prop_oneof![any::<u8>(), Just(0x81), Just(2), Just(b'm'), Just(b':'), Just(b'c')], 0..60),
            piece in 1usize..60, grip: bool,
        ) {
            let prefix = grip.then_some("m:");
            prop_assert_eq!(passed(prefix, &input, piece), passed(prefix, &input, input.len().max(1)));
        }
    }
}

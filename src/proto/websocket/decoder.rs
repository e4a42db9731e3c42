//! Decodes a client's frames in place. Data is returned as it arrives, so a message may be larger than any buffer;
//! control frames are returned whole. A protocol error ends the connection with the error's close code.

use super::close::{Close, CloseError};
use super::deflate::InflateError;
use super::header::{FrameHeader, Opcode, RSV1};
use super::mask::unmask;
use super::utf8::{NotUtf8, Utf8};
use serde::{Deserialize, Serialize};

/// Decodes one client's frames, in order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Decoder {
    message_bytes: u64,
    compression: bool,
    frame: Option<Frame>,
    message: Option<Message>,
}

/// A data frame whose payload is arriving.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Frame {
    fin: bool,
    mask: [u8; 4],
    /// How many bytes of the payload have come, and how many have not.
    done: u64,
    left: u64,
}

/// A message whose frames are arriving.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Message {
    kind: Kind,
    bytes: u64,
    is_compressed: bool,
    text: Utf8,
}

/// The kind of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Kind {
    /// UTF-8.
    Text,
    /// Any bytes.
    Binary,
}

/// A received part of a message, or a control frame.
#[derive(PartialEq, Eq, Debug)]
pub enum FrameEvent<'a> {
    /// A part of a message; a text may be cut within a character.
    Data {
        /// The kind of the message.
        kind: Kind,
        /// The bytes of this part.
        bytes: &'a [u8],
        /// Whether the message ends with this part.
        ends: bool,
        /// Whether the message is compressed (RFC 7692); a compressed text is not checked here.
        is_compressed: bool,
    },
    /// A ping; the pong must repeat its payload.
    Ping(&'a [u8]),
    /// A pong.
    Pong(&'a [u8]),
    /// The client closes. No frame may follow.
    Close(Option<Close>),
}

/// The result of one decoding step.
#[derive(Debug)]
pub struct Decoded<'a> {
    /// How many bytes of the input are consumed. Without an event and without used bytes, more must arrive.
    pub used: usize,
    /// The event of these bytes, if any.
    pub event: Option<FrameEvent<'a>>,
}

/// How the client broke the protocol.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ProtocolError {
    /// A frame without a mask (RFC 6455 section 5.1).
    #[error("a frame of a client without a mask")]
    Unmasked,
    /// Reserved bits without an extension that uses them.
    #[error("a frame with reserved bits")]
    Reserved,
    /// An unknown opcode.
    #[error("a frame with a reserved opcode")]
    Opcode,
    /// A fragmented control frame, or one of more than 125 bytes (section 5.5).
    #[error("a control frame that is too long or in parts")]
    Control,
    /// A continuation outside a message, or a new message within another (section 5.4).
    #[error("a frame out of its order")]
    Order,
    /// A length with its highest bit set (section 5.2).
    #[error("a frame whose length has its highest bit set")]
    Length,
    /// A message above the size limit.
    #[error("a message of more than {0} bytes")]
    TooLarge(u64),
    /// A text that is not UTF-8 (section 8.1).
    #[error("a text that is not UTF-8")]
    NotUtf8,
    /// A close frame with an invalid payload.
    #[error(transparent)]
    Close(#[from] CloseError),
    /// A compressed message that cannot be decompressed.
    #[error(transparent)]
    Compression(#[from] InflateError),
}

impl ProtocolError {
    /// The code of the close (section 7.4.1).
    pub fn close_code(&self) -> u16 {
        match self {
            ProtocolError::TooLarge(_) | ProtocolError::Compression(InflateError::TooLarge(_)) => {
                Close::TOO_LARGE
            }
            ProtocolError::NotUtf8
            | ProtocolError::Close(CloseError::Reason)
            | ProtocolError::Compression(InflateError::Garbage) => Close::NOT_UTF8,
            _ => Close::PROTOCOL_ERROR,
        }
    }
}

impl From<NotUtf8> for ProtocolError {
    fn from(_: NotUtf8) -> ProtocolError {
        ProtocolError::NotUtf8
    }
}

impl Decoder {
    /// A decoder of messages of up to `message_bytes`, which may be compressed if `compression` was negotiated.
    pub fn new(message_bytes: u64, compression: bool) -> Decoder {
        Decoder { message_bytes, compression, frame: None, message: None }
    }

    /// Whether no message is incomplete.
    pub fn is_between_messages(&self) -> bool {
        self.frame.is_none() && self.message.is_none()
    }

    /// Decodes from the front of `input` up to one event, and unmasks in place. The caller passes unused bytes again,
    /// followed by newly arrived ones.
    ///
    /// # Errors
    /// The client broke the protocol.
    pub fn decode<'a>(&mut self, input: &'a mut [u8]) -> Result<Decoded<'a>, ProtocolError> {
        if let Some(frame) = self.frame {
            return self.data(frame, input, 0);
        }
        let Some((header, used)) = FrameHeader::read(input) else {
            return Ok(Decoded { used: 0, event: None });
        };
        let (opcode, mask) = header.check(self.compression)?;
        if opcode.is_control() {
            return control(opcode, mask, header.length as usize, used, input);
        }
        self.begin(opcode, &header)?;
        let frame = Frame { fin: header.fin, mask, done: 0, left: header.length };
        self.data(frame, input, used)
    }

    /// Notes a data frame's place in its message; refuses a frame that would make the message too large.
    fn begin(&mut self, opcode: Opcode, header: &FrameHeader) -> Result<(), ProtocolError> {
        let is_compressed = header.reserved != 0;
        let kind = match (opcode, self.message) {
            (Opcode::Continuation, Some(message)) => message.kind,
            (Opcode::Text, None) => Kind::Text,
            (Opcode::Binary, None) => Kind::Binary,
            _ => return Err(ProtocolError::Order),
        };
        let begun = Message { kind, bytes: 0, is_compressed, text: Utf8::default() };
        let message = self.message.unwrap_or(begun);
        let bytes = message.bytes.saturating_add(header.length);
        if bytes > self.message_bytes {
            return Err(ProtocolError::TooLarge(self.message_bytes));
        }
        self.message = Some(Message { bytes, ..message });
        Ok(())
    }

    /// The payload part of `frame` after `skip` bytes of `input`.
    fn data<'a>(
        &mut self,
        mut frame: Frame,
        input: &'a mut [u8],
        skip: usize,
    ) -> Result<Decoded<'a>, ProtocolError> {
        let Some(message) = &mut self.message else { return Err(ProtocolError::Order) };
        let available = input.len() - skip;
        let now = usize::try_from(frame.left).unwrap_or(usize::MAX).min(available);
        let used = skip + now;
        let bytes = input.get_mut(skip..used).unwrap_or_default();
        unmask(bytes, frame.mask, frame.done);
        frame.done += now as u64;
        frame.left -= now as u64;
        let ends = frame.left == 0 && frame.fin;
        let (kind, is_compressed) = (message.kind, message.is_compressed);
        if kind == Kind::Text && !is_compressed {
            message.text.check(bytes)?;
            if ends && !message.text.is_whole() {
                return Err(ProtocolError::NotUtf8);
            }
        }
        self.frame = Some(frame).filter(|frame| frame.left > 0);
        if ends {
            self.message = None;
        }
        let event = (ends || now > 0).then_some(FrameEvent::Data { kind, bytes, ends, is_compressed });
        Ok(Decoded { used, event })
    }
}

impl FrameHeader {
    /// Checks the header of a client's frame; returns its opcode and mask. With compression, the first frame of a
    /// message may have RSV1.
    ///
    /// # Errors
    /// The header breaks the protocol.
    pub fn check(&self, compression: bool) -> Result<(Opcode, [u8; 4]), ProtocolError> {
        let opcode = self.opcode.ok_or(ProtocolError::Opcode)?;
        let may_be_compressed = compression && matches!(opcode, Opcode::Text | Opcode::Binary);
        if self.reserved != 0 && !(may_be_compressed && self.reserved == RSV1) {
            return Err(ProtocolError::Reserved);
        }
        if opcode.is_control() && (!self.fin || self.length > Opcode::CONTROL_BYTES as u64) {
            return Err(ProtocolError::Control);
        }
        if self.length >> 63 != 0 {
            return Err(ProtocolError::Length);
        }
        Ok((opcode, self.mask.ok_or(ProtocolError::Unmasked)?))
    }
}

/// Decodes a control frame whose header has `skip` bytes; waits until the frame is whole.
fn control(
    opcode: Opcode,
    mask: [u8; 4],
    length: usize,
    skip: usize,
    input: &mut [u8],
) -> Result<Decoded<'_>, ProtocolError> {
    let used = skip + length;
    let Some(payload) = input.get_mut(skip..used) else { return Ok(Decoded { used: 0, event: None }) };
    unmask(payload, mask, 0);
    let event = match opcode {
        Opcode::Ping => FrameEvent::Ping(payload),
        Opcode::Pong => FrameEvent::Pong(payload),
        _ => FrameEvent::Close(Close::parse(payload)?),
    };
    Ok(Decoded { used, event: Some(event) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MASK: [u8; 4] = [1, 2, 3, 4];

    /// A client's frame, made of its first byte and its payload.
    fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![first];
        match payload.len() {
            length @ 0..=125 => frame.push(0x80 | length as u8),
            length => {
                frame.push(0xfe);
                frame.extend((length as u16).to_be_bytes());
            }
        }
        frame.extend(MASK);
        let mut payload = payload.to_vec();
        unmask(&mut payload, MASK, 0);
        frame.extend(payload);
        frame
    }

    /// All events, with the parts of a message joined, when `input` arrives in pieces of `piece` bytes.
    fn received(input: &[u8], piece: usize) -> Result<Vec<String>, ProtocolError> {
        let (mut decoder, mut carry) = (Decoder::new(1000, false), Vec::new());
        let (mut out, mut message) = (Vec::new(), Vec::new());
        for part in input.chunks(piece) {
            carry.extend_from_slice(part);
            loop {
                let decoded = decoder.decode(&mut carry)?;
                let used = decoded.used;
                match decoded.event {
                    Some(FrameEvent::Data { kind, bytes, ends, .. }) => {
                        message.extend_from_slice(bytes);
                        if ends {
                            let whole = std::mem::take(&mut message);
                            out.push(format!("{kind:?} {}", String::from_utf8_lossy(&whole)));
                        }
                    }
                    Some(event) => out.push(format!("{event:?}")),
                    None if used == 0 => break,
                    None => {}
                }
                carry.drain(..used);
            }
        }
        Ok(out)
    }

    #[test]
    fn messages_and_control_frames_come_out_however_they_are_cut() {
        let input = [
            masked(0x01, b"Hel"),
            masked(0x89, b"ping"),
            masked(0x00, b""),
            masked(0x80, "lo \u{20ac}".as_bytes()),
            masked(0x82, &[b'x'; 200]),
            masked(0x81, b""),
            masked(0x8a, b""),
            masked(0x88, b"\x03\xe8bye"),
        ]
        .concat();
        let expected = [
            "Ping([112, 105, 110, 103])".into(),
            "Text Hello \u{20ac}".into(),
            format!("Binary {}", "x".repeat(200)),
            "Text ".into(),
            "Pong([])".into(),
            "Close(Some(Close { code: 1000, reason: \"bye\" }))".into(),
        ];
        for piece in 1..input.len() {
            assert_eq!(received(&input, piece).as_deref(), Ok(&expected[..]), "pieces of {piece}");
        }
    }

    #[test]
    fn what_breaks_the_protocol_has_its_code() {
        let cases = [
            (b"\x81\x00".to_vec(), ProtocolError::Unmasked, 1002),
            (masked(0xc1, b""), ProtocolError::Reserved, 1002),
            (masked(0x83, b""), ProtocolError::Opcode, 1002),
            (masked(0x8b, b""), ProtocolError::Opcode, 1002),
            (masked(0x09, b""), ProtocolError::Control, 1002),
            (masked(0x89, &[0; 126]), ProtocolError::Control, 1002),
            (masked(0x80, b"x"), ProtocolError::Order, 1002),
            ([masked(0x01, b"x"), masked(0x81, b"y")].concat(), ProtocolError::Order, 1002),
            (b"\x82\xff\x80\0\0\0\0\0\0\0\x01\x02\x03\x04".to_vec(), ProtocolError::Length, 1002),
            (
                [masked(0x02, &[0; 600]), masked(0x80, &[0; 600])].concat(),
                ProtocolError::TooLarge(1000),
                1009,
            ),
            (masked(0x81, b"\xff"), ProtocolError::NotUtf8, 1007),
            (masked(0x81, b"\xe2\x82"), ProtocolError::NotUtf8, 1007),
            (masked(0x88, b"\x03"), CloseError::HalfACode.into(), 1002),
            (masked(0x88, b"\x03\xe8\xff"), CloseError::Reason.into(), 1007),
        ];
        for (input, error, code) in cases {
            assert_eq!(received(&input, 1000), Err(error), "{input:x?}");
            assert_eq!(error.close_code(), code);
        }
    }

    #[test]
    fn compressed_messages_are_told_where_they_were_agreed() {
        let mut input = [masked(0x41, b"\xff"), masked(0x80, b"\xff"), masked(0x81, b"a")].concat();
        let mut decoder = Decoder::new(1000, true);
        for expected in [(&b"\xff"[..], false, true), (b"\xff", true, true), (b"a", true, false)] {
            let decoded = decoder.decode(&mut input).unwrap();
            let Some(FrameEvent::Data { bytes, ends, is_compressed, .. }) = decoded.event else {
                panic!("{decoded:?}")
            };
            assert_eq!((bytes, ends, is_compressed), expected);
            let used = decoded.used;
            input.drain(..used);
        }
        for first in [0x91, 0xa1, 0xc0, 0xc9] {
            let refused = Decoder::new(1000, true).decode(&mut masked(first, b"")).map(drop);
            assert_eq!(refused, Err(ProtocolError::Reserved), "{first:x}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_decode_the_same_however_they_are_cut(
            input in prop::collection::vec(any::<u8>(), 0..80), piece in 1usize..80,
        ) {
            prop_assert_eq!(received(&input, piece), received(&input, input.len().max(1)));
        }
    }
}

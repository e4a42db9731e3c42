//! The header of a frame (RFC 6455 section 5.2).

use bytes::{BufMut, BytesMut};
use serde::{Deserialize, Serialize};

/// The type of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Opcode {
    /// A further frame of a message.
    Continuation,
    /// The first frame of a text message.
    Text,
    /// The first frame of a binary message.
    Binary,
    /// The end of the connection.
    Close,
    /// A request for a pong.
    Ping,
    /// The answer to a ping.
    Pong,
}

impl Opcode {
    /// The longest payload of a control frame (RFC 6455 section 5.5).
    pub const CONTROL_BYTES: usize = 125;

    /// Whether the frame is a control frame: short, unfragmented, and allowed between the frames of a message.
    pub fn is_control(self) -> bool {
        matches!(self, Opcode::Close | Opcode::Ping | Opcode::Pong)
    }

    /// Whether `content` is valid in a message of this type: text must be UTF-8, and control frames must be short.
    pub fn can_hold(self, content: &[u8]) -> bool {
        match self {
            Opcode::Text => std::str::from_utf8(content).is_ok(),
            _ => !self.is_control() || content.len() <= Opcode::CONTROL_BYTES,
        }
    }

    fn from_bits(bits: u8) -> Option<Opcode> {
        Some(match bits {
            0 => Opcode::Continuation,
            1 => Opcode::Text,
            2 => Opcode::Binary,
            8 => Opcode::Close,
            9 => Opcode::Ping,
            10 => Opcode::Pong,
            _ => return None,
        })
    }

    fn bits(self) -> u8 {
        match self {
            Opcode::Continuation => 0,
            Opcode::Text => 1,
            Opcode::Binary => 2,
            Opcode::Close => 8,
            Opcode::Ping => 9,
            Opcode::Pong => 10,
        }
    }
}

/// The reserved bit that marks a compressed message (RFC 7692 section 6).
pub(super) const RSV1: u8 = 4;

/// A frame's header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FrameHeader {
    /// Whether this is the last frame of its message.
    pub fin: bool,
    /// The three reserved bits, which extensions may use: RSV1 is 4.
    pub reserved: u8,
    /// The frame's type; `None` if the opcode is reserved.
    pub opcode: Option<Opcode>,
    /// The mask, which clients must use and servers must not.
    pub mask: Option<[u8; 4]>,
    /// The length of the payload, bytes.
    pub length: u64,
}

impl FrameHeader {
    /// The longest header: two bytes, a length of eight, and a mask.
    pub const LONGEST: usize = 14;

    /// The header at the start of `input` and its length in bytes; `None` if more bytes must arrive. Every header can
    /// be read; the caller decides whether it is allowed.
    pub fn read(input: &[u8]) -> Option<(FrameHeader, usize)> {
        let (&[first, second], rest) = input.split_first_chunk::<2>()?;
        let (length, rest) = match second & 0x7f {
            126 => {
                rest.split_first_chunk().map(|(length, rest)| (u16::from_be_bytes(*length).into(), rest))?
            }
            127 => rest.split_first_chunk().map(|(length, rest)| (u64::from_be_bytes(*length), rest))?,
            length => (length.into(), rest),
        };
        let (mask, rest) = match second & 0x80 {
            0 => (None, rest),
            _ => rest.split_first_chunk().map(|(mask, rest)| (Some(*mask), rest))?,
        };
        let (fin, reserved) = (first & 0x80 != 0, first >> 4 & 7);
        let header = FrameHeader { fin, reserved, opcode: Opcode::from_bits(first & 0x0f), mask, length };
        Some((header, input.len() - rest.len()))
    }

    /// Appends the header of a frame without a mask, in its shortest form.
    pub(super) fn write(out: &mut BytesMut, opcode: Opcode, fin: bool, length: u64) {
        FrameHeader::write_reserved(out, 0, opcode, fin, length);
    }

    /// As `write`, with reserved bits.
    pub(super) fn write_reserved(out: &mut BytesMut, reserved: u8, opcode: Opcode, fin: bool, length: u64) {
        out.put_u8(u8::from(fin) << 7 | reserved << 4 | opcode.bits());
        match length {
            0..=125 => out.put_u8(length as u8),
            126..=0xffff => {
                out.put_u8(126);
                out.put_u16(length as u16);
            }
            _ => {
                out.put_u8(127);
                out.put_u64(length);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_rfc_read() {
        let text =
            |fin, mask, length| FrameHeader { fin, reserved: 0, opcode: Some(Opcode::Text), mask, length };
        let mask = [0x37, 0xfa, 0x21, 0x3d];
        assert_eq!(FrameHeader::read(b"\x81\x05Hello"), Some((text(true, None, 5), 2)));
        assert_eq!(FrameHeader::read(b"\x81\x85\x37\xfa\x21\x3d"), Some((text(true, Some(mask), 5), 6)));
        assert_eq!(FrameHeader::read(b"\x01\x03"), Some((text(false, None, 3), 2)));
        assert_eq!(FrameHeader::read(b"\x81\x7e\x01\x00").map(|(header, _)| header.length), Some(256));
        let long = b"\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00";
        assert_eq!(FrameHeader::read(long).map(|(header, used)| (header.length, used)), Some((65536, 10)));
    }

    #[test]
    fn a_header_that_is_not_whole_waits() {
        let whole = b"\x81\xff\x00\x00\x00\x00\x00\x01\x00\x00\x01\x02\x03\x04";
        assert!((0..whole.len()).all(|end| FrameHeader::read(&whole[..end]).is_none()));
        assert_eq!(FrameHeader::read(whole).map(|(_, used)| used), Some(whole.len()));
    }

    #[test]
    fn what_is_written_reads_the_same_and_is_shortest() {
        for (length, bytes) in [(0, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10)] {
            let mut out = BytesMut::new();
            FrameHeader::write(&mut out, Opcode::Binary, true, length);
            let (header, used) = FrameHeader::read(&out).unwrap();
            assert_eq!((header.length, used, header.opcode), (length, bytes, Some(Opcode::Binary)));
        }
    }
}

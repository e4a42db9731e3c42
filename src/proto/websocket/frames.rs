//! Follows a stream of frames, cut anywhere: where frames begin and end, without reading their payload. The relay
//! needs no more, so a frame of any size passes without being stored.

use super::header::{FrameHeader, Opcode};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// A position in a stream of frames.
#[derive(Clone, Default, Debug, Serialize, Deserialize)]
pub struct Frames {
    /// The bytes of an incomplete header.
    begun: SmallVec<[u8; FrameHeader::LONGEST]>,
    /// How many bytes of the payload have not come.
    left: u64,
    /// Whether a message has begun whose last frame has not ended.
    in_message: bool,
    /// Whether the last data frame had FIN.
    is_last: bool,
    is_control: bool,
}

/// The next piece of a stream of frames.
#[derive(PartialEq, Eq, Debug)]
pub enum Piece<'a> {
    /// A frame's header; its payload may be empty.
    Header(FrameHeader),
    /// A part of the payload, and whether the payload ends with it. An empty payload has no such piece.
    Payload(&'a [u8], bool),
}

/// Counts messages that passed. A partial message counts with its bytes.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Seen {
    /// How many messages have ended.
    pub messages: u64,
    /// The size of their contents, bytes.
    pub bytes: u64,
}

impl Seen {
    /// The count of one message.
    pub fn message(content: &[u8]) -> Seen {
        Seen { messages: 1, bytes: content.len() as u64 }
    }

    /// Counts one piece of a stream of frames. A frame counts with its header, for its whole length.
    pub fn see(&mut self, piece: &Piece<'_>) {
        match piece {
            Piece::Header(header) if !header.opcode.is_some_and(Opcode::is_control) => {
                self.frame(header.length, header.fin);
            }
            Piece::Header(_) | Piece::Payload(..) => {}
        }
    }

    /// Counts a frame of a message.
    pub(super) fn frame(&mut self, bytes: u64, is_last: bool) {
        self.bytes += bytes;
        self.messages += u64::from(is_last);
    }
}

impl Frames {
    /// Takes the next piece from the front of `input`; `None` when `input` is empty.
    pub fn next<'a>(&mut self, input: &mut &'a [u8]) -> Option<Piece<'a>> {
        if self.left > 0 {
            let now = usize::try_from(self.left).unwrap_or(usize::MAX).min(input.len());
            let (payload, rest) = input.split_at_checked(now).filter(|(payload, _)| !payload.is_empty())?;
            *input = rest;
            self.left -= now as u64;
            self.settle();
            return Some(Piece::Payload(payload, self.left == 0));
        }
        while let Some((&byte, rest)) = input.split_first() {
            *input = rest;
            self.begun.push(byte);
            if let Some((header, _)) = FrameHeader::read(&self.begun) {
                self.begun.clear();
                self.begin(&header);
                return Some(Piece::Header(header));
            }
        }
        None
    }

    /// Whether no frame is incomplete.
    pub fn is_between_frames(&self) -> bool {
        self.begun.is_empty() && self.left == 0
    }

    /// Whether no message and no frame is incomplete.
    pub fn is_between_messages(&self) -> bool {
        self.is_between_frames() && !self.in_message
    }

    fn begin(&mut self, header: &FrameHeader) {
        self.left = header.length;
        self.is_control = header.opcode.is_some_and(Opcode::is_control);
        if !self.is_control {
            (self.in_message, self.is_last) = (true, header.fin);
        }
        self.settle();
    }

    fn settle(&mut self) {
        if self.left == 0 && !self.is_control && self.is_last {
            self.in_message = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Headers and joined payloads, and whether a message is over after each byte.
    fn passed(input: &[u8], piece: usize) -> (String, String) {
        let (mut frames, mut said, mut between) = (Frames::default(), String::new(), String::new());
        for mut part in input.chunks(piece) {
            while let Some(next) = frames.next(&mut part) {
                match next {
                    Piece::Header(header) => {
                        said += &format!("{:?}:", header.opcode.expect("a known opcode"))
                    }
                    Piece::Payload(payload, ends) => {
                        said += &String::from_utf8_lossy(payload);
                        said += if ends { "." } else { "" };
                    }
                }
            }
            between.push(if frames.is_between_messages() { '|' } else { '-' });
        }
        (said, between)
    }

    #[test]
    fn frames_are_the_same_however_they_are_cut() {
        let long = [&b"\x82\x7e\x01\x00"[..], &[b'x'; 256]].concat();
        let input = [b"\x01\x02ab\x89\x01p\x80\x00", &long[..]].concat();
        let (whole, _) = passed(&input, input.len());
        assert_eq!(whole, format!("Text:ab.Ping:p.Continuation:Binary:{}.", "x".repeat(256)));
        for piece in 1..20 {
            assert_eq!(passed(&input, piece).0, whole, "pieces of {piece}");
        }
    }

    #[test]
    fn a_message_is_over_when_its_last_frame_is() {
        assert_eq!(passed(b"\x01\x01a\x89\x00\x80\x01b\x81\x00\x89\x01p", 1).1, "-------|-|--|");
    }
}

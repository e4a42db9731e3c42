//! Frames that pass by, cut anywhere: where one begins and ends, without a look at what it holds. The relay needs no
//! more, so a frame of any size passes without being kept.

use super::header::{FrameHeader, Opcode};
use smallvec::SmallVec;

/// A place in a stream of frames.
#[derive(Default, Debug)]
pub struct Frames {
    /// A header that has not come in full.
    begun: SmallVec<[u8; FrameHeader::LONGEST]>,
    /// Bytes of the payload that have not come.
    left: u64,
    /// A message has begun and its last frame has not ended.
    in_message: bool,
    /// The last data frame had FIN.
    is_last: bool,
    is_control: bool,
}

/// What comes next.
#[derive(PartialEq, Eq, Debug)]
pub enum Piece<'a> {
    /// A frame begins; its payload may be empty.
    Header(FrameHeader),
    /// Some of its payload, and whether that was all of it. Not told of an empty payload.
    Payload(&'a [u8], bool),
}

/// Messages that have passed by. What is only a part of one counts with its bytes.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Seen {
    /// How many have ended.
    pub messages: u64,
    /// Bytes of their contents.
    pub bytes: u64,
}

impl Seen {
    /// One message.
    pub fn message(content: &[u8]) -> Seen {
        Seen { messages: 1, bytes: content.len() as u64 }
    }

    /// Counts the message that a piece of a stream of frames belongs to: with each frame's header, the whole frame.
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
    /// Takes the next piece off the front of `input`; `None` when all of it was taken.
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

    /// Whether every frame that has begun has ended.
    pub fn is_between_frames(&self) -> bool {
        self.begun.is_empty() && self.left == 0
    }

    /// Whether every message that has begun has ended, and every frame.
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

    /// Headers, payloads joined, and whether a message is over after each byte.
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

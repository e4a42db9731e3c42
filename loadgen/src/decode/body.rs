//! Removes the framing of an HTTP answer's body (RFC 9112 section 6). It reads byte by byte, so that no part of a chunk's
//! header has to be carried over. The state, which every held stream keeps, is eight bytes.

use super::Malformed;

/// The position in the body of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Body {
    place: Place,
    /// Bytes left of the chunk or of the body, or the chunk size read so far.
    left: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Before the first digit of a chunk's size.
    Size,
    /// Among the digits of a chunk's size.
    Digits,
    /// After the digits, until the line ends.
    Extension,
    Data,
    /// At the line end after the data.
    AfterData,
    /// At the start of a line of the trailer.
    Trailer,
    /// Within a line of the trailer.
    TrailerLine,
    /// In a body with a length.
    Counted,
    /// In a body that ends with its connection.
    Open,
    Ended,
}

/// The result of reading some input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Number of bytes of the body, which were moved to the front.
    pub body: usize,
    /// Number of input bytes that were used; fewer than all only if the body has ended.
    pub used: usize,
}

impl Body {
    /// A body in chunks, before its first one.
    pub fn chunked() -> Body {
        Body { place: Place::Size, left: 0 }
    }

    /// A body of `length` bytes.
    pub fn counted(length: u32) -> Body {
        Body { place: if length == 0 { Place::Ended } else { Place::Counted }, left: length }
    }

    /// A body that ends with its connection.
    pub fn open() -> Body {
        Body { place: Place::Open, left: 0 }
    }

    /// Whether the body is complete.
    pub fn ended(self) -> bool {
        self.place == Place::Ended
    }

    /// Whether the framing of all bytes so far is complete.
    pub fn between_chunks(self) -> bool {
        matches!(self.place, Place::Size | Place::Open | Place::Ended)
    }

    /// Removes the framing from `input`, in place.
    ///
    /// # Errors
    /// The framing of a chunk is malformed.
    pub fn take(&mut self, input: &mut [u8]) -> Result<Taken, Malformed> {
        let (mut body, mut used) = (0, 0);
        while used < input.len() && self.place != Place::Ended {
            match self.place {
                Place::Data | Place::Counted | Place::Open => {
                    let available = input.len() - used;
                    let length = match self.place {
                        Place::Open => available,
                        _ => available.min(self.left as usize),
                    };
                    input.copy_within(used..used + length, body);
                    (body, used) = (body + length, used + length);
                    self.moved(length);
                }
                _ => {
                    self.framing(input[used])?;
                    used += 1;
                }
            }
        }
        Ok(Taken { body, used })
    }

    fn moved(&mut self, length: usize) {
        if self.place == Place::Open {
            return;
        }
        self.left -= length as u32;
        if self.left == 0 {
            self.place = if self.place == Place::Data { Place::AfterData } else { Place::Ended };
        }
    }

    fn framing(&mut self, byte: u8) -> Result<(), Malformed> {
        self.place = match (self.place, byte) {
            (Place::Size | Place::Digits, _) if byte.is_ascii_hexdigit() => {
                let digit = char::from(byte).to_digit(16).unwrap_or_default();
                self.left = self
                    .left
                    .checked_mul(16)
                    .and_then(|left| left.checked_add(digit))
                    .ok_or(Malformed::Chunk)?;
                Place::Digits
            }
            (Place::Digits | Place::Extension, b'\n') if self.left == 0 => Place::Trailer,
            (Place::Digits | Place::Extension, b'\n') => Place::Data,
            (Place::Digits, b'\r' | b';' | b' ' | b'\t') | (Place::Extension, _) => Place::Extension,
            (Place::AfterData, b'\r') => Place::AfterData,
            (Place::AfterData, b'\n') => Place::Size,
            (Place::Trailer, b'\r') => Place::Trailer,
            (Place::Trailer, b'\n') => Place::Ended,
            (Place::TrailerLine, b'\n') => Place::Trailer,
            (Place::Trailer | Place::TrailerLine, _) => Place::TrailerLine,
            _ => return Err(Malformed::Chunk),
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The body in `wire` when it arrives in pieces that end at `cuts`, and the number of bytes after the body.
    fn decode(mut body: Body, wire: &[u8], cuts: &[usize]) -> Result<(Vec<u8>, usize, bool), Malformed> {
        let (mut out, mut from) = (Vec::new(), 0);
        for &cut in cuts.iter().chain([&wire.len()]) {
            let mut piece = wire[from..cut].to_vec();
            let taken = body.take(&mut piece)?;
            out.extend_from_slice(&piece[..taken.body]);
            from += taken.used;
            if body.ended() {
                break;
            }
        }
        Ok((out, wire.len() - from, body.ended()))
    }

    #[test]
    fn bad_chunks_are_malformed() {
        for wire in ["x\r\n", "\r\n", "5\r\nhelloX", "fffffffff\r\n", "-1\r\n"] {
            assert_eq!(decode(Body::chunked(), wire.as_bytes(), &[]), Err(Malformed::Chunk), "{wire}");
        }
    }

    #[test]
    fn counted_and_open_bodies_end_where_they_should() {
        assert_eq!(decode(Body::counted(3), b"abcHTTP", &[]), Ok((b"abc".to_vec(), 4, true)));
        assert_eq!(decode(Body::counted(0), b"HTTP", &[]), Ok((Vec::new(), 4, true)));
        assert_eq!(decode(Body::open(), b"abc", &[1]), Ok((b"abc".to_vec(), 0, false)));
    }

    proptest! {
        #[test]
        fn a_chunked_body_is_the_same_however_it_is_cut(chunks in prop::collection::vec("[a-z\n]{1,40}", 0..6)) {
            let mut wire = String::new();
            for chunk in &chunks {
                wire += &format!("{:x};ext=1\r\n{chunk}\r\n", chunk.len());
            }
            wire += "0\r\nTrailer: x\r\n\r\n";
            let whole = chunks.concat().into_bytes();
            let behind = format!("{wire}HTTP");
            for cut in 0..wire.len() {
                let decoded = decode(Body::chunked(), behind.as_bytes(), &[cut]);
                prop_assert_eq!(decoded, Ok((whole.clone(), 4, true)));
            }
        }
    }
}

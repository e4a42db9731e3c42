//! Bodies of requests and of answers (RFC 9112 sections 6 and 7.1), decoded in place. The core, and connections to
//! applications, call `decode` on received bytes until it uses none of them. Trailers are parsed and dropped. Sizes
//! and line ends must follow the grammar exactly: a chunk that two servers could measure differently is an error.
//! Data and errors do not depend on how the body was split in transit.

use super::chunk_line::{chunk_size, is_trailer_field};
use memchr::memchr;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// The longest chunk-size line with its extensions, bytes.
const SIZE_LINE_BYTES: usize = 4096;
/// The most bytes of all trailer fields, without the end of the last line.
const TRAILER_BYTES: usize = 16 * 1024;

/// How a body is framed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum BodyLength {
    /// There is no body.
    None,
    /// The length in Content-Length, bytes.
    Length(u64),
    /// The chunked coding.
    Chunked,
}

/// A body that breaks the rules of its framing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BodyError {
    /// A chunk size is not a hexadecimal number of at most 16 digits, or its line is malformed or too long.
    #[error("a chunk size is malformed")]
    ChunkSize,
    /// A chunk's data is not followed by CRLF.
    #[error("a chunk does not end where its size says")]
    ChunkEnd,
    /// The trailer fields are malformed or too long.
    #[error("the trailer fields are malformed")]
    Trailer,
}

/// The result of one decoding step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Decoded {
    /// How many bytes of the input are consumed.
    pub used: usize,
    /// The part of the consumed bytes that is body data.
    pub data: Range<usize>,
}

/// The state of decoding one body.
#[derive(Debug)]
pub struct BodyDecoder {
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Done,
    Length(u64),
    Size,
    Data(u64),
    DataEnd,
    Trailer { seen: usize },
    UntilClose,
}

impl BodyDecoder {
    /// The decoder at the start of a body.
    pub fn new(length: BodyLength) -> BodyDecoder {
        let state = match length {
            BodyLength::None | BodyLength::Length(0) => State::Done,
            BodyLength::Length(length) => State::Length(length),
            BodyLength::Chunked => State::Size,
        };
        BodyDecoder { state }
    }

    /// The decoder at the start of a body that ends with its connection. Only answers may have such a body.
    pub fn until_close() -> BodyDecoder {
        BodyDecoder { state: State::UntilClose }
    }

    /// Whether the end of the connection ends the body regularly.
    pub fn ends_with_connection(&self) -> bool {
        matches!(self.state, State::UntilClose)
    }

    /// Whether the body has ended; bytes after it belong to the next message.
    pub fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// How many bytes of the body are still to come, if its framing tells.
    pub fn remaining(&self) -> Option<u64> {
        match self.state {
            State::Done => Some(0),
            State::Length(left) => Some(left),
            State::Size | State::Data(_) | State::DataEnd | State::Trailer { .. } | State::UntilClose => None,
        }
    }

    /// Decodes from the front of `input` up to the end of one run of data. If it uses no bytes, more must arrive.
    ///
    /// # Errors
    /// The body breaks the rules of its framing.
    pub fn decode(&mut self, input: &[u8]) -> Result<Decoded, BodyError> {
        let mut used = 0;
        loop {
            let rest = input.get(used..).unwrap_or_default();
            match self.state {
                State::Done => return Ok(Decoded { used, data: 0..0 }),
                State::UntilClose => return Ok(Decoded { used: input.len(), data: used..input.len() }),
                State::Length(left) | State::Data(left) => {
                    let taken = left.min(rest.len() as u64);
                    if taken == 0 {
                        return Ok(Decoded { used, data: 0..0 });
                    }
                    self.state = self.after_data(left - taken);
                    let end = used + taken as usize;
                    return Ok(Decoded { used: end, data: used..end });
                }
                State::Size | State::DataEnd | State::Trailer { .. } => match self.control(rest)? {
                    Some(step) => used += step,
                    None => return Ok(Decoded { used, data: 0..0 }),
                },
            }
        }
    }

    fn after_data(&self, left: u64) -> State {
        match (self.state, left) {
            (State::Length(_), 0) => State::Done,
            (State::Length(_), left) => State::Length(left),
            (_, 0) => State::DataEnd,
            (_, left) => State::Data(left),
        }
    }

    /// Consumes one line between data; returns the line's length, or `None` if the line is incomplete.
    fn control(&mut self, rest: &[u8]) -> Result<Option<usize>, BodyError> {
        match self.state {
            State::DataEnd => match rest {
                [b'\r', b'\n', ..] => {
                    self.state = State::Size;
                    Ok(Some(2))
                }
                [] | [b'\r'] => Ok(None),
                _ => Err(BodyError::ChunkEnd),
            },
            State::Trailer { seen } => {
                let Some(line) = line(rest, TRAILER_BYTES.saturating_sub(seen), BodyError::Trailer)? else {
                    return Ok(None);
                };
                if !line.is_empty() && !is_trailer_field(line) {
                    return Err(BodyError::Trailer);
                }
                let length = line.len() + 2;
                self.state =
                    if line.is_empty() { State::Done } else { State::Trailer { seen: seen + length } };
                Ok(Some(length))
            }
            _ => {
                let Some(line) = line(rest, SIZE_LINE_BYTES, BodyError::ChunkSize)? else { return Ok(None) };
                self.state = match chunk_size(line).ok_or(BodyError::ChunkSize)? {
                    0 => State::Trailer { seen: 0 },
                    size => State::Data(size),
                };
                Ok(Some(line.len() + 2))
            }
        }
    }
}

/// The line at the start of `rest` without its CRLF; `None` if the line is incomplete.
fn line(rest: &[u8], limit: usize, error: BodyError) -> Result<Option<&[u8]>, BodyError> {
    let Some(end) = memchr(b'\n', rest) else {
        let lone_cr = memchr(b'\r', rest).is_some_and(|at| at + 1 != rest.len());
        // The byte after the limit may be the CR of the longest allowed line.
        return if rest.len() > limit + 1 || lone_cr { Err(error) } else { Ok(None) };
    };
    let line = rest.get(..end).and_then(|line| line.strip_suffix(b"\r")).ok_or(error)?;
    let sound =
        line.len() <= limit && line.iter().all(|byte| *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f));
    if sound { Ok(Some(line)) } else { Err(error) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Decodes `parts` as they would arrive; returns the data, the rest of the input, and whether the body ended.
    fn decode_all(length: BodyLength, parts: &[&[u8]]) -> Result<(Vec<u8>, Vec<u8>, bool), BodyError> {
        let (mut decoder, mut data, mut inbox) = (BodyDecoder::new(length), Vec::new(), Vec::new());
        for part in parts {
            inbox.extend_from_slice(part);
            loop {
                let step = decoder.decode(&inbox)?;
                data.extend_from_slice(&inbox[step.data.clone()]);
                inbox.drain(..step.used);
                if step.used == 0 || decoder.is_done() {
                    break;
                }
            }
        }
        Ok((data, inbox, decoder.is_done()))
    }

    #[test]
    fn bodies_end_where_their_framing_says() {
        let body = decode_all(BodyLength::Length(3), &[b"ab", b"cGET"]);
        assert_eq!(body, Ok((b"abc".to_vec(), b"GET".to_vec(), true)));
        let body = decode_all(BodyLength::Chunked, &[b"3;x=y\r\nabc\r\n0\r\nA: b\r\n\r\nGET"]);
        assert_eq!(body, Ok((b"abc".to_vec(), b"GET".to_vec(), true)));
        assert_eq!(decode_all(BodyLength::None, &[b"GET"]), Ok((vec![], b"GET".to_vec(), true)));
    }

    #[test]
    fn chunks_that_could_be_measured_differently_are_errors() {
        let sizes = [
            "\r\n",
            "g\r\n",
            "+1\r\na",
            "0x1\r\na",
            "1 \r\na",
            " 1\r\na",
            "11111111111111111\r\n",
            "1\na",
            "1;\r\na",
            "1;x=\"y\r\na",
            "1;x=y z\r\na",
            "-1\r\n",
        ];
        for input in sizes {
            let outcome = decode_all(BodyLength::Chunked, &[input.as_bytes()]);
            assert_eq!(outcome, Err(BodyError::ChunkSize), "{input:?}");
        }
        assert_eq!(decode_all(BodyLength::Chunked, &[b"1\r\nab\r\n"]), Err(BodyError::ChunkEnd));
        assert_eq!(decode_all(BodyLength::Chunked, &[b"1\r\na\n"]), Err(BodyError::ChunkEnd));
        for trailer in ["A: b\nB: c", " A: b", "GET / HTTP/1.1"] {
            let input = format!("0\r\n{trailer}\r\n\r\n");
            assert_eq!(
                decode_all(BodyLength::Chunked, &[input.as_bytes()]),
                Err(BodyError::Trailer),
                "{trailer:?}"
            );
        }
        let endless = vec![b'a'; TRAILER_BYTES + 2];
        assert_eq!(decode_all(BodyLength::Chunked, &[b"0\r\n", &endless]), Err(BodyError::Trailer));
    }

    #[test]
    fn the_longest_size_line_may_be_cut_before_its_line_feed() {
        let line = format!("1;{}", "e".repeat(SIZE_LINE_BYTES - 2));
        let parts: [&[u8]; 3] = [line.as_bytes(), b"\r", b"\na\r\n0\r\n\r\n"];
        assert_eq!(decode_all(BodyLength::Chunked, &parts), Ok((b"a".to_vec(), vec![], true)));
        let longer = format!("1;{}\r\na", "e".repeat(SIZE_LINE_BYTES - 1));
        assert_eq!(decode_all(BodyLength::Chunked, &[longer.as_bytes()]), Err(BodyError::ChunkSize));
    }

    #[test]
    fn trailers_are_bounded_together() {
        let line = b"A: b\r\n".repeat(TRAILER_BYTES / 6 + 2);
        let body = [b"0\r\n", &line[..], b"\r\n"].concat();
        assert_eq!(decode_all(BodyLength::Chunked, &[&body]), Err(BodyError::Trailer));
    }

    #[test]
    fn a_declared_length_says_what_is_missing() {
        let mut decoder = BodyDecoder::new(BodyLength::Length(5));
        assert_eq!(decoder.decode(b"ab"), Ok(Decoded { used: 2, data: 0..2 }));
        assert_eq!((decoder.remaining(), decoder.is_done()), (Some(3), false));
        assert_eq!(decoder.decode(b"cdeGET"), Ok(Decoded { used: 3, data: 0..3 }));
        assert_eq!((decoder.remaining(), decoder.is_done()), (Some(0), true));
        assert_eq!(BodyDecoder::new(BodyLength::Chunked).remaining(), None);
    }

    proptest! {
        #[test]
        fn any_chunked_bytes_mean_the_same_byte_by_byte(input in "[0-3afF;x:\r\n -]{0,40}") {
            let whole = decode_all(BodyLength::Chunked, &[input.as_bytes()]);
            let bytes: Vec<&[u8]> = input.as_bytes().chunks(1).collect();
            let outcome = |result: Result<(Vec<u8>, Vec<u8>, bool), BodyError>| {
                result.map(|(data, _, done)| (data, done))
            };
            prop_assert_eq!(outcome(decode_all(BodyLength::Chunked, &bytes)), outcome(whole));
        }

        #[test]
        fn chunks_cut_anywhere_give_back_their_data(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..6),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        ) {
            let mut wire = Vec::new();
            for chunk in &chunks {
                wire.extend_from_slice(format!("{:X}\r\n", chunk.len()).as_bytes());
                wire.extend_from_slice(chunk);
                wire.extend_from_slice(b"\r\n");
            }
            wire.extend_from_slice(b"0\r\n\r\n");
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(wire.len())).collect();
            cuts.extend([0, wire.len()]);
            cuts.sort_unstable();
            let parts: Vec<&[u8]> = cuts.windows(2).map(|pair| &wire[pair[0]..pair[1]]).collect();
            let (data, rest, done) = decode_all(BodyLength::Chunked, &parts).expect("valid chunks");
            prop_assert_eq!((data, rest.len(), done), (chunks.concat(), 0, true));
        }

        #[test]
        fn no_bytes_make_the_decoder_panic(parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..5)) {
            let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
            let _ = decode_all(BodyLength::Chunked, &parts);
            let _ = decode_all(BodyLength::Length(17), &parts);
        }
    }
}

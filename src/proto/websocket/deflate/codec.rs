//! Compresses and decompresses messages by DEFLATE (RFC 7692 section 7.2). One inflater and one deflater serve all
//! connections of a core, because both start every message without context.

use super::negotiate::Compression;
use bytes::Bytes;
use flate2::{Compress, Decompress, FlushCompress, FlushDecompress, Status};
use std::cell::RefCell;

/// The bytes that end the compressed form of every message, and are not sent (section 7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];
/// By how many bytes the output grows.
const STEP: usize = 16 * 1024;
/// Any message may decompress to this many bytes, however short it is.
const LEAST: usize = 1024 * 1024;
/// Beyond [`LEAST`], a message may decompress to this many times its length: text of applications seldom compresses
/// by more than 20, and DEFLATE by 1,032 at most.
const RATIO: usize = 100;
/// Shorter messages are not worth compressing.
const WORTHWHILE: usize = 64;
/// The fastest level; slower levels gain little for small messages.
const LEVEL: u32 = 1;

/// A compressed message that cannot be decompressed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InflateError {
    /// The message is not DEFLATE.
    #[error("a compressed message that is not DEFLATE")]
    Garbage,
    /// The decompressed message is above the size limit.
    #[error("a compressed message of more than {0} bytes")]
    TooLarge(usize),
}

/// Decompresses a whole message to at most `limit` bytes, and at most to 1 MiB or 100 times the message's length,
/// whichever is more. Little more than these bounds is ever decompressed.
///
/// # Errors
/// The message is not DEFLATE, or its content is too large.
pub fn inflate(message: &[u8], limit: usize) -> Result<Bytes, InflateError> {
    let limit = limit.min(message.len().saturating_mul(RATIO).max(LEAST));
    INFLATER.with_borrow_mut(|inflater| inflater.inflate(message, limit))
}

/// The compressed form of a message, if it is shorter than the message.
pub fn deflate(message: &[u8], compression: Compression) -> Option<Bytes> {
    DEFLATER.with_borrow_mut(|deflater| deflater.deflate(message, compression))
}

thread_local! {
    static INFLATER: RefCell<Inflater> = RefCell::default();
    static DEFLATER: RefCell<Deflater> = RefCell::default();
}

struct Inflater(Decompress);

#[derive(Default)]
struct Deflater {
    /// Deflaters by window size, made when first needed.
    by_window: [Option<Box<Compress>>; 16],
}

impl Default for Inflater {
    fn default() -> Inflater {
        Inflater(Decompress::new(false))
    }
}

impl Inflater {
    fn inflate(&mut self, message: &[u8], limit: usize) -> Result<Bytes, InflateError> {
        self.0.reset(false);
        let mut out = Vec::new();
        for part in [message, &TAIL] {
            self.part(part, limit, &mut out)?;
        }
        // The content may wait for long, and it is accounted for by its length.
        out.shrink_to_fit();
        Ok(out.into())
    }

    fn part(&mut self, mut input: &[u8], limit: usize, out: &mut Vec<u8>) -> Result<(), InflateError> {
        loop {
            out.reserve(STEP.min(limit.saturating_sub(out.len()) + 1));
            let (read_before, room) = (self.0.total_in(), out.capacity());
            let status = self.0.decompress_vec(input, out, FlushDecompress::Sync);
            let read = (self.0.total_in() - read_before) as usize;
            input = input.get(read..).unwrap_or_default();
            if out.len() > limit {
                return Err(InflateError::TooLarge(limit));
            }
            match status {
                // This block is marked as the last; the bytes after it start anew (section 7.2.3.4).
                Ok(Status::StreamEnd) => self.0.reset(false),
                Ok(Status::Ok | Status::BufError) => {}
                Err(_) => return Err(InflateError::Garbage),
            }
            let is_full = out.len() == room;
            if input.is_empty() && !is_full {
                return Ok(());
            }
            if read == 0 && !is_full {
                return Err(InflateError::Garbage);
            }
        }
    }
}

impl Deflater {
    fn deflate(&mut self, message: &[u8], compression: Compression) -> Option<Bytes> {
        if message.len() < WORTHWHILE {
            return None;
        }
        let bits = compression.window_bits;
        let kept = self.by_window.get_mut(bits as usize)?;
        // The deflater is kept only after all output is out: zlib-rs 0.6 does not survive a reset before that.
        let mut compress = kept.take().unwrap_or_else(|| {
            Box::new(Compress::new_with_window_bits(flate2::Compression::new(LEVEL), false, bits))
        });
        // If the output and its tail are longer than the message, compression is not worthwhile.
        let mut out = Vec::with_capacity(message.len() + TAIL.len());
        compress.compress_vec(message, &mut out, FlushCompress::Sync).ok()?;
        let is_whole = compress.total_in() == message.len() as u64 && out.len() < out.capacity();
        let body = out.strip_suffix(&TAIL).filter(|_| is_whole)?.len();
        compress.reset();
        *kept = Some(compress);
        out.truncate(body);
        (body < message.len()).then(|| out.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderMap, HeaderValue, header};
    use proptest::prelude::*;

    fn compression(offer: &str) -> Compression {
        let mut headers = HeaderMap::new();
        headers.insert(header::SEC_WEBSOCKET_EXTENSIONS, HeaderValue::from_str(offer).unwrap());
        Compression::negotiate(&headers).unwrap()
    }

    #[test]
    fn the_examples_of_the_rfc_inflate() {
        let cases: [(&[u8], &str); 5] = [
            (&[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00], "Hello"),
            (&[0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00], "Hello"),
            (&[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00], "Hello"),
            (&[0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00], "Hello"),
            (&[0x00], ""),
        ];
        for (compressed, message) in cases {
            let inflated = inflate(compressed, 100);
            assert_eq!(inflated.as_deref(), Ok(message.as_bytes()), "{compressed:x?}");
        }
    }

    #[test]
    fn a_bomb_stops_at_the_limit_and_garbage_at_once() {
        let bomb = deflate(&vec![0; 10_000_000], compression("permessage-deflate")).unwrap();
        assert!(bomb.len() < 100_000);
        assert_eq!(inflate(&bomb, 1_000_000), Err(InflateError::TooLarge(1_000_000)));
        assert_eq!(inflate(&bomb, 10_000_000), Err(InflateError::TooLarge(LEAST.max(bomb.len() * RATIO))));
        let large = deflate(&vec![0; 1_000_000], compression("permessage-deflate")).unwrap();
        assert_eq!(inflate(&large, 10_000_000).map(|message| message.len()), Ok(1_000_000));
        assert_eq!(inflate(b"\xff\xff\xff", 100), Err(InflateError::Garbage));
        assert_eq!(inflate(&[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00], 5).as_deref(), Ok(&b"Hello"[..]));
    }

    #[test]
    fn what_comes_out_keeps_no_more_memory_than_its_length() {
        let message = inflate(&[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00], 1_000_000).unwrap();
        assert_eq!(message.try_into_mut().unwrap().capacity(), "Hello".len());
    }

    #[test]
    fn what_does_not_get_shorter_stays_as_it_is() {
        let noise: Vec<u8> =
            (0..1000u32).flat_map(|n| (n.wrapping_mul(2_654_435_761)).to_le_bytes()).collect();
        assert_eq!(deflate(&noise, compression("permessage-deflate")), None);
        assert_eq!(deflate(b"short", compression("permessage-deflate")), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn what_is_deflated_inflates(
            messages in prop::collection::vec((0..40_000usize, 1..=256u32, any::<u32>()), 1..8), bits in 9u8..=15,
        ) {
            let offer = format!("permessage-deflate; server_max_window_bits={bits}");
            for (length, letters, mut seed) in messages {
                let mut letter = || {
                    seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    ((seed >> 16) % letters) as u8
                };
                let message: Vec<u8> = (0..length).map(|_| letter()).collect();
                if let Some(deflated) = deflate(&message, compression(&offer)) {
                    prop_assert!(deflated.len() < length);
                    prop_assert!(inflate(&deflated, length).as_deref() == Ok(&message[..]));
                }
            }
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = inflate(&bytes, 10_000);
        }
    }
}

//! Content codings (RFC 9110 section 8.4.1) of answers that this server has to read or to append to. Applications are
//! told that this server accepts no coding, but some compress their answers anyway. A body is decoded whole; its size
//! and its compression ratio are bounded, so that a few bytes cannot become many.

use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;
use flate2::{Decompress, FlushDecompress, Status};
use http::header::{self, HeaderMap};
use std::io::{self, Read};

/// The largest body that is decoded, bytes.
pub const CODED_BYTES: usize = 1024 * 1024;
/// The largest size of a decoded body, bytes.
pub const DECODED_BYTES: usize = 4 * 1024 * 1024;
/// The largest compression ratio of a body that is larger than [`ANY_RATIO_BYTES`] when decoded.
const RATIO: usize = 250;
const ANY_RATIO_BYTES: usize = 64 * 1024;
/// The most codings of one body; nobody needs more.
const CODINGS: usize = 3;

/// Why a body cannot be decoded.
#[derive(Debug, thiserror::Error)]
pub enum CodingError {
    /// The body has an unknown coding.
    #[error("its Content-Encoding is {0:?}, which is not gzip, deflate, br or zstd")]
    Unknown(String),
    /// The body has too many codings.
    #[error("it has more than {CODINGS} content codings")]
    TooMany,
    /// The body does not follow its coding's format.
    #[error("its body is not {coding}: {reason}")]
    Malformed {
        /// The coding.
        coding: &'static str,
        /// The decoder's error.
        reason: io::Error,
    },
    /// The decoded body is too large.
    #[error("its body is larger than {limit} bytes when it is decoded")]
    TooLarge {
        /// The largest size allowed, bytes.
        limit: usize,
    },
}

/// A content coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// RFC 1952.
    Gzip,
    /// RFC 1950, or bare RFC 1951, which some programs send under this name.
    Deflate,
    /// RFC 7932.
    Brotli,
    /// RFC 8878.
    Zstd,
}

impl Coding {
    /// The codings in `headers`, in the order of decoding; empty if the body is not encoded.
    ///
    /// # Errors
    /// [`CodingError::Unknown`] or [`CodingError::TooMany`].
    pub fn all(headers: &HeaderMap) -> Result<Vec<Coding>, CodingError> {
        let values = headers.get_all(header::CONTENT_ENCODING).iter();
        let names = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
        let mut codings = Vec::new();
        for name in names.map(<[u8]>::trim_ascii).filter(|name| !name.is_empty()) {
            codings.extend(Coding::named(name)?);
        }
        if codings.len() > CODINGS {
            return Err(CodingError::TooMany);
        }
        codings.reverse();
        Ok(codings)
    }

    fn named(name: &[u8]) -> Result<Option<Coding>, CodingError> {
        Ok(Some(match name.to_ascii_lowercase().as_slice() {
            b"gzip" | b"x-gzip" => Coding::Gzip,
            b"deflate" => Coding::Deflate,
            b"br" => Coding::Brotli,
            b"zstd" => Coding::Zstd,
            b"identity" => return Ok(None),
            _ => return Err(CodingError::Unknown(String::from_utf8_lossy(name).into_owned())),
        }))
    }

    /// Decodes `body`.
    ///
    /// # Errors
    /// [`CodingError::Malformed`] or [`CodingError::TooLarge`].
    pub fn decode(self, body: &[u8]) -> Result<Bytes, CodingError> {
        let limit = DECODED_BYTES.min(ANY_RATIO_BYTES + RATIO * body.len());
        let decoded = match self {
            Coding::Gzip => read(MultiGzDecoder::new(body), limit),
            Coding::Deflate => inflate(body, limit),
            Coding::Brotli => unbrotli(body, limit),
            Coding::Zstd => read_frames(body, limit),
        };
        match decoded {
            Ok(decoded) if decoded.len() > limit => Err(CodingError::TooLarge { limit }),
            Ok(decoded) => Ok(decoded.into()),
            Err(reason) => Err(CodingError::Malformed { coding: self.name(), reason }),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Coding::Gzip => "gzip",
            Coding::Deflate => "deflate",
            Coding::Brotli => "br",
            Coding::Zstd => "zstd",
        }
    }
}

/// Everything that `decoder` yields, or slightly more than `limit` bytes of it.
fn read(decoder: impl Read, limit: usize) -> io::Result<Vec<u8>> {
    let mut decoded = Vec::new();
    decoder.take(limit as u64 + 1).read_to_end(&mut decoded)?;
    Ok(decoded)
}

/// Refuses windows of up to 1 GiB, which are beyond RFC 7932 section 9.1: a few bytes would allocate one.
fn unbrotli(body: &[u8], limit: usize) -> io::Result<Vec<u8>> {
    if body.first().is_some_and(|first| first & 0x7f == BROTLI_LARGE_WINDOW) {
        return Err(io::Error::other("its window is too large"));
    }
    read(brotli_decompressor::Decompressor::new(body, BUFFER_BYTES), limit)
}

fn inflate(body: &[u8], limit: usize) -> io::Result<Vec<u8>> {
    let mut decompress = Decompress::new(has_zlib_header(body));
    let mut decoded = Vec::new();
    loop {
        let rest = body.get(decompress.total_in() as usize..).unwrap_or_default();
        decoded.reserve(BUFFER_BYTES);
        let before = decoded.len();
        let status = decompress.decompress_vec(rest, &mut decoded, FlushDecompress::None)?;
        if status == Status::StreamEnd || decoded.len() > limit {
            return Ok(decoded);
        }
        if decoded.len() == before && decompress.total_in() as usize == body.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// RFC 1950 section 2.2: the method is deflate, and a check makes the first two bytes divisible by 31.
fn has_zlib_header(body: &[u8]) -> bool {
    matches!(body, [first, second, ..] if first & 0x0f == 8 && u16::from_be_bytes([*first, *second]) % 31 == 0)
}

/// Decodes frame after frame.
fn read_frames(mut body: &[u8], limit: usize) -> io::Result<Vec<u8>> {
    let mut decoded = Vec::new();
    while !body.is_empty() && decoded.len() <= limit {
        if zstd_window(body).is_some_and(|bytes| bytes > ZSTD_WINDOW_BYTES) {
            return Err(io::Error::other("its window is too large"));
        }
        let frame = ruzstd::decoding::StreamingDecoder::new(&mut body).map_err(io::Error::other)?;
        frame.take((limit - decoded.len()) as u64 + 1).read_to_end(&mut decoded)?;
    }
    Ok(decoded)
}

/// The window size of the frame at the start of `body` (RFC 8878 section 3.1.1.1); `None` without a complete header.
/// The decoder fills a whole window before it yields any output.
fn zstd_window(body: &[u8]) -> Option<u64> {
    let (&descriptor, rest) = body.get(4..)?.split_first()?;
    if descriptor & 0x20 == 0 {
        let window = u32::from(*rest.first()?);
        let base = 1u64 << (10 + (window >> 3));
        return Some(base + base / 8 * u64::from(window & 7));
    }
    let size = rest.get([0, 1, 2, 4][usize::from(descriptor & 3)]..)?;
    let mut number = [0; 8];
    let length = [1, 2, 4, 8][usize::from(descriptor >> 6)];
    number[..length].copy_from_slice(size.get(..length)?);
    Some(u64::from_le_bytes(number))
}

const BUFFER_BYTES: usize = 16 * 1024;
/// The first bits of a stream with a large window.
const BROTLI_LARGE_WINDOW: u8 = 0x11;
/// The window size that every decoder of HTTP's zstd must accept (RFC 9659).
const ZSTD_WINDOW_BYTES: u64 = 8 * 1024 * 1024;

#[cfg(test)]
mod tests;

//! Writes the body of an answer that has no end yet. No other file depends on the client's HTTP version for that.

use super::exchange::Asked;
use crate::channel::Transport;
use crate::proto::grip::Publication;
use crate::proto::http1::{self, Framing, LAST_CHUNK, Version};
use bytes::Bytes;

/// How the body of a stream is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BodyWriter {
    /// With the chunked coding (RFC 9112 section 7.1).
    Chunked,
    /// Without a coding: the body ends when the connection closes (RFC 9112 section 6.3).
    Raw,
}

impl Asked {
    /// How a body without an end is written to the client of this request.
    pub fn body_writer(&self) -> BodyWriter {
        match self.version {
            Version::Http11 => BodyWriter::Chunked,
            Version::Http10 => BodyWriter::Raw,
        }
    }
}

impl BodyWriter {
    /// The framing that the head declares.
    pub fn framing(self) -> Framing {
        match self {
            BodyWriter::Chunked => Framing::Chunked,
            BodyWriter::Raw => Framing::Close,
        }
    }

    /// The bytes that are sent for `content`; no bytes if `content` is empty.
    pub fn part(self, content: &[u8]) -> Bytes {
        match self {
            BodyWriter::Chunked if content.is_empty() => Bytes::new(),
            BodyWriter::Chunked => http1::chunk(content),
            BodyWriter::Raw => Bytes::copy_from_slice(content),
        }
    }

    /// The content of `item` for streams, in the encoded form that all subscribers of this transport share.
    pub fn published(self, item: &Publication) -> Option<&Bytes> {
        match self {
            BodyWriter::Chunked => item.stream_chunk(),
            BodyWriter::Raw => item.stream_content(),
        }
    }

    /// The bytes that end the body.
    pub fn end(self) -> Bytes {
        match self {
            BodyWriter::Chunked => Bytes::from_static(LAST_CHUNK),
            BodyWriter::Raw => Bytes::new(),
        }
    }

    /// Whether the connection can be used for another request when the body has ended.
    pub fn leaves_connection(self) -> bool {
        self == BodyWriter::Chunked
    }

    /// The transport of a held stream with such a body.
    pub fn transport(self) -> Transport {
        match self {
            BodyWriter::Chunked => Transport::StreamChunked,
            BodyWriter::Raw => Transport::StreamRaw,
        }
    }
}

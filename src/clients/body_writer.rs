//! How the body of an answer that has no end yet is written: the one place that knows what a client's version of HTTP
//! makes of it.

use super::exchange::Asked;
use crate::channel::Transport;
use crate::proto::grip::Publication;
use crate::proto::http1::{self, Framing, LAST_CHUNK, Version};
use bytes::Bytes;

/// How the body of a stream is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BodyWriter {
    /// In the chunked coding (RFC 9112 section 7.1).
    Chunked,
    /// As it is: its end is that of the connection (RFC 9112 section 6.3).
    Raw,
}

impl Asked {
    /// How the client of this request is written a body without an end.
    pub fn body_writer(&self) -> BodyWriter {
        match self.version {
            Version::Http11 => BodyWriter::Chunked,
            Version::Http10 => BodyWriter::Raw,
        }
    }
}

impl BodyWriter {
    /// What the head says of the body.
    pub fn framing(self) -> Framing {
        match self {
            BodyWriter::Chunked => Framing::Chunked,
            BodyWriter::Raw => Framing::Close,
        }
    }

    /// `content` as it is sent; nothing if it is empty.
    pub fn part(self, content: &[u8]) -> Bytes {
        match self {
            BodyWriter::Chunked if content.is_empty() => Bytes::new(),
            BodyWriter::Chunked => http1::chunk(content),
            BodyWriter::Raw => Bytes::copy_from_slice(content),
        }
    }

    /// What `item` has for streams, in the form that all of its subscribers share.
    pub fn published(self, item: &Publication) -> Option<&Bytes> {
        match self {
            BodyWriter::Chunked => item.stream_chunk(),
            BodyWriter::Raw => item.stream_content(),
        }
    }

    /// What ends the body.
    pub fn end(self) -> Bytes {
        match self {
            BodyWriter::Chunked => Bytes::from_static(LAST_CHUNK),
            BodyWriter::Raw => Bytes::new(),
        }
    }

    /// Whether the client may use its connection again when the body has ended.
    pub fn leaves_connection(self) -> bool {
        self == BodyWriter::Chunked
    }

    /// How a held stream is written to.
    pub fn transport(self) -> Transport {
        match self {
            BodyWriter::Chunked => Transport::StreamChunked,
            BodyWriter::Raw => Transport::StreamRaw,
        }
    }
}

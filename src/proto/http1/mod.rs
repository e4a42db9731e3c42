//! The server side of HTTP/1.1 (RFC 9112): bytes in, decisions and bytes out.
//!
//! `head` reads request heads, strictly, so that nobody in front of or behind this server can read the same bytes
//! differently; `body` decodes request bodies; `response` writes answers.

mod body;
mod head;
mod response;

pub use body::{BodyDecoder, BodyError, BodyLength, Decoded};
pub use head::{Head, HeadError, HeadLimits, RequestHead, Target, Version, parse_head};
pub use response::{Framing, LAST_CHUNK, ResponseHead, chunk, encode_chunk, encode_head, error_answer};

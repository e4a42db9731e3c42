//! HTTP/1.1 (RFC 9112), towards clients and towards applications: bytes in, decisions and bytes out.
//!
//! `head` reads request heads, strictly, so that nobody in front of or behind this server can read the same bytes
//! differently; `request_line` is for those that httparse does not take, `target` tells what they ask for, and of which
//! host, `fields` how long the body is and whether the connection goes on. `body` decodes request bodies, `chunk_line`
//! the lines between their chunks; `response` writes answers, and `hop_by_hop` says what never crosses a proxy. Towards
//! applications, `request_head` writes requests and `answer_head` reads answers. `headers` keeps header fields, and how
//! their names were written, in both directions.

mod answer_head;
mod body;
mod chunk_line;
mod fields;
mod head;
mod headers;
mod hop_by_hop;
mod request_head;
mod request_line;
mod response;
mod target;

pub use answer_head::{ANSWER_FIELDS, ANSWER_HEAD_BYTES, AnswerError, AnswerHead, AnswerParser, AnswerStep};
pub use body::{BodyDecoder, BodyError, BodyLength, Decoded};
pub use head::{Head, HeadError, HeadLimits, RequestHead, Version, parse_head};
pub use headers::{FieldRefused, Headers};
pub use hop_by_hop::HopByHop;
pub use request_head::encode_request;
pub use response::{
    Framing, LAST_CHUNK, ResponseHead, chunk, encode_chunk, encode_head, error_answer, persistence, put_name,
    reason_phrase, switch_head,
};
pub use target::Target;

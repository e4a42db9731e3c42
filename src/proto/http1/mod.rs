//! HTTP/1.1 (RFC 9112), towards clients and towards applications: bytes in, decisions and bytes out.
//!
//! `head` parses request heads strictly, so that no server in front of or behind this one can read the same bytes
//! differently. `request_line` parses request lines that httparse refuses, `target` finds the requested target and
//! host, `fields` decides how long the body is and whether the connection can be reused, and `head_error` says why a
//! head is refused; these share `version` and `grammar`. `body` decodes bodies, `chunk_line` the lines between their
//! chunks. `response` writes answers, and `hop_by_hop` names the headers that never cross a proxy. Towards
//! applications, `request_head` writes requests and `answer_head` parses answers. `headers` holds header fields with
//! the spelling of their names, in both directions; `field_names` has the usual spelling.

mod answer_head;
mod body;
mod chunk_line;
mod field_names;
mod fields;
mod grammar;
mod head;
mod head_error;
mod headers;
mod hop_by_hop;
pub mod packing;
mod request_head;
mod request_line;
mod response;
mod target;
mod version;

pub use answer_head::{ANSWER_FIELDS, ANSWER_HEAD_BYTES, AnswerError, AnswerHead, AnswerParser, AnswerStep};
pub use body::{BodyDecoder, BodyError, BodyLength, Decoded};
pub use field_names::put_name;
pub use head::{Head, HeadLimits, RequestHead, parse_head};
pub use head_error::HeadError;
pub use headers::{FieldRefused, Headers};
pub use hop_by_hop::HopByHop;
pub use request_head::encode_request;
pub use response::{
    Framing, LAST_CHUNK, ResponseHead, chunk, encode_chunk, encode_head, error_answer, persistence,
    reason_phrase, switch_head,
};
pub use target::Target;
pub use version::Version;

//! HTTP/1.1 (RFC 9112), towards clients and towards applications: bytes in, decisions and bytes out.
//!
//! `head` reads request heads, strictly, so that nobody in front of or behind this server can read the same bytes
//! differently; `request_line` is for those that httparse does not take, `target` tells what they ask for, and of which
//! host, `fields` how long the body is and whether the connection goes on, and `head_error` why a head is refused;
//! `version` and `grammar` are what these share. `body` decodes request bodies, `chunk_line` the lines between their
//! chunks; `response` writes answers, and `hop_by_hop` says what never crosses a proxy. Towards applications,
//! `request_head` writes requests and `answer_head` reads answers. `headers` keeps header fields, and how their names
//! were written, in both directions; `field_names` says how they are written otherwise.

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

//! The formats of GRIP's publish calls as values: what a published item contains for each kind of subscriber.
//! `publish_format` and `compact` read them; a [`Publication`](super::Publication) holds them. Codes, reasons and
//! headers were checked by the readers and can be written to a client unchanged.

use crate::proto::http1;
use crate::proto::websocket::{Close, Opcode};
use bytes::Bytes;

/// The part of a published item for one kind of subscriber.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// Long polls.
    Response,
    /// HTTP streams.
    Stream,
    /// WebSockets.
    Socket,
}

/// For each format, the names of the content filters that a subscription must have, in order; `None` if the publisher
/// does not list any.
#[derive(Clone, Debug, Default)]
pub struct ContentFilters {
    /// The filters for long polls.
    pub response: Option<Box<[Box<str>]>>,
    /// The filters for HTTP streams.
    pub stream: Option<Box<[Box<str>]>>,
    /// The filters for WebSockets.
    pub socket: Option<Box<[Box<str>]>>,
}

/// The part of a published item for response holds (`http-response`).
#[derive(Clone, Debug)]
pub enum ResponseFormat {
    /// Answer the held request with this response.
    Send(Box<ResponseMessage>),
    /// Refetch: ask the origin again on behalf of the client.
    Hint,
}

/// The `http-response` format with action `send`.
#[derive(Clone, Debug)]
pub struct ResponseMessage {
    /// Status code, 200 to 999; 200 unless given.
    pub code: u16,
    /// Reason phrase; the standard one if absent.
    pub reason: Option<String>,
    /// Headers that replace headers of the same names in the timeout response. Grip-Expose-Headers selects which
    /// headers of the result are kept.
    pub headers: http1::Headers,
    /// The body, or the patch that makes it from the body of the timeout response.
    pub body: ResponseBody,
}

impl ResponseMessage {
    /// The length of the body's own bytes; 0 for a patch.
    pub(super) fn body_bytes(&self) -> usize {
        match &self.body {
            ResponseBody::Whole(body) => body.len(),
            ResponseBody::Patch(_) => 0,
        }
    }

    /// A response with this code and nothing else.
    pub fn with_code(code: u16) -> Self {
        ResponseMessage {
            code,
            reason: None,
            headers: http1::Headers::new(),
            body: ResponseBody::Whole(Bytes::new()),
        }
    }
}

/// The body of a published response.
#[derive(Clone, Debug)]
pub enum ResponseBody {
    /// These bytes.
    Whole(Bytes),
    /// The timeout response's JSON body with this patch applied (RFC 6902).
    Patch(json_patch::Patch),
}

/// The part of a published item for HTTP streams (`http-stream`).
#[derive(Clone, Debug)]
pub enum StreamFormat {
    /// Append these bytes to the stream.
    Content(Bytes),
    /// Refetch from the next link, if there is one.
    Hint,
    /// Close the stream.
    Close,
}

/// The part of a published item for WebSockets (`ws-message`).
#[derive(Clone, Debug)]
pub enum SocketFormat {
    /// Send this message.
    Message {
        /// Text, binary, ping or pong.
        opcode: Opcode,
        /// The content; UTF-8 for text, at most 125 bytes for ping and pong.
        content: Bytes,
    },
    /// Close the connection with this code and reason.
    Close(Close),
    /// Ask the application for events, if the WebSocket is carried over HTTP to the application.
    Refresh,
}

//! What a published item says to each kind of subscriber, as values: the formats of GRIP's publish calls. Read by
//! `publish_format` and `compact`, and kept in a [`Publication`](super::Publication). Codes, reasons and headers in them
//! were checked when they were read: they can be written to a client as they are.

use crate::proto::http1;
use crate::proto::websocket::{Close, Opcode};
use bytes::Bytes;

/// A part of a published item, by who gets it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// Long polls.
    Response,
    /// HTTP streams.
    Stream,
    /// WebSockets.
    Socket,
}

/// For each format, the names of the content filters that a subscription must have, in order; `None` where the
/// publisher does not say.
#[derive(Clone, Debug, Default)]
pub struct ContentFilters {
    /// For what long polls get.
    pub response: Option<Box<[Box<str>]>>,
    /// For what HTTP streams get.
    pub stream: Option<Box<[Box<str>]>>,
    /// For what WebSockets get.
    pub socket: Option<Box<[Box<str>]>>,
}

/// What a published item says to response holds (`http-response`).
#[derive(Clone, Debug)]
pub enum ResponseFormat {
    /// Answer the held request with this.
    Send(Box<ResponseMessage>),
    /// Ask the origin again on behalf of the client.
    Hint,
}

/// The `http-response` format with action `send`.
#[derive(Clone, Debug)]
pub struct ResponseMessage {
    /// Status code, 200 to 999; 200 unless given.
    pub code: u16,
    /// Reason phrase; the standard one if absent.
    pub reason: Option<String>,
    /// Headers that replace those of the timeout response by name. Grip-Expose-Headers among them chooses what of
    /// the result is kept.
    pub headers: http1::Headers,
    /// The body, or how to make it from the timeout response's.
    pub body: ResponseBody,
}

impl ResponseMessage {
    /// Bytes of the body, as far as it has any of its own.
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

/// Where the body of a published response comes from.
#[derive(Clone, Debug)]
pub enum ResponseBody {
    /// These bytes.
    Whole(Bytes),
    /// The timeout response's JSON body with this patch applied (RFC 6902).
    Patch(json_patch::Patch),
}

/// What a published item says to HTTP streams (`http-stream`).
#[derive(Clone, Debug)]
pub enum StreamFormat {
    /// Append these bytes.
    Content(Bytes),
    /// Refresh from the next link, if there is one.
    Hint,
    /// End the stream cleanly.
    Close,
}

/// What a published item says to WebSockets (`ws-message`).
#[derive(Clone, Debug)]
pub enum SocketFormat {
    /// Send this message.
    Message {
        /// Text, binary, ping or pong.
        opcode: Opcode,
        /// Its content; UTF-8 if it is text, at most 125 bytes if it is ping or pong.
        content: Bytes,
    },
    /// Close the connection with this.
    Close(Close),
    /// Ask the application for events, where the WebSocket is HTTP requests towards it.
    Refresh,
}

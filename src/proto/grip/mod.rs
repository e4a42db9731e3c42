//! The GRIP protocol as bytes and values: the instructions of origins, the calls of publishers, the merge of both
//! into an answer, and the signatures of requests to origins.
//!
//! - [`is_grip`], [`Instruct`]: reads an origin's response into a hold and the answer for the client (`instruct`, with
//!   `hold`, `keep_alive`, `link`, `instruct_body` for the JSON form, and `instruct_error`).
//! - [`Filter`]: the filters of subscriptions (`filter`).
//! - [`LinkTarget`]: the resolved URI of a link; [`grip_last`]: tells an application which items its client has.
//! - [`Publication`]: a published item, a plain value; `formats`: its parts for each kind of subscriber.
//! - [`publish`]: reads the body of a publish call into publications (`publish_format`: the part for each transport).
//! - [`compact`]: the binary form of publish calls, for datagrams.
//! - [`message`]: reads one item from ZeroMQ's sockets; [`command`]: the calls of the command socket.
//! - [`Answer`] and `ResponseMessage::answer`: merges a published response into a held one (`answer`, `body_patch`).
//! - [`WebSocketEvent`]: WebSockets over HTTP (`websocket_events`); [`ControlMessage`]: the messages by which an
//!   application controls a WebSocket from within (`control_message`).
//! - [`grip_subscriptions_refused`]: tells an application which channels its client did not get (`refused`).
//! - [`signature`]: the key and token of Grip-Sig (`key_setting`: the forms of a key in a setting; `key_algorithm`: the
//!   algorithm of keys in files); [`upstream`]: recognizes requests that another proxy has signed.
//!
//! All of these use `list_header` (elements and parameters), `seconds` (numbers in headers), `json` (typed reading with
//! the protocol's error texts), `message_type` (the type of a WebSocket message) and `sendable` (checks that values may
//! be written to a client).

mod answer;
mod body_patch;
pub mod command;
pub mod compact;
mod control_message;
mod filter;
mod formats;
mod heard;
mod hold;
mod instruct;
mod instruct_body;
mod instruct_error;
mod json;
mod keep_alive;
mod key_algorithm;
mod key_setting;
mod link;
mod link_target;
mod list_header;
pub mod message;
mod message_type;
mod publication;
pub mod publish;
mod publish_format;
mod refused;
mod seconds;
mod sendable;
pub mod signature;
pub mod upstream;
mod websocket_events;

pub use answer::Answer;
pub use control_message::{ControlMessage, Delayed, SocketKeepAlive};
pub use filter::{
    Chain, Context, FILTERS_MAX, Filter, FilterError, IdRenderer, IdRendering, Step, SubscriberMeta, may_have,
};
pub use formats::{
    ContentFilters, Format, ResponseBody, ResponseFormat, ResponseMessage, SocketFormat, StreamFormat,
};
pub use heard::{GRIP_LAST, grip_last};
pub use hold::{Channel, Hold, Mode};
pub use instruct::{Instruct, has_instruct_body, is_grip};
pub use instruct_error::InstructError;
pub use json::FieldError;
pub use keep_alive::{KeepAlive, KeepAliveMode};
pub use link::Link;
pub use link_target::LinkTarget;
pub use publication::{Meta, Publication, Receipt, Then};
pub use refused::{GRIP_SUBSCRIPTIONS_REFUSED, grip_subscriptions_refused};
pub use websocket_events::{EventsError, WEBSOCKET_EVENTS, WebSocketEvent, claims_events};

/// The value of Grip-Feature on requests to origins: the features of this server, in the protocol's names.
/// Applications may decide by it, so only features that work are listed.
pub const GRIP_FEATURE: &str = "status, link:next, link:gone, filter:skip-self, filter:skip-users, \
    filter:require-sub, filter:build-id, filter:var-subst, filter:http-check, filter:http-modify";

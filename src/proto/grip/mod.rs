//! The GRIP protocol, as bytes and values: what an origin instructs, what a publisher publishes, how the two are
//! merged into an answer, and how requests to origins are signed.
//!
//! - [`is_grip`], [`Instruct`]: an origin's response read into a hold and the answer for the client (`instruct`,
//!   with `hold`, `keep_alive`, `link`, and `instruct_body` for the JSON form, and `instruct_error`).
//! - [`Filter`]: what a subscription's filters make of an item (`filter`).
//! - [`LinkTarget`]: where a link leads; [`grip_last`]: what an application is told that its client has.
//! - [`Publication`]: a published item, a plain value; `formats`: what it says to each kind of subscriber.
//! - [`publish`]: the body of a publish call read into publications (`publish_format`: what each transport gets).
//! - [`compact`]: the same in the binary form that datagrams may have.
//! - [`message`]: one item as ZeroMQ's sockets carry it; [`command`]: the calls of the command socket.
//! - [`Answer`] and `ResponseMessage::answer`: a published response merged into a held one (`answer`, `body_patch`).
//! - [`WebSocketEvent`]: WebSockets as HTTP requests (`websocket_events`); [`ControlMessage`]: what an application
//!   tells about one from within it (`control_message`).
//! - [`grip_subscriptions_refused`]: how an application learns of channels that its client did not get (`refused`).
//! - [`signature`]: the key and token of Grip-Sig (`key_setting`: the forms of a key; `key_algorithm`: which of those
//!   in files is of which algorithm); [`upstream`]: which requests another proxy has signed.
//!
//! Beneath them: `list_header` (elements and parameters), `seconds` (numbers in headers), `json` (typed reading with
//! the protocol's error texts), `message_type` (what kind of message something is for WebSockets) and `sendable` (what
//! may be written to a client).

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

/// The value of Grip-Feature on requests to origins: what this server does today, in the protocol's names.
/// Applications may decide by it, so nothing is listed before it works.
pub const GRIP_FEATURE: &str = "status, link:next, link:gone, filter:skip-self, filter:skip-users, \
    filter:require-sub, filter:build-id, filter:var-subst, filter:http-check, filter:http-modify";

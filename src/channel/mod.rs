//! Channels: what was published, who is subscribed on this core, and the one place where a channel has an order.
//!
//! `publication` is a published item; `home` sequences a channel and knows which cores are interested;
//! `subscriptions` is a core's local table, `waiting` its rows that are not acknowledged yet, `joining` its WebSockets that
//! wait for one more channel; `roster` is the dense
//! list of one channel's subscribers; `pass` is one walk over them with all that was pending at its start; `message`
//! is what homes and cores tell each other.

#![forbid(unsafe_code)]

mod home;
mod joining;
mod message;
mod pass;
mod publication;
mod roster;
mod subscriptions;
mod waiting;

pub use home::{Home, home_of};
pub use message::{LastId, ToCore, ToHome};
pub use pass::{Slice, SliceKind, Then};
pub use publication::{
    Meta, Publication, ResponseBody, ResponseFormat, ResponseMessage, SocketFormat, StreamFormat,
};
pub use roster::Transport;
pub use subscriptions::{Readiness, Subscriptions};

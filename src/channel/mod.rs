//! Channels: what was published, who is subscribed on this core, and the one place where a channel has an order.

#![forbid(unsafe_code)]

mod publication;

pub use publication::{Publication, ResponseBody, ResponseFormat, ResponseMessage, StreamFormat};

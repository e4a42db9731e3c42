//! Streams that continue with a link (`Grip-Link`, `rel=next`). A stream requests its next link when it has missed an
//! item, when a publisher sends a hint, when its channels were quiet for a while, or at once. The link's content is
//! appended to the stream, and the link's instruct replaces the one before.
//!
//! `linked` is such a stream, `state` its state between two requests. `fetch` requests links, with one `request` for
//! all streams that would make the same one. `following` applies an answer to a stream. `gone` tells an application
//! that a client is gone (`rel=gone`). While its link is being requested, a stream has left the channels whose ids it
//! follows; on its other channels it stays.

mod fetch;
mod following;
mod gone;
mod linked;
mod packing;
mod request;
mod state;
mod target;

pub(super) use gone::{GoneLink, GoneLinks};
pub(super) use linked::Linked;
pub(super) use packing::PackedGoneLink;
pub(super) use request::Fetches;
pub(super) use target::{Links, resolve};

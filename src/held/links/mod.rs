//! Streams that go on with a link (`Grip-Link`, `rel=next`): when something was missed, when a publisher says so, when
//! nothing came for a while, or at once, what the link has is appended, and what it instructs holds from then on.
//!
//! `linked` is such a stream, `state` what it is between two requests. `fetch` asks for links, one `request` for all
//! streams that would make the same one; `following` is what an answer does to a stream; `gone` tells an application that
//! a client is gone (`rel=gone`). While its link is asked for, a stream is out of the channels whose ids it follows; on
//! the others it goes on.

mod fetch;
mod following;
mod gone;
mod linked;
mod request;
mod state;
mod target;

pub(super) use gone::{GoneLink, GoneLinks};
pub(super) use linked::Linked;
pub(super) use request::Fetches;
pub(super) use target::{Links, resolve};

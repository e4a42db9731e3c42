//! Channels: what was published, who is subscribed on this core, and the one place where a channel has an order.
//!
//! - `message` is what homes and cores tell each other; the published items in it are values of `proto::grip`.
//! - `home` gives channels their order and knows which cores are interested. Each is a `home_channel`, with `sequence` for
//!   items that came too early; `recent_ids` is for those that came twice.
//! - `subscriptions` is a core's table. `waiting` has its rows that are not acknowledged yet, `joining` its WebSockets
//!   that wait for one more channel, and `followed` its channels whose subscribers follow ids. `newcomers` has its
//!   subscribers that asked while messages were under way from the home; `dispatched` counts what homes have sent.
//! - `roster` is the dense list of one channel's subscribers by `transport`; `pass` is one walk over them with all that
//!   was pending at its start, in `slice`s.
//! - `reach` is what a publisher learns of whom an item reached, `receipts` what a core knows of that while it is
//!   under way, and `audience` counts subscribers.

#![forbid(unsafe_code)]

mod audience;
mod dispatched;
mod followed;
mod home;
mod home_channel;
mod joining;
mod message;
mod newcomers;
mod pass;
mod reach;
mod receipts;
mod recent_ids;
mod roster;
mod sequence;
mod slice;
mod subscriptions;
mod transport;
mod waiting;

pub use audience::Audience;
pub use dispatched::Dispatched;
pub use followed::Missed;
pub use home::{Change, Home, HomeTimes, home_of};
pub use message::{LastId, ToCore, ToHome};
pub use reach::{Counting, Reach};
pub use receipts::{ItemPlace, Receipts, Sent, TooMany};
pub use slice::{Items, Slice, SliceKind};
pub use subscriptions::{Delivered, HeardUpTo, Page, Readiness, Subscriptions};
pub use transport::Transport;

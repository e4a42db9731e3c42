//! Channels: their published items, their subscribers on this core, and their homes, where each channel has its
//! order.
//!
//! - `message` has the messages between homes and cores; the published items in them are values of `proto::grip`.
//! - `home` gives channels their order and knows the interested cores. It has a `home_channel` for each channel, with
//!   a `sequence` for items that arrived too early; `recent_ids` recognises items that arrive twice.
//! - `subscriptions` is a core's subscription table. `waiting` has its rows that are not acknowledged yet, `joining`
//!   its WebSockets that wait for another channel, and `followed` the followers of ids of a channel. `newcomers` has
//!   subscribers that subscribed while messages from the home were in transit; `dispatched` counts the messages that
//!   homes have sent.
//! - `roster` has dense lists of one channel's subscribers, one for each `transport`. `pass` is one walk over them
//!   with all items that were pending at its start, in `slice`s.
//! - `reach` is the number of subscribers that an item reached, for its publisher; `receipts` collects it while the
//!   item is in transit; `audience` is the numbers of subscribers by kind.

#![forbid(unsafe_code)]

mod audience;
mod dispatched;
mod followed;
mod home;
mod home_channel;
mod joining;
mod message;
mod newcomers;
mod packed_homes;
mod packing;
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
pub use packed_homes::{PackedChannel, PackedHomes};
pub use reach::{Counting, Reach};
pub use receipts::{ItemPlace, Receipts, Sent, TooMany};
pub use slice::{Items, Slice, SliceKind};
pub use subscriptions::{ChannelActivity, Delivered, HeardUpTo, Page, Readiness, Subscriptions};
pub use transport::Transport;

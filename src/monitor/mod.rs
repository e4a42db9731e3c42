//! What the stats socket says, in Pushpin's words. Cores observe `events`, and count for each route in a `route_stats`; `mailbox`
//! is the way from the cores to the thread of the socket. There `stats` makes messages (`packet`) out of them, with
//! `subscribers` and `reports` for numbers that several cores have a part in. This room has no socket and no clock: those
//! are in `zeromq`. It has no part in what is published, which goes by `backplane`.

#![forbid(unsafe_code)]

mod events;
mod mailbox;
mod packet;
mod reports;
mod route_stats;
mod stats;
mod subscribers;

pub use events::{StatsBatch, StatsEvent};
pub use mailbox::Mailbox;
pub use packet::Packet;
pub use route_stats::{RouteStats, Traffic, Volume};
pub use stats::{Stats, Totals};

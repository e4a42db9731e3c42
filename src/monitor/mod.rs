//! The messages of the stats socket, in Pushpin's format. Cores record `events`, and count each route's statistics in
//! `route_stats`. `mailbox` carries both to the thread of the socket. There `stats` makes messages (`packet`) of them;
//! `subscribers` and `reports` add up the numbers of all cores. This room has no socket and no clock; `zeromq` has both.
//! Published items do not pass through this room, but through `backplane`.

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

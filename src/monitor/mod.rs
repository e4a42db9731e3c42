//! What the stats socket says, in Pushpin's words. `packet` is one message; `stats` makes them out of what happens on the
//! cores, with `subscribers` and `reports` for
//! numbers that several cores have a part in. No socket and no clock: `zeromq` has those.

#![forbid(unsafe_code)]

mod packet;
mod reports;
mod stats;
mod subscribers;

pub use packet::Packet;
pub use stats::Stats;

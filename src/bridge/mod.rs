//! What the cores and the thread of ZeroMQ hand each other. `inlet` is the way into a core, `outlet` the way out of all
//! cores, `events` what happens on them, `tally` what they count of a route. All is bounded by those who fill it, and
//! neither side ever waits for the other within a lock.

#![forbid(unsafe_code)]

mod events;
mod inlet;
mod outlet;
mod tally;

pub use events::{Event, Events};
pub use inlet::{Inlet, Order};
pub use outlet::{Outcome, Outlet, Told};
pub use tally::{Tally, Traffic, Volume};

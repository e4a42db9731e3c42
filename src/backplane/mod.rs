//! Backplanes bring items of channels from other machines, and take items there. `contract` is the whole interface between
//! a core and a backplane. `arrival` has the items and losses that a backplane brings, `operator` the commands of operators
//! that come through it, and `backplanes` all backplanes of one core.
//!
//! ZeroMQ is the only backplane so far. libzmq and most clients of brokers need their own thread, so `ends` implements the
//! contract for a backplane on a separate thread, with an `inlet` into each core and one `outlet` of all cores. A backplane
//! of another kind implements [`Backplane`] directly.
//!
//! Events for the stats socket do not pass through a backplane, but through `monitor`.

#![forbid(unsafe_code)]

mod arrival;
mod backplanes;
mod contract;
mod ends;
mod inlet;
mod operator;
mod outlet;

pub use arrival::{Arrival, Item, Lost, Position, Source};
pub use backplanes::{Backplanes, Caller};
pub use contract::{Backplane, Wants};
pub use ends::ThreadEnd;
pub use inlet::Inlet;
pub use operator::{CommandOutcome, OperatorCommand};
pub use outlet::{Messages, Outlet};

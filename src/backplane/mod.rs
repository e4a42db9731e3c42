//! Backplanes: ways by which the items of a channel come from other machines, and go there. `contract` is all that a core
//! and a backplane have to do with each other; `arrival` is what a backplane brings, and `operator` what operators ask
//! through it. `backplanes` are those of one core together.
//!
//! ZeroMQ is the backplane that there is. libzmq and most clients of a broker want a thread of their own, so `ends` is the
//! contract for a backplane on a thread beside the cores: `inlet` is the way into one core, and `outlet` the way out of all
//! cores. A backplane of another kind implements [`Backplane`] by itself.
//!
//! What cores observe for operators is not said to a backplane; that goes by `monitor`.

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

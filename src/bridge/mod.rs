//! What the cores and the thread of ZeroMQ hand each other. `inlet` is the way into a core, `outlet` the way out of all
//! cores. Both are bounded by those who fill them, and neither side ever waits for the other within a lock.

#![forbid(unsafe_code)]

mod inlet;
mod outlet;

pub use inlet::{Inlet, Order};
pub use outlet::{Outcome, Outlet, Told};

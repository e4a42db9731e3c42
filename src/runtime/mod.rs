//! What the rooms above ask of the executor of their core: tasks, timers, the clock, and connections to origins. All of
//! it is glommio's; this room exists so that a whole core can also run inside a `crate::simulation`, where time is
//! virtual and the order of events comes from a seed. Without the feature `simulation`, which only tests enable, each
//! function here is one call of glommio.
//!
//! `task` has tasks and timers, `tcp` the connections.

#![forbid(unsafe_code)]

mod task;
mod tcp;

pub use task::{Task, Timer, sleep, spawn, yield_now};
pub use tcp::TcpStream;

#[cfg(feature = "simulation")]
use crate::simulation;
use std::hash::{BuildHasher, RandomState};
use std::time::Instant;

/// The time of the core's clock.
pub fn now() -> Instant {
    #[cfg(feature = "simulation")]
    if let Some(world) = simulation::current() {
        return world.now();
    }
    Instant::now()
}

/// A number to begin pseudo-random numbers with: different for each core and each start.
pub fn seed() -> u64 {
    #[cfg(feature = "simulation")]
    if let Some(world) = simulation::current() {
        return world.random();
    }
    RandomState::new().hash_one(0)
}

/// Runs `work`, which may wait for files or for the system's resolver, without holding up the core.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    #[cfg(feature = "simulation")]
    if simulation::current().is_some() {
        return work();
    }
    glommio::executor().spawn_blocking(work).await
}

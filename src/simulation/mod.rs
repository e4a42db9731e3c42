//! A simulated world in one thread, for tests: a clock, tasks and a network, in which whole cores run with their
//! clients and applications. Everything that is left to chance on a real machine follows from a seed: which task runs
//! next, how long bytes travel, where they are cut. So a failure can be repeated. It is compiled with the feature
//! `simulation` only.
//!
//! `world` has the clock and the events that are planned; `executor` runs the tasks of each `host`; `network` carries
//! bytes; `random` generates the random numbers. `crate::runtime` uses the world of its thread, if there is one, and
//! `crate::wire` uses a simulated kernel then. Time advances by some microseconds for each step of a task, and to the
//! next planned event when no task can run.

#![forbid(unsafe_code)]

mod executor;
mod host;
mod network;
mod random;
#[cfg(test)]
mod tests;
mod world;

pub use executor::Task;
pub use host::Host;
pub use network::{Arrival, Listener, Observer, Stream, connect, connect_within, listen};
pub use random::Random;
pub use world::{Event, Timer, World, current};

use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

/// Owns the world of its thread; the world ends when this is dropped.
pub struct Simulation(Rc<World>);

/// No task can run and no event is planned, but the simulation has not finished.
#[derive(Debug)]
pub struct Stuck;

impl Simulation {
    /// A new world, in which everything follows from `seed`. A thread can have one at a time.
    pub fn new(seed: u64) -> Simulation {
        Simulation(World::install(seed))
    }

    /// The world.
    pub fn world(&self) -> &Rc<World> {
        &self.0
    }

    /// Runs the world until `future` is done.
    ///
    /// # Errors
    /// [`Stuck`], if nothing can happen any more and `future` is not done.
    pub fn run<T: 'static>(&self, future: impl Future<Output = T> + 'static) -> Result<T, Stuck> {
        let done = Rc::new(std::cell::RefCell::new(None));
        let result = done.clone();
        let task = self.0.spawn(async move {
            let output = future.await;
            *result.borrow_mut() = Some(output);
        });
        loop {
            if let Some(output) = done.borrow_mut().take() {
                drop(task);
                return Ok(output);
            }
            if !self.0.step() {
                return Err(Stuck);
            }
        }
    }

    /// Pauses the tasks of `host` for `delay` from now on, as if its machine gave it no CPU.
    pub fn pause(&self, host: Host, delay: Duration) {
        self.0.pause(host, delay);
    }
}

impl Drop for Simulation {
    fn drop(&mut self) {
        self.0.stop();
        // Connections that end here plan events in the world, so the world is still there.
        network::clear();
        World::remove();
    }
}

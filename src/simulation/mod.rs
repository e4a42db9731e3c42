//! A world in one thread for tests: a clock, tasks, and a network, in which whole cores run with their clients and
//! applications. Everything that a real machine leaves to chance comes from a seed: which task goes next, how long
//! bytes travel, where they are cut. So a failure can be run again. Compiled with the feature `simulation` only.
//!
//! `world` has the clock and what is to happen when; `executor` runs the tasks of each `host`; `network` carries bytes;
//! `random` is the dice. `crate::runtime` comes here when a world exists on its thread, and `crate::wire` puts a
//! simulated kernel under its ring. Time moves when a task has run, by some microseconds, and when nothing is left to
//! run, to the next event.

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

/// Nothing is left to happen, and the simulation has not come to its end.
#[derive(Debug)]
pub struct Stuck;

impl Simulation {
    /// A new world, in which everything follows from `seed`. There is one for each thread.
    pub fn new(seed: u64) -> Simulation {
        Simulation(World::install(seed))
    }

    /// The world.
    pub fn world(&self) -> &Rc<World> {
        &self.0
    }

    /// Lets the world go on until `future` is done.
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

    /// The tasks of `host` do not run for `delay` from now on, as if its machine gave it no CPU.
    pub fn pause(&self, host: Host, delay: Duration) {
        self.0.pause(host, delay);
    }
}

impl Drop for Simulation {
    fn drop(&mut self) {
        self.0.stop();
        // Connections that end now plan something in the world.
        network::clear();
        World::remove();
    }
}

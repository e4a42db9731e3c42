//! The functions of a core's executor that the rooms above use. All of them are glommio's, and no other room names
//! glommio, so that another executor can replace it. A whole core can also run inside a simulation
//! (`crate::simulation`), where time is virtual and the order of events follows from a seed. Without the feature
//! `simulation`, which only tests enable, nearly every function here is one call of glommio.
//!
//! The executor provides, and the rooms above rely on:
//!
//! - `thread`: a thread for each core, pinned to one CPU, which sleeps in the kernel while none of its tasks can run.
//! - `task`: tasks that need not be `Send`, that run up to their first wait when they are spawned, and that are
//!   cancelled when they are dropped; timers, which fire before sockets are read (see `patience`); a yield to all
//!   other tasks, timers and sockets; threads for work that blocks.
//! - `tcp`: connections with a connect timeout, whose descriptor may be read outside the executor.
//! - `event_file`: a task waits for an eventfd, which the kernel and other threads write to.
//! - `rings`: bounded queues with one sender and one receiver, between each two cores. They keep messages in order,
//!   wake a core that sleeps, and cost neither side a lock or a system call while both are awake.

#![forbid(unsafe_code)]

mod event_file;
mod rings;
#[cfg(feature = "simulation")]
mod simulated_rings;
mod task;
mod tcp;
mod thread;

pub use event_file::EventFile;
pub(crate) use rings::{MeshBuilder, Receivers, Senders};
pub use task::{Task, Timer, sleep, spawn, yield_now};
pub use tcp::TcpStream;
#[cfg(test)]
pub(crate) use thread::block_on;
pub use thread::start;

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

/// A seed for pseudo-random numbers, different for each core and each start.
pub fn seed() -> u64 {
    #[cfg(feature = "simulation")]
    if let Some(world) = simulation::current() {
        return world.random();
    }
    RandomState::new().hash_one(0)
}

/// Runs `work`, which may block on files or on the system's resolver, on another thread.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    #[cfg(feature = "simulation")]
    if simulation::current().is_some() {
        return work();
    }
    glommio::executor().spawn_blocking(work).await
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    fn sources(directory: &Path) -> Vec<PathBuf> {
        let entries =
            fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry").path());
        let sources = entries.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] });
        sources.filter(|path| path.extension().is_some_and(|extension| extension == "rs")).collect()
    }

    #[test]
    fn no_other_room_names_the_executor() {
        let rooms = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let others = sources(&rooms).into_iter().filter(|path| !path.starts_with(rooms.join("runtime")));
        let naming = others.filter(|path| fs::read_to_string(path).expect("a text").contains("glommio::"));
        assert_eq!(naming.collect::<Vec<_>>(), [] as [PathBuf; 0]);
    }
}

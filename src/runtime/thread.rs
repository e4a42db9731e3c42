//! The thread of a core, and the executor on it.

use glommio::{LocalExecutorBuilder, Placement};
use std::future::Future;
use std::io;

/// Starts a thread called `name`, with an executor that runs the future of `make` to its end. With `cpu`, the thread
/// is pinned to that CPU.
///
/// # Errors
/// If the executor or its io_urings cannot be created.
pub fn start<F>(name: &str, cpu: Option<usize>, make: impl FnOnce() -> F + Send + 'static) -> io::Result<()>
where
    F: Future<Output = ()> + 'static,
{
    let placement = cpu.map_or(Placement::Unbound, Placement::Fixed);
    match LocalExecutorBuilder::new(placement).name(name).spawn(make) {
        Ok(_runs_on) => Ok(()),
        Err(error) => Err(io::Error::other(error.to_string())),
    }
}

/// Runs `future` to its end in an executor on this thread.
#[cfg(test)]
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    glommio::LocalExecutor::default().run(future)
}

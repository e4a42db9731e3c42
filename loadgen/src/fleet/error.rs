//! What keeps a fleet from its work.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// What keeps a fleet from its work.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// A worker could not be started.
    #[error("cannot start a worker as {program}: {error}")]
    Spawn {
        /// The program that was tried.
        program: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A worker gave up.
    #[error("a worker cannot go on: {0}")]
    Broken(String),
    /// A worker is gone.
    #[error("a worker ended without a word; it may have been killed for want of memory")]
    Gone,
    /// The plan cannot be carried out.
    #[error("{0}")]
    Plan(String),
    /// What was awaited did not come.
    #[error("only {came} of {awaited} {what} came within {} s", patience.as_secs())]
    Late {
        /// Bytes or messages.
        what: &'static str,
        /// How many came.
        came: u64,
        /// How many were awaited.
        awaited: u64,
        /// How long was waited.
        patience: Duration,
    },
}

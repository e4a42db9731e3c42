//! The errors of a fleet.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why a fleet failed.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// A worker could not be started.
    #[error("cannot start a worker as {program}: {error}")]
    Spawn {
        /// The program.
        program: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// A worker failed.
    #[error("a worker failed: {0}")]
    Broken(String),
    /// A worker ended unexpectedly.
    #[error("a worker ended unexpectedly; the kernel may have killed it because memory was short")]
    Gone,
    /// The plan is impossible.
    #[error("{0}")]
    Plan(String),
    /// Awaited bytes or messages did not arrive in time.
    #[error("only {came} of {awaited} {what} arrived within {} s", patience.as_secs())]
    Late {
        /// Bytes or messages.
        what: &'static str,
        /// The number that arrived.
        came: u64,
        /// The number that was awaited.
        awaited: u64,
        /// The time limit.
        patience: Duration,
    },
}

//! Why an upgrade did not take place.

use std::io;
use std::path::PathBuf;

/// Why this process was not replaced by a new one, or why it cannot replace an old one.
#[derive(Debug, thiserror::Error)]
pub enum UpgradeError {
    /// The variable that names the control socket is wrong.
    #[error(
        "GRIPWIRE_UPGRADE_SOCKET cannot be used: {0}; unset it: only a server that starts a new process sets it"
    )]
    Variable(io::Error),
    /// The process cannot find out how it was started.
    #[error("an upgrade is not possible, because the way this process was started is unknown: {0}")]
    Launch(io::Error),
    /// The process may not end, because others end with it.
    #[error(
        "this server is process 1 of its container, which ends with it: start a new container instead, or run the server \
         below an init such as tini"
    )]
    FirstProcess,
    /// An upgrade is under way.
    #[error("an upgrade is under way")]
    UnderWay,
    /// The server is about to end.
    #[error("the server is about to end")]
    Ending,
    /// The program cannot be started.
    #[error("{program} cannot be started: {source}")]
    Start {
        /// The program.
        program: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The system has no socket or no descriptor left.
    #[error("the sockets for an upgrade cannot be made: {0}")]
    Descriptors(io::Error),
    /// The control socket failed.
    #[error("the other process cannot be reached while {doing}: {source}")]
    Control {
        /// The step.
        doing: &'static str,
        /// The system's error.
        source: io::Error,
    },
    /// The other process has ended.
    #[error("the other process ended while {0}: its lines in the log say why")]
    Gone(&'static str),
    /// The other process does not answer in time.
    #[error("the other process was not ready in time while {0}")]
    Late(&'static str),
    /// The other process speaks another protocol.
    #[error("the other process is of a version that does not know this way of upgrading: restart the server")]
    Unknown,
    /// The new process cannot take over.
    #[error("the new process cannot take over: {0}")]
    Refused(String),
    /// A core could not carry out a step.
    #[error("core {core} could not {step}: {reason}")]
    Core {
        /// The number of the core.
        core: usize,
        /// The step.
        step: &'static str,
        /// Why not.
        reason: String,
    },
    /// Cores did not carry out a step in time.
    #[error("the cores did not {0} in time")]
    Slow(&'static str),
    /// The old process has decided to go on.
    #[error("the old process goes on")]
    Overtaken,
    /// A signal came.
    #[error("the server was told to end")]
    Cancelled,
}

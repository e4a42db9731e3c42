//! What keeps a publisher from its work.

use std::io;
use std::net::SocketAddr;

/// What keeps a publisher from its work.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The server cannot be reached.
    #[error("cannot reach {address} to publish: {error}; is the server running, and is --publish-to right?")]
    Connect {
        /// Where it was looked for.
        address: SocketAddr,
        /// What the system said.
        error: io::Error,
    },
    /// A connection failed.
    #[error("publishing failed: {0}")]
    Broken(io::Error),
    /// The server refused a call.
    #[error("the server answered a publish call with {status}: {body}")]
    Refused {
        /// The status.
        status: u16,
        /// The beginning of what it said.
        body: String,
    },
    /// The plan cannot be carried out.
    #[error("{0}")]
    Plan(&'static str),
}

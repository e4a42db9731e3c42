//! The errors of a publisher.

use std::io;
use std::net::SocketAddr;

/// Why a publisher failed.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The server cannot be reached.
    #[error("cannot reach {address} to publish: {error}; check that the server is running, and --publish-to")]
    Connect {
        /// The address.
        address: SocketAddr,
        /// The system's error.
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
        /// The start of the answer's body.
        body: String,
    },
    /// The plan is impossible.
    #[error("{0}")]
    Plan(&'static str),
}

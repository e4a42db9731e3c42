//! The versions of HTTP that decide how a message is read and how its answer is written.

use serde::{Deserialize, Serialize};

/// The HTTP versions that this server speaks on a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Version {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1.
    Http11,
}

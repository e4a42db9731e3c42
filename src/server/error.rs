//! Why the server could not start, or does not go on.

use crate::proto::grip::signature::KeyError;
use crate::tls::NoTls;
use crate::wire::{BindError, MissingFeature};
use crate::zeromq::ZeroMqError;
use std::io;

/// The server could not start, or a core failed.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The kernel lacks something.
    #[error(transparent)]
    Kernel(#[from] MissingFeature),
    /// A port could not be had.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// There is no certificate for a port.
    #[error(transparent)]
    Tls(#[from] NoTls),
    /// A socket of ZeroMQ could not be had, or waited for.
    #[error(transparent)]
    ZeroMq(#[from] ZeroMqError),
    /// A socket cannot be shared by the cores.
    #[error("a socket cannot be shared by the cores: {0}")]
    Descriptor(io::Error),
    /// The signing key cannot be read.
    #[error("sig_key{of_route}: {source}")]
    Key {
        /// Which route's, if not the default one.
        of_route: String,
        /// What is wrong with it.
        source: KeyError,
    },
    /// The key of other proxies cannot be read.
    #[error("upstream_key: {0}")]
    UpstreamKey(KeyError),
    /// The certificate of a target cannot be read.
    #[error("client_cert and client_key of route {route}: {source}")]
    Certificate {
        /// Whose.
        route: String,
        /// What is wrong, and with which file.
        source: io::Error,
    },
    /// Signals cannot be received.
    #[error("signals cannot be received: {0}")]
    Signals(io::Error),
    /// The system does not say which CPUs this process may use.
    #[error("the CPUs of this process are unknown; set `cores`")]
    NoCpus,
    /// A core could not be started.
    #[error("core {0} could not be started: {1}")]
    Start(u16, String),
    /// A core ended.
    #[error("core {0} cannot go on: {1}")]
    Core(u16, String),
}

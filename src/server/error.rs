//! The errors that prevent the server's start or end it.

use super::upgrade::UpgradeError;
use crate::proto::grip::signature::KeyError;
use crate::tls::NoTls;
use crate::wire::{BindError, HandedError, MissingFeature};
use crate::zeromq::ZeroMqError;
use std::io;

/// The server could not start, or a core failed.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The kernel lacks a feature.
    #[error(transparent)]
    Kernel(#[from] MissingFeature),
    /// A port could not be bound.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A socket that was handed over cannot be used.
    #[error(transparent)]
    Handed(#[from] HandedError),
    /// The process that this one was to replace goes on.
    #[error(transparent)]
    Upgrade(#[from] UpgradeError),
    /// A TLS port has no certificate.
    #[error(transparent)]
    Tls(#[from] NoTls),
    /// A ZeroMQ socket could not be opened or polled.
    #[error(transparent)]
    ZeroMq(#[from] ZeroMqError),
    /// A socket cannot be shared by the cores.
    #[error("a socket cannot be shared by the cores: {0}")]
    Descriptor(io::Error),
    /// The signing key cannot be read.
    #[error("sig_key{of_route}: {source}")]
    Key {
        /// ` of route ID` for the key of a route, empty for the default key.
        of_route: String,
        /// Why the key cannot be read.
        source: KeyError,
    },
    /// The key that verifies other proxies' requests cannot be read.
    #[error("upstream_key: {0}")]
    UpstreamKey(KeyError),
    /// A target's client certificate cannot be read.
    #[error("client_cert and client_key of route {route}: {source}")]
    Certificate {
        /// The route of the target.
        route: String,
        /// The file, and why it cannot be read.
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
    /// A core failed.
    #[error("core {0} failed: {1}")]
    Core(u16, String),
}

//! The services of a core's listeners, and the ports of clients.

use crate::wire::PortUse;
use serde::{Deserialize, Serialize};

/// The service of a listener.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Service {
    /// Serves clients of the applications.
    Clients(Port),
    /// Serves publishers and operators by TCP.
    Control,
    /// Serves publishers and operators by a Unix socket; the kernel says which user they are.
    LocalControl,
    /// Serves Prometheus.
    Metrics,
}

/// How clients connect.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Port {
    /// By TCP.
    Plain,
    /// By TLS.
    Tls,
    /// By a Unix socket. Such clients have no address.
    Unix,
}

impl Service {
    /// Whether the service is for clients of the applications.
    pub fn is_for_clients(self) -> bool {
        matches!(self, Service::Clients(_))
    }

    /// The kind of connections that the service's listener accepts.
    pub fn port_use(self) -> PortUse {
        if self.is_for_clients() { PortUse::Clients } else { PortUse::Operators }
    }
}

//! What the listeners of a core serve, and to whom.

use crate::wire::PortUse;

/// What the connection's listener serves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Service {
    /// Clients of the applications.
    Clients(Port),
    /// Publishers and operators.
    Control,
    /// The same, on this machine, who have shown who they are.
    LocalControl,
    /// Prometheus.
    Metrics,
}

/// How clients come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Port {
    /// By TCP.
    Plain,
    /// By TLS.
    Tls,
    /// By a file of this machine. They have no address.
    Unix,
}

impl Service {
    /// Whether it is that of the applications' clients.
    pub fn is_for_clients(self) -> bool {
        matches!(self, Service::Clients(_))
    }

    /// Whose connections its listener accepts.
    pub fn port_use(self) -> PortUse {
        if self.is_for_clients() { PortUse::Clients } else { PortUse::Operators }
    }
}

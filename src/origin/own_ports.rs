//! This server's own ports for operators and publishers: control, metrics, and the sockets of ZeroMQ. Requests that
//! an application has the server make (by a link or by a filter) must not reach these ports: requests from this
//! machine are trusted there, and could read and publish for everyone. `connect` checks each address before it opens
//! a connection for such a request, so no spelling of an address and no name evades the check.

use super::private_network::embedded;
use std::net::{IpAddr, SocketAddr, UdpSocket};

/// The addresses at which operators and publishers are served.
#[derive(Clone, Debug, Default)]
pub struct OwnPorts(Vec<SocketAddr>);

impl OwnPorts {
    /// The ports of sockets that are bound to `addresses`.
    pub fn new(addresses: impl IntoIterator<Item = SocketAddr>) -> OwnPorts {
        OwnPorts(addresses.into_iter().collect())
    }

    /// Whether a connection to `address` may reach one of these ports.
    pub(super) fn include(&self, address: SocketAddr) -> bool {
        let mut bound = self.0.iter().filter(|bound| bound.port() == address.port()).peekable();
        if bound.peek().is_none() {
            return false;
        }
        let meant = meanings(address.ip());
        bound.any(|bound| meant.iter().any(|meant| leads_to(*meant, bound.ip().to_canonical())))
    }
}

/// The addresses that `address` may stand for: `address` itself, and IPv4 addresses within it.
fn meanings(address: IpAddr) -> Vec<IpAddr> {
    let inner = match address {
        IpAddr::V4(_) => None,
        IpAddr::V6(outer) => Some(embedded(outer).map(IpAddr::V4)),
    };
    [address.to_canonical()].into_iter().chain(inner.into_iter().flatten()).collect()
}

/// Whether a connection to `address` reaches a socket that is bound to `bound`.
fn leads_to(address: IpAddr, bound: IpAddr) -> bool {
    // Linux connects to the loopback address if the address is unspecified.
    let to_loopback = address.is_loopback() || address.is_unspecified();
    match bound {
        _ if bound.is_unspecified() => to_loopback || is_local(address),
        _ if bound.is_loopback() => to_loopback,
        _ => address == bound,
    }
}

/// Whether `address` belongs to this machine. Only the kernel knows all addresses of the machine. The kernel refuses
/// to bind a socket to another machine's address, unless the sysctl `ip_nonlocal_bind` is set; with it, all addresses
/// count as local.
fn is_local(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn include(bound: &str, address: &str) -> bool {
        OwnPorts::new([bound.parse().unwrap()]).include(address.parse().unwrap())
    }

    /// The address by which this machine would reach other machines, if it has an address that is not loopback.
    fn own_address() -> Option<IpAddr> {
        let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
        socket.connect("192.0.2.1:9").ok()?;
        socket.local_addr().ok().map(|address| address.ip())
    }

    #[test]
    fn every_form_of_a_loopback_address_leads_to_a_port_there() {
        let forms = [
            "127.0.0.1:5561",
            "127.0.0.2:5561",
            "0.0.0.0:5561",
            "[::]:5561",
            "[::1]:5561",
            "[::ffff:127.0.0.1]:5561",
            "[::ffff:0.0.0.0]:5561",
            "[::127.0.0.1]:5561",
            "[64:ff9b::127.0.0.1]:5561",
            "[2002:7f00:1::]:5561",
        ];
        for bound in ["127.0.0.1:5561", "[::1]:5561", "0.0.0.0:5561", "[::]:5561"] {
            for form in forms {
                assert!(include(bound, form), "{form} leads to {bound}");
            }
            assert!(!include(bound, "127.0.0.1:5562"), "another port than {bound}");
            assert!(!include(bound, "192.0.2.1:5561"), "another machine than {bound}");
        }
    }

    #[test]
    fn a_port_on_all_interfaces_is_reached_by_each_of_their_addresses() {
        let Some(own) = own_address() else { return };
        for bound in ["0.0.0.0:5561", "[::]:5561"] {
            assert!(include(bound, &SocketAddr::new(own, 5561).to_string()), "{own} leads to {bound}");
        }
        assert!(!include("127.0.0.1:5561", &SocketAddr::new(own, 5561).to_string()));
    }

    #[test]
    fn a_port_on_one_interface_is_reached_by_its_address_alone() {
        for form in ["192.0.2.7:5561", "[::ffff:192.0.2.7]:5561", "[64:ff9b::192.0.2.7]:5561"] {
            assert!(include("192.0.2.7:5561", form), "{form}");
        }
        assert!(!include("192.0.2.7:5561", "192.0.2.8:5561") && !include("192.0.2.7:5561", "127.0.0.1:5561"));
    }
}

//! Ports for servers under test, each handed to one server and to nobody else until that server has ended.
//!
//! A port that was bound to find out that it is free, and then let go, may be taken before the server binds it. So a
//! port here is claimed first, by an abstract Unix socket whose name holds the number: names of this kind exist once in
//! a network namespace, just as ports do, whichever process or user asks, and the kernel gives them back when their
//! owner ends, however it ends. Claimed ports lie below those that the kernel gives to outgoing connections.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::ops::Range;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixDatagram};
use std::sync::atomic::{AtomicU32, Ordering};

/// A port that belongs to its holder, for TCP and for UDP, on every address.
pub struct Port {
    number: u16,
    /// Bound as long as the port is claimed.
    _claim: UnixDatagram,
}

impl Port {
    /// Claims a port that nobody listens on.
    pub fn claim() -> Port {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let range = range();
        let count = u32::from(range.end - range.start);
        // Processes begin at different places, so that they seldom try the same ports.
        let start = std::process::id().wrapping_mul(97);
        for _ in 0..count {
            let place = start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % count;
            let number = range.start + place as u16;
            if let Some(_claim) = claim(number).filter(|_| is_free(number)) {
                return Port { number, _claim };
            }
        }
        panic!("all ports from {} to {} are taken", range.start, range.end - 1);
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// The port on the address that servers under test have.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(HOST, self.number)
    }
}

/// The address of servers under test. Clients connect from 127.0.0.1, so the ends of a connection look different.
pub const HOST: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

fn claim(number: u16) -> Option<UnixDatagram> {
    let name = UnixAddr::from_abstract_name(format!("gripwire-test-port-{number}")).expect("a short name");
    UnixDatagram::bind_addr(&name).ok()
}

/// Programs that know nothing of claims may listen on a port. Only the owner of the claim comes here.
fn is_free(number: u16) -> bool {
    let everywhere = (Ipv4Addr::UNSPECIFIED, number);
    TcpListener::bind(everywhere).is_ok() && UdpSocket::bind(everywhere).is_ok()
}

fn range() -> Range<u16> {
    let text = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let outgoing = text.split_whitespace().next().and_then(|first| first.parse().ok()).unwrap_or(LAST);
    FIRST..LAST.min(outgoing).max(FIRST + 1000)
}

const FIRST: u16 = 3000;
const LAST: u16 = 12_000;

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn a_claimed_port_is_claimed_by_nobody_else_until_it_is_dropped() {
        let ports: Vec<Port> = (0..50).map(|_| Port::claim()).collect();
        assert_eq!(ports.iter().map(Port::number).collect::<HashSet<_>>().len(), 50);
        let number = ports[0].number();
        assert!(claim(number).is_none());
        drop(ports);
        assert!(claim(number).is_some());
    }

    #[test]
    fn a_port_that_somebody_listens_on_is_not_free() {
        let listener = TcpListener::bind("127.0.0.9:0").unwrap();
        assert!(!is_free(listener.local_addr().unwrap().port()));
        let socket = UdpSocket::bind("127.0.0.9:0").unwrap();
        assert!(!is_free(socket.local_addr().unwrap().port()));
    }
}

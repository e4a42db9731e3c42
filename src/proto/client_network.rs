//! Which addresses count as one client where clients share something. An IPv4 address is one client. A /64 of IPv6 is
//! one client, because a provider gives each subscriber a whole /64. All clients without an address are one client.

use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv6Addr};

/// One client, as far as addresses can tell.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
pub struct ClientNetwork(u128);

impl ClientNetwork {
    /// All clients without an address.
    pub const NOBODY: ClientNetwork = ClientNetwork(0);

    /// The network of a client at `address`.
    pub fn of(address: Option<IpAddr>) -> ClientNetwork {
        match address.map(|address| address.to_canonical()) {
            None => ClientNetwork::NOBODY,
            Some(IpAddr::V4(address)) => ClientNetwork(address.to_ipv6_mapped().to_bits()),
            // The last bit distinguishes ::/64 from `NOBODY`. No mapped IPv4 address has 1 as its low half.
            Some(IpAddr::V6(address)) => ClientNetwork(address.to_bits() >> 64 << 64 | 1),
        }
    }

    /// The address of the network: for IPv6 the first address in it. `None` if its clients have no address.
    pub fn address(self) -> Option<IpAddr> {
        let is_mapped = |address: &Ipv6Addr| address.to_ipv4_mapped().is_some();
        let address = Some(Ipv6Addr::from_bits(self.0)).filter(|_| self != ClientNetwork::NOBODY)?;
        Some(match is_mapped(&address) {
            true => IpAddr::V6(address).to_canonical(),
            false => IpAddr::V6(Ipv6Addr::from_bits(self.0 >> 64 << 64)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_the_address_of_its_clients() {
        let cases = [
            ("10.0.0.1", "10.0.0.1"),
            ("::ffff:10.0.0.1", "10.0.0.1"),
            ("2001:db8:0:1::1", "2001:db8:0:1::"),
            ("::1", "::"),
            ("0.0.0.0", "0.0.0.0"),
        ];
        for (client, network) in cases {
            let address = ClientNetwork::of(client.parse().ok()).address();
            assert_eq!(address, network.parse().ok(), "{client}");
        }
        assert_eq!(ClientNetwork::NOBODY.address(), None);
    }

    #[test]
    fn an_ipv4_address_is_one_client_and_so_is_a_64_of_ipv6() {
        let of = |address: &str| ClientNetwork::of(address.parse().ok());
        assert_eq!(of("10.0.0.1"), of("::ffff:10.0.0.1"));
        assert_eq!(of("2001:db8:0:1::1"), of("2001:db8:0:1:ffff::2"));
        assert_eq!(of("none"), ClientNetwork::NOBODY);
        let different =
            ["none", "10.0.0.1", "10.0.0.2", "::1", "2001:db8::1", "2001:db8:0:1::1", "0.0.0.1"].map(of);
        for (place, one) in different.iter().enumerate() {
            assert!(different.iter().skip(place + 1).all(|other| other != one), "{place}");
        }
    }
}

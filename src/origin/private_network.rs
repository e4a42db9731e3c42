//! Addresses that a target marked `untrusted` must not have: addresses that the public Internet cannot reach, written
//! plainly or carried within an IPv6 address. Otherwise the owner of a name could point the name to a service that
//! only this machine or its network may reach.

use super::special_purpose::is_globally_reachable;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether `address`, or an IPv4 address within it, belongs to this machine or a private network, or is otherwise not
/// on the public Internet.
pub(super) fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V6(outer) => {
            !is_globally_reachable(outer.into())
                || embedded(outer).any(|inner| !is_globally_reachable(inner.into()))
        }
        canonical => !is_globally_reachable(canonical),
    }
}

/// The IPv4 addresses that `address` may stand for, in the forms by which gateways and tunnels carry IPv4.
pub(super) fn embedded(address: Ipv6Addr) -> impl Iterator<Item = Ipv4Addr> {
    let bits = address.to_bits();
    // The IPv4 address whose last bit is bit `end`, counted from the right.
    let at = move |end: u32| Ipv4Addr::from_bits((bits >> end) as u32);
    let found: [Option<Ipv4Addr>; 2] = match address.segments() {
        // IPv4-mapped (RFC 4291 section 2.5.5.2), IPv4-compatible (section 2.5.5.1), IPv4-translated (RFC 2765).
        [0, 0, 0, 0, 0, 0xffff, ..] | [0, 0, 0, 0, 0, 0, ..] | [0, 0, 0, 0, 0xffff, 0, ..] => {
            [Some(at(0)), None]
        }
        // NAT64 (RFC 6052 section 2.1), and NAT64 with prefixes for local use (RFC 8215), whose length is not known
        // here: the usual prefix has 96 bits; a prefix of 48 bits has the address around bits 64 to 71 (RFC 6052
        // section 2.2).
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => [Some(at(0)), None],
        [0x64, 0xff9b, 1, ..] => {
            let [_, _, _, _, _, _, a, b, _, c, d, ..] = address.octets();
            [Some(at(0)), Some(Ipv4Addr::new(a, b, c, d))]
        }
        // 6to4 (RFC 3056 section 2).
        [0x2002, ..] => [Some(at(80)), None],
        // Teredo (RFC 4380 section 4): its server's address, and its client's address with all bits inverted.
        [0x2001, 0, ..] => [Some(at(64)), Some(Ipv4Addr::from_bits(!at(0).to_bits()))],
        _ => [None, None],
    };
    found.into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn private_networks_are_told_from_the_rest() {
        let private = [
            "127.0.0.1",
            "10.0.0.1",
            "172.31.255.255",
            "169.254.169.254",
            "100.64.0.1",
            "192.0.0.1",
            "198.19.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "0.0.0.0",
            "::1",
            "::",
            "fdff::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b::127.0.0.1",
            "64:ff9b:1::8.8.8.8",
            "2002:7f00:1::",
            "2001:0:808:808::f7f7:f7f7",
        ];
        for address in private {
            assert!(is_private(address.parse().unwrap()), "{address}");
        }
        let global = [
            "8.8.8.8",
            "172.32.0.1",
            "192.0.0.9",
            "2606:4700::1",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "2001:4:112::1",
        ];
        for address in global {
            assert!(!is_private(address.parse().unwrap()), "{address}");
        }
    }

    proptest! {
        #[test]
        fn an_address_within_another_is_found_by_every_form(bits in any::<u32>()) {
            let inner = Ipv4Addr::from_bits(bits);
            let [a, b, c, d] = inner.octets().map(u16::from);
            let (high, low) = (a << 8 | b, c << 8 | d);
            let forms = [
                inner.to_ipv6_mapped(),
                inner.to_ipv6_compatible(),
                Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, high, low),
                Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
                Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, high, low),
                Ipv6Addr::new(0x64, 0xff9b, 1, high, c, d << 8, 0, 0),
                Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
                Ipv6Addr::new(0x2001, 0, high, low, 0, 0, 0, 0),
                Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, !high, !low),
            ];
            for outer in forms {
                prop_assert!(embedded(outer).any(|found| found == inner), "{outer}");
                prop_assert!(!is_private(inner.into()) || is_private(outer.into()), "{outer}");
            }
        }
    }
}

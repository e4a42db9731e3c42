//! Which addresses the whole Internet can reach: IANA's special-purpose address registries
//! (<https://www.iana.org/assignments/iana-ipv4-special-registry>,
//! <https://www.iana.org/assignments/iana-ipv6-special-registry>) as a table, with multicast and unassigned blocks.
//! `private_network` uses it for targets that are `untrusted`. The standard library's `is_global` would answer the
//! same question, but it is unstable.
//!
//! The row with the longest prefix decides, so an exception within a larger block needs no code. Where a registry
//! says "N/A" for "Globally Reachable" (deprecated blocks, and tunnels that lead to another address), the table says
//! no.

use std::net::{IpAddr, Ipv4Addr};

/// Whether the registries say that every host of the Internet can reach `address`. An IPv6 address that carries an
/// IPv4 address is judged by the IPv6 registry, not by the IPv4 address within.
pub(super) fn is_globally_reachable(address: IpAddr) -> bool {
    let bits = bits_of(address);
    let rows = match address {
        IpAddr::V4(_) => IPV4,
        IpAddr::V6(_) => IPV6,
    };
    let matching = rows.iter().filter(|row| row.contains(bits));
    matching.max_by_key(|row| row.length).is_some_and(|row| row.reach == Reach::Global)
}

/// A block of addresses.
struct Row {
    /// The block's first address, left-aligned; an IPv4 address has zeros in the other bits.
    first: u128,
    /// The length of the block's prefix, bits.
    length: u32,
    reach: Reach,
}

/// The registries' value for "Globally Reachable".
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Reach {
    Global,
    Special,
}

impl Row {
    fn contains(&self, bits: u128) -> bool {
        let mask = u128::MAX.checked_shl(128 - self.length).unwrap_or(0);
        (bits ^ self.first) & mask == 0
    }
}

fn bits_of(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()) << 96,
        IpAddr::V6(address) => address.to_bits(),
    }
}

const fn v4(octets: [u8; 4], length: u32, reach: Reach) -> Row {
    let [a, b, c, d] = octets;
    Row { first: (Ipv4Addr::new(a, b, c, d).to_bits() as u128) << 96, length, reach }
}

/// A block whose first address begins with `groups`, followed by zeros.
const fn v6(groups: &[u16], length: u32, reach: Reach) -> Row {
    let (mut first, mut index) = (0, 0);
    while index < groups.len() {
        first |= (groups[index] as u128) << (112 - 16 * index);
        index += 1;
    }
    Row { first, length, reach }
}

use Reach::{Global, Special};

/// The registry of IPv4, and multicast.
const IPV4: &[Row] = &[
    v4([0, 0, 0, 0], 0, Global),           // addresses of no row below
    v4([0, 0, 0, 0], 8, Special),          // RFC 791 section 3.2: "this network"
    v4([0, 0, 0, 0], 32, Special),         // RFC 1122 section 3.2.1.3: this host on this network
    v4([10, 0, 0, 0], 8, Special),         // RFC 1918: private use
    v4([100, 64, 0, 0], 10, Special),      // RFC 6598: shared address space
    v4([127, 0, 0, 0], 8, Special),        // RFC 1122 section 3.2.1.3: loopback
    v4([169, 254, 0, 0], 16, Special),     // RFC 3927: link local
    v4([172, 16, 0, 0], 12, Special),      // RFC 1918: private use
    v4([192, 0, 0, 0], 24, Special),       // RFC 6890 section 2.1: IETF protocol assignments
    v4([192, 0, 0, 0], 29, Special),       // RFC 7335: IPv4 service continuity prefix
    v4([192, 0, 0, 8], 32, Special),       // RFC 7600: IPv4 dummy address
    v4([192, 0, 0, 9], 32, Global),        // RFC 7723: Port Control Protocol anycast
    v4([192, 0, 0, 10], 32, Global),       // RFC 8155: TURN anycast
    v4([192, 0, 0, 170], 32, Special),     // RFC 8880, RFC 7050 section 2.2: NAT64/DNS64 discovery
    v4([192, 0, 0, 171], 32, Special),     // RFC 8880, RFC 7050 section 2.2: NAT64/DNS64 discovery
    v4([192, 0, 2, 0], 24, Special),       // RFC 5737: documentation (TEST-NET-1)
    v4([192, 31, 196, 0], 24, Global),     // RFC 7535: AS112-v4
    v4([192, 52, 193, 0], 24, Global),     // RFC 7450: AMT
    v4([192, 88, 99, 0], 24, Special),     // RFC 7526: deprecated (6to4 relay anycast)
    v4([192, 88, 99, 2], 32, Special),     // RFC 6751: 6a44 relay anycast
    v4([192, 168, 0, 0], 16, Special),     // RFC 1918: private use
    v4([192, 175, 48, 0], 24, Global),     // RFC 7534: direct delegation AS112 service
    v4([198, 18, 0, 0], 15, Special),      // RFC 2544: benchmarking
    v4([198, 51, 100, 0], 24, Special),    // RFC 5737: documentation (TEST-NET-2)
    v4([203, 0, 113, 0], 24, Special),     // RFC 5737: documentation (TEST-NET-3)
    v4([224, 0, 0, 0], 4, Special),        // RFC 5771: multicast
    v4([240, 0, 0, 0], 4, Special),        // RFC 1112 section 4: reserved
    v4([255, 255, 255, 255], 32, Special), // RFC 8190, RFC 919 section 7: limited broadcast
];

/// The registry of IPv6, multicast, and unassigned blocks.
const IPV6: &[Row] = &[
    v6(&[], 0, Special),                             // RFC 4291 section 4: reserved by the IETF
    v6(&[0x2000], 3, Global),                        // RFC 4291 section 4: global unicast
    v6(&[], 96, Special),                            // RFC 4291 section 2.5.5.1: IPv4-compatible, deprecated
    v6(&[], 128, Special),                           // RFC 4291: unspecified address
    v6(&[0, 0, 0, 0, 0, 0, 0, 1], 128, Special),     // RFC 4291: loopback address
    v6(&[0, 0, 0, 0, 0, 0xffff], 96, Special),       // RFC 4291: IPv4-mapped address
    v6(&[0x64, 0xff9b], 96, Global),                 // RFC 6052: IPv4-IPv6 translation
    v6(&[0x64, 0xff9b, 1], 48, Special),             // RFC 8215: IPv4-IPv6 translation, local use
    v6(&[0x100], 64, Special),                       // RFC 6666: discard-only
    v6(&[0x100, 0, 0, 1], 64, Special),              // RFC 9780: dummy prefix
    v6(&[0x2001], 23, Special),                      // RFC 2928: IETF protocol assignments
    v6(&[0x2001], 32, Special),                      // RFC 4380, RFC 8190: Teredo
    v6(&[0x2001, 1, 0, 0, 0, 0, 0, 1], 128, Global), // RFC 7723: Port Control Protocol anycast
    v6(&[0x2001, 1, 0, 0, 0, 0, 0, 2], 128, Global), // RFC 8155: TURN anycast
    v6(&[0x2001, 1, 0, 0, 0, 0, 0, 3], 128, Global), // RFC 9665: DNS-SD SRP anycast
    v6(&[0x2001, 2], 48, Special),                   // RFC 5180, RFC 1752: benchmarking
    v6(&[0x2001, 3], 32, Global),                    // RFC 7450: AMT
    v6(&[0x2001, 4, 0x112], 48, Global),             // RFC 7535: AS112-v6
    v6(&[0x2001, 0x10], 28, Special),                // RFC 4843: deprecated (ORCHID)
    v6(&[0x2001, 0x20], 28, Global),                 // RFC 7343: ORCHIDv2
    v6(&[0x2001, 0x30], 28, Global),                 // RFC 9374: drone remote ID
    v6(&[0x2001, 0xdb8], 32, Special),               // RFC 3849: documentation
    v6(&[0x2002], 16, Special),                      // RFC 3056: 6to4
    v6(&[0x2620, 0x4f, 0x8000], 48, Global),         // RFC 7534: direct delegation AS112 service
    v6(&[0x3fff], 20, Special),                      // RFC 9637: documentation
    v6(&[0x5f00], 16, Special),                      // RFC 9602: segment routing identifiers
    v6(&[0xfc00], 7, Special),                       // RFC 4193, RFC 8190: unique local
    v6(&[0xfe80], 10, Special),                      // RFC 4291: link-local unicast
    v6(&[0xfec0], 10, Special),                      // RFC 3879: site-local, deprecated
    v6(&[0xff00], 8, Special),                       // RFC 4291 section 2.7: multicast
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::Ipv6Addr;

    fn reaches(address: &str) -> bool {
        is_globally_reachable(address.parse().unwrap())
    }

    #[test]
    fn blocks_end_where_the_registries_say() {
        let edges = [
            ("9.255.255.255", "10.0.0.0", "10.255.255.255", "11.0.0.0"),
            ("100.63.255.255", "100.64.0.0", "100.127.255.255", "100.128.0.0"),
            ("126.255.255.255", "127.0.0.0", "127.255.255.255", "128.0.0.0"),
            ("169.253.255.255", "169.254.0.0", "169.254.255.255", "169.255.0.0"),
            ("172.15.255.255", "172.16.0.0", "172.31.255.255", "172.32.0.0"),
            ("191.255.255.255", "192.0.0.0", "192.0.0.8", "192.0.0.9"),
            ("192.0.0.10", "192.0.0.11", "192.0.0.255", "192.0.1.0"),
            ("192.0.1.255", "192.0.2.0", "192.0.2.255", "192.0.3.0"),
            ("192.88.98.255", "192.88.99.0", "192.88.99.255", "192.88.100.0"),
            ("192.167.255.255", "192.168.0.0", "192.168.255.255", "192.169.0.0"),
            ("198.17.255.255", "198.18.0.0", "198.19.255.255", "198.20.0.0"),
            ("198.51.99.255", "198.51.100.0", "198.51.100.255", "198.51.101.0"),
            ("203.0.112.255", "203.0.113.0", "203.0.113.255", "203.0.114.0"),
            ("2001:1::3", "2001:1::4", "2001:2:ffff:ffff:ffff:ffff:ffff:ffff", "2001:3::"),
            ("2001:4:112:ffff:ffff:ffff:ffff:ffff", "2001:4:113::", "2001:1f::", "2001:20::"),
            ("2001:3f:ffff:ffff:ffff:ffff:ffff:ffff", "2001:40::", "2001:1ff:ffff::", "2001:200::"),
            ("2001:db7:ffff::", "2001:db8::", "2001:db8:ffff::1", "2001:db9::"),
            ("2001:ffff::", "2002::", "2002:ffff:ffff::", "2003::"),
            ("3ffe::", "3fff::", "3fff:fff:ffff::", "3fff:1000::"),
        ];
        for (before, first, last, after) in edges {
            assert!(reaches(before) && reaches(after), "{before} and {after} are outside");
            assert!(!reaches(first) && !reaches(last), "{first} and {last} are inside");
        }
        for global in ["223.255.255.255", "192.31.196.1", "192.52.193.1", "192.175.48.1", "2620:4f:8000::1"] {
            assert!(reaches(global), "{global}");
        }
        for special in ["0.0.0.0", "0.255.0.1", "224.0.0.0", "239.1.1.1", "240.0.0.1", "255.255.255.255"] {
            assert!(!reaches(special), "{special}");
        }
        for special in
            ["::", "::1", "::8.8.8.8", "::ffff:8.8.8.8", "64:ff9b:1::1", "100::1", "100:0:0:1::", "2001::1"]
        {
            assert!(!reaches(special), "{special}");
        }
        for special in ["4000::", "5f00::1", "fc00::", "fdff::1", "fe80::1", "febf::1", "fec0::1", "ff02::1"]
        {
            assert!(!reaches(special), "{special}");
        }
        assert!(reaches("64:ff9b::8.8.8.8") && !reaches("64:ff9a::") && !reaches("64:ff9b::1:0:0"));
    }

    #[test]
    fn every_row_is_a_block_of_its_own() {
        for (rows, width) in [(IPV4, 32), (IPV6, 128)] {
            for (index, row) in rows.iter().enumerate() {
                let rest = u128::MAX.checked_shr(row.length).unwrap_or(0);
                assert!(row.length <= width && row.first & rest == 0, "row {index} begins within its block");
                let same = |other: &&Row| (other.first, other.length) == (row.first, row.length);
                assert_eq!(rows.iter().filter(same).count(), 1, "row {index} is there twice");
            }
        }
    }

    proptest! {
        /// Decides in another way: the rows as a list of ranges, the shortest range last.
        #[test]
        fn the_smallest_block_around_an_address_decides(
            row in 0..IPV4.len() + IPV6.len(), inside in any::<u128>(), flip in 0..128u32, flips in any::<bool>(),
        ) {
            let (rows, width, row) = match row.checked_sub(IPV4.len()) {
                None => (IPV4, 32, &IPV4[row]),
                Some(row) => (IPV6, 128, &IPV6[row]),
            };
            let rest = u128::MAX.checked_shr(row.length).unwrap_or(0);
            let bits = row.first | (inside & rest);
            let bits = if flips { bits ^ (1 << (127 - flip % width)) } else { bits };
            let address = match width {
                32 => IpAddr::V4(Ipv4Addr::from_bits((bits >> 96) as u32)),
                _ => IpAddr::V6(Ipv6Addr::from_bits(bits)),
            };
            let bits = bits_of(address);
            let last = |row: &Row| row.first | u128::MAX.checked_shr(row.length).unwrap_or(0);
            let around = rows.iter().filter(|row| row.first <= bits && bits <= last(row));
            let smallest = around.min_by_key(|row| last(row) - row.first);
            prop_assert_eq!(is_globally_reachable(address), smallest.unwrap().reach == Global);
        }
    }
}

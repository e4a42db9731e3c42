//! Decides which connections come from trusted proxies, and which client such a proxy's request comes from. The
//! header rules, the log, the PROXY protocol and all limits by client use it.
//!
//! X-Forwarded-For is a list to which each proxy appends the address of its peer. So the proxy next to this server
//! wrote the list's end, and anybody may have written its beginning. The list is read from the end, as far as trusted
//! proxies have written it: the first address that is not a trusted proxy's is the client's. `Forwarded` (RFC 7239)
//! is not read.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// Addresses and networks of trusted proxies.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TrustedProxies {
    networks: Vec<Network>,
    /// Peers of Unix sockets are trusted.
    unix: bool,
}

/// A word of the setting that names no proxies.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotAProxy {
    /// The word is no address, and no known name.
    #[error("`{0}` names no proxies: write an address, a network such as `10.0.0.0/8`, `loopback` or `unix`")]
    Word(String),
    /// The address has bits beyond its network's length.
    #[error("`{0}` has bits beyond the length of its network: write `{1}`")]
    Host(String, String),
}

impl TrustedProxies {
    /// Adds the proxies that `word` names: an address, a network, `loopback`, or `unix`.
    ///
    /// # Errors
    /// `word` names no proxies.
    pub fn add(&mut self, word: &str) -> Result<(), NotAProxy> {
        match word.trim() {
            "loopback" => self.networks.extend(Network::LOOPBACK),
            "unix" => self.unix = true,
            word => self.networks.push(word.parse()?),
        }
        Ok(())
    }

    /// Whether no proxy is trusted.
    pub fn is_nobody(&self) -> bool {
        *self == TrustedProxies::default()
    }

    /// Whether `peer` is a trusted proxy. Peers of Unix sockets have no address.
    pub fn trusts(&self, peer: Option<IpAddr>) -> bool {
        match peer {
            None => self.unix,
            Some(peer) => self.networks.iter().any(|network| network.has(peer)),
        }
    }

    /// The address of a request's client: `peer`, or, if `peer` is trusted, the address that the values of
    /// X-Forwarded-For yield. `None` if there is no address. If a trusted proxy appended a value that is no address,
    /// the client is unknown, and that proxy's address stands for it.
    pub fn client_address<'v>(
        &self,
        peer: Option<IpAddr>,
        forwarded_for: impl DoubleEndedIterator<Item = &'v [u8]>,
    ) -> Option<IpAddr> {
        let mut client = peer.map(|peer| peer.to_canonical());
        let hops = forwarded_for.rev().flat_map(|value| value.rsplit(|byte| *byte == b','));
        let mut hops = hops.map(<[u8]>::trim_ascii).filter(|hop| !hop.is_empty()).take(HOPS);
        while self.trusts(client) {
            match hops.next().and_then(hop_address) {
                Some(address) => client = Some(address),
                None => break,
            }
        }
        client
    }
}

/// The address in a hop; some proxies append a port.
fn hop_address(hop: &[u8]) -> Option<IpAddr> {
    let hop = std::str::from_utf8(hop).ok()?;
    let hop = hop.strip_prefix('"').and_then(|hop| hop.strip_suffix('"')).unwrap_or(hop);
    let bracketed = hop.strip_prefix('[').and_then(|hop| hop.strip_suffix(']'));
    let with_port = || hop.parse().map(|address: SocketAddr| address.ip());
    let address = bracketed.unwrap_or(hop).parse().or_else(|_| with_port());
    address.ok().map(|address: IpAddr| address.to_canonical())
}

/// A network of IPv6. A network of IPv4 is its part of `::ffff:0:0/96`, so that an IPv4 client has the same address
/// on both kinds of socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Network {
    base: u128,
    /// How many bits all addresses of the network share.
    length: u32,
}

impl Network {
    const LOOPBACK: [Network; 2] = [
        Network { base: bits(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0))), length: V4_BITS + 8 },
        Network { base: 1, length: 128 },
    ];

    fn has(&self, address: IpAddr) -> bool {
        (bits(address) ^ self.base) & mask(self.length) == 0
    }
}

impl FromStr for Network {
    type Err = NotAProxy;

    fn from_str(text: &str) -> Result<Network, NotAProxy> {
        let wrong = || NotAProxy::Word(text.to_owned());
        let (address, length) =
            text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let (before, most) = if address.is_ipv4() { (V4_BITS, 32) } else { (0, 128) };
        let length: u32 = match length {
            None => most,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().map_err(|_| wrong())?
            }
            Some(_) => return Err(wrong()),
        };
        if length > most {
            return Err(wrong());
        }
        let (base, shared) = (bits(address), mask(before + length));
        if base & shared != base {
            let network = Ipv6Addr::from(base & shared);
            let network = if address.is_ipv4() { IpAddr::V6(network).to_canonical() } else { network.into() };
            return Err(NotAProxy::Host(text.to_owned(), format!("{network}/{length}")));
        }
        Ok(Network { base, length: before + length })
    }
}

const fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// A mask of the first `length` bits.
fn mask(length: u32) -> u128 {
    u128::MAX.checked_shl(128 - length).unwrap_or(0)
}

/// The bits before an IPv4 address.
const V4_BITS: u32 = 96;
/// How many entries of X-Forwarded-For are read: no chain of proxies is longer.
const HOPS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn proxies(words: &[&str]) -> TrustedProxies {
        let mut proxies = TrustedProxies::default();
        words.iter().for_each(|word| proxies.add(word).unwrap());
        proxies
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn client(proxies: &TrustedProxies, peer: &str, values: &[&str]) -> String {
        let values = values.iter().map(|value| value.as_bytes());
        proxies
            .client_address(peer.parse().ok(), values)
            .map_or_else(String::new, |client| client.to_string())
    }

    #[test]
    fn addresses_and_networks_of_both_versions_are_told_apart() {
        let proxies = proxies(&["10.0.0.0/8", "192.0.2.7", "2001:db8::/32", "fd00::1"]);
        for inside in ["10.0.0.0", "10.255.255.255", "192.0.2.7", "2001:db8::9", "fd00::1", "::ffff:10.1.2.3"]
        {
            assert!(proxies.trusts(Some(address(inside))), "{inside}");
        }
        for outside in ["11.0.0.0", "192.0.2.8", "2001:db9::", "fd00::2", "::ffff:11.0.0.1", "::10.0.0.1"] {
            assert!(!proxies.trusts(Some(address(outside))), "{outside}");
        }
        assert!(!proxies.trusts(None));
        let all = self::proxies(&["0.0.0.0/0"]);
        assert!(all.trusts(Some(address("1.2.3.4"))) && !all.trusts(Some(address("::1"))));
        assert!(self::proxies(&["::/0"]).trusts(Some(address("1.2.3.4"))));
    }

    #[test]
    fn names_stand_for_this_machine() {
        let loopback = proxies(&["loopback"]);
        for inside in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            assert!(loopback.trusts(Some(address(inside))), "{inside}");
        }
        assert!(!loopback.trusts(Some(address("::2"))) && !loopback.trusts(None));
        assert!(proxies(&["unix"]).trusts(None) && !proxies(&["unix"]).trusts(Some(address("127.0.0.1"))));
    }

    #[test]
    fn what_names_no_proxies_is_refused() {
        for word in [
            "",
            "10.0.0.0/33",
            "::/129",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "10.0.0/8",
            "localhost",
            "a/8",
            "/8",
            "*",
        ] {
            assert_eq!(TrustedProxies::default().add(word), Err(NotAProxy::Word(word.to_owned())), "{word}");
        }
        let host = |text: &str| TrustedProxies::default().add(text).unwrap_err().to_string();
        assert!(host("10.1.2.3/8").ends_with("write `10.0.0.0/8`"));
        assert!(host("2001:db8::1/32").ends_with("write `2001:db8::/32`"));
    }

    #[test]
    fn the_client_is_the_last_hop_that_is_no_proxy() {
        let proxies = proxies(&["10.0.0.0/8"]);
        let cases: [(&str, &[&str], &str); 13] = [
            ("192.0.2.1", &["203.0.113.9"], "192.0.2.1"),
            ("10.0.0.1", &["203.0.113.9"], "203.0.113.9"),
            ("::ffff:10.0.0.1", &["203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", &["6.6.6.6, 203.0.113.9, 10.0.0.2"], "203.0.113.9"),
            ("10.0.0.1", &["6.6.6.6", "203.0.113.9", "10.0.0.2,"], "203.0.113.9"),
            ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["", " , "], "10.0.0.1"),
            ("10.0.0.1", &["203.0.113.9, unknown"], "10.0.0.1"),
            ("10.0.0.1", &["203.0.113.9, unknown, 10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1", &["203.0.113.9:4711"], "203.0.113.9"),
            ("10.0.0.1", &["[2001:db8::9]:4711"], "2001:db8::9"),
            ("10.0.0.1", &["\"[2001:db8::9]\""], "2001:db8::9"),
        ];
        for (peer, values, expected) in cases {
            assert_eq!(client(&proxies, peer, values), expected, "{peer} {values:?}");
        }
        assert_eq!(client(&proxies, "", &["203.0.113.9"]), "");
        assert_eq!(client(&self::proxies(&["unix"]), "", &["203.0.113.9"]), "203.0.113.9");
    }

    proptest! {
        #[test]
        fn a_network_has_the_addresses_that_share_its_bits(base in any::<u128>(), other in any::<u128>(), length in 0u32..=128) {
            let network = Ipv6Addr::from(base & mask(length));
            let proxies = proxies(&[&format!("{network}/{length}")]);
            let shares = (0..length).all(|bit| (base ^ other) >> (127 - bit) & 1 == 0);
            prop_assert_eq!(proxies.trusts(Some(Ipv6Addr::from(other).into())), shares);
            prop_assert!(proxies.trusts(Some(Ipv6Addr::from(base).into())));
        }

        #[test]
        fn a_network_of_version_4_has_its_addresses_in_both_spellings(base in any::<u32>(), other in any::<u32>(), length in 0u32..=32) {
            let network = Ipv4Addr::from(base & u32::MAX.checked_shl(32 - length).unwrap_or(0));
            let proxies = proxies(&[&format!("{network}/{length}")]);
            let shares = (base ^ other).leading_zeros() >= length;
            let other = Ipv4Addr::from(other);
            prop_assert_eq!(proxies.trusts(Some(other.into())), shares);
            prop_assert_eq!(proxies.trusts(Some(other.to_ipv6_mapped().into())), shares);
        }

        #[test]
        fn what_a_client_writes_before_its_proxies_does_not_change_whose_request_it_is(
            forged in "[0-9a-f:., \"\\[\\]x]{0,60}",
            client in any::<u32>(),
            through in 0usize..4,
        ) {
            let client = Ipv4Addr::from(client);
            let proxies = proxies(&["10.0.0.0/8"]);
            prop_assume!(!proxies.trusts(Some(client.into())));
            let appended = format!("{client}{}", ", 10.0.0.2".repeat(through));
            let in_one = format!("{forged}, {appended}");
            for values in [vec![in_one.as_str()], vec![&forged, &appended]] {
                prop_assert_eq!(self::client(&proxies, "10.0.0.1", &values), client.to_string());
            }
            prop_assert_eq!(self::client(&proxies, &client.to_string(), &[&in_one]), client.to_string());
        }

        #[test]
        fn any_bytes_are_read_without_panic(values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..5)) {
            let values = values.iter().map(Vec::as_slice);
            prop_assert!(proxies(&["::/0"]).client_address(Some(address("10.0.0.1")), values).is_some());
        }
    }
}

//! What must hold for whatever comes where proxies say whom they relay. The fuzz targets call this with what they
//! invent, `tests/fuzz_corpus.rs` with what was kept.

use gripwire::proto::proxy_protocol::{HEADER_BYTES, Header, read_header};
use gripwire::proto::trusted_proxies::TrustedProxies;
use std::net::{IpAddr, Ipv4Addr};

/// Cutting at every byte is quadratic; beyond this many bytes only the last cuts are tried.
const CUTS: usize = 512;

/// A decision about a header does not change with what follows, and waits for no more than the longest header.
pub fn check_proxy_header(input: &[u8]) {
    let whole = read_header(input);
    for cut in input.len().saturating_sub(CUTS)..input.len() {
        let early = read_header(&input[..cut]);
        assert!(early == Ok(Header::Partial) || early == whole, "cut at {cut}: {early:?}, whole: {whole:?}");
    }
    match whole {
        Ok(Header::Complete { used, .. }) => assert!(used <= input.len() && used <= HEADER_BYTES),
        Ok(Header::Partial) => assert!(input.len() < HEADER_BYTES),
        Err(_) => {}
    }
}

/// What a client writes into X-Forwarded-For changes nothing where its proxy has appended its address.
pub fn check_forwarded_for(input: &[u8]) {
    let (proxy, client) = (IpAddr::from([10, 0, 0, 1]), IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)));
    let mut proxies = TrustedProxies::default();
    proxies.add("10.0.0.0/8").expect("a network");
    let appended = [input, b", 192.0.2.1"].concat();
    assert_eq!(proxies.client_address(Some(proxy), [appended.as_slice()].into_iter()), Some(client));
    assert_eq!(proxies.client_address(Some(proxy), [input, b"192.0.2.1"].into_iter()), Some(client));
    assert_eq!(proxies.client_address(Some(client), [input].into_iter()), Some(client));
    assert!(proxies.client_address(Some(proxy), [input].into_iter()).is_some());
}

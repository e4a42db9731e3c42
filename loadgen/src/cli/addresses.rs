//! Addresses to connect to: `127.0.0.1:7999`, or a range such as `127.0.0.1-127.0.0.8:7999`. A million connections need
//! several addresses.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::str::FromStr;

/// One address or the addresses of a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses(pub Vec<SocketAddrV4>);

#[derive(Debug, thiserror::Error)]
#[error(
    "`{0}` is not an address: use 127.0.0.1:7999, or a range of up to 4096 such as 127.0.0.1-127.0.0.8:7999"
)]
pub struct NoAddress(String);

impl FromStr for Addresses {
    type Err = NoAddress;

    fn from_str(text: &str) -> Result<Addresses, NoAddress> {
        read(text).ok_or_else(|| NoAddress(text.to_owned()))
    }
}

fn read(text: &str) -> Option<Addresses> {
    let (hosts, port) = text.rsplit_once(':')?;
    let port: u16 = port.parse().ok()?;
    let (first, last) = hosts.split_once('-').unwrap_or((hosts, hosts));
    let (first, last): (Ipv4Addr, Ipv4Addr) = (host(first)?, host(last)?);
    let range = u32::from(first)..=u32::from(last);
    if range.is_empty() || range.end() - range.start() >= 4096 {
        return None;
    }
    Some(Addresses(range.map(|address| SocketAddrV4::new(address.into(), port)).collect()))
}

fn host(text: &str) -> Option<Ipv4Addr> {
    if text == "localhost" { Some(Ipv4Addr::LOCALHOST) } else { text.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_and_ranges_are_read() {
        let read = |text: &str| text.parse::<Addresses>().map(|one| one.0);
        assert_eq!(read("localhost:80").unwrap(), ["127.0.0.1:80".parse().unwrap()]);
        let range = read("127.0.0.254-127.0.1.1:7999").unwrap();
        assert_eq!((range.len(), range[3].to_string()), (4, "127.0.1.1:7999".into()));
        for text in ["", "127.0.0.1", "7999", "127.0.0.2-127.0.0.1:1", "127.0.0.0-127.9.0.0:1", "x:1"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}

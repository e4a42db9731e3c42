//! Reads addresses to listen on as operators write them. Both config readers and the command line call
//! [`parse_listen`], so `8080` means one address everywhere. Host names are not resolved: a listener's address must
//! not depend on DNS.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Text that is not an address to listen on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an address to listen on: write `port`, `address:port` or `[v6 address]:port`")]
pub struct NotAnAddress(String);

/// Reads `port`, `addr:port` or `[v6]:port`. A bare port becomes that port of the address `any`.
///
/// # Errors
/// The text, if it has none of these forms or if the port is 0.
pub fn parse_listen(text: &str, any: Ipv4Addr) -> Result<SocketAddr, NotAnAddress> {
    let text = text.trim();
    let address = match text.parse::<u16>() {
        Ok(port) => Some(SocketAddr::new(IpAddr::V4(any), port)),
        Err(_) => text.parse().ok(),
    };
    // With port 0 the kernel would choose the port, and no client could know it.
    address.filter(|address| address.port() != 0).ok_or_else(|| NotAnAddress(text.to_owned()))
}

/// Text that is not the name of a host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not the name of a host: write it as requests do, without a scheme and a port, such as `build.lan`"
)]
pub struct NotAHostName(String);

/// Reads a host name or an IP address in the form of the `Host` header, without a port. Brackets around an IPv6
/// address are optional.
///
/// # Errors
/// The text, if it is neither.
pub fn parse_host_name(text: &str) -> Result<String, NotAHostName> {
    let name = text.trim().trim_matches(['[', ']']);
    let is_address = name.parse::<IpAddr>().is_ok();
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    match is_address || (!name.is_empty() && name.bytes().all(is_part)) {
        true => Ok(name.to_ascii_lowercase()),
        false => Err(NotAHostName(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_an_address_and_a_v6_address_are_read() {
        let read = |text| parse_listen(text, Ipv4Addr::UNSPECIFIED).map(|address| address.to_string());
        assert_eq!(read("8080").as_deref(), Ok("0.0.0.0:8080"));
        assert_eq!(read(" 127.0.0.1:80 ").as_deref(), Ok("127.0.0.1:80"));
        assert_eq!(read("[::1]:443").as_deref(), Ok("[::1]:443"));
    }

    #[test]
    fn a_host_is_named_as_requests_name_it() {
        for (text, name) in
            [(" Build.LAN ", "build.lan"), ("[::1]", "::1"), ("10.0.0.1", "10.0.0.1"), ("a_b", "a_b")]
        {
            assert_eq!(parse_host_name(text).as_deref(), Ok(name));
        }
        for text in ["", "a:80", "http://a", "a/b", "*", "a b"] {
            assert_eq!(parse_host_name(text), Err(NotAHostName(text.to_owned())));
        }
    }

    #[test]
    fn what_is_not_an_address_is_named() {
        for text in ["", "0", "70000", "localhost:80", "::1:80", "127.0.0.1", "127.0.0.1:0"] {
            let error = parse_listen(text, Ipv4Addr::UNSPECIFIED).unwrap_err();
            assert!(error.to_string().contains(&format!("`{text}`")), "{error}");
        }
    }
}

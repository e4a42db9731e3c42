//! The PROXY protocol, versions 1 and 2: a header with the client's address, which a load balancer sends before the
//! first byte of a connection. The wire calls `read_header` on the bytes that a connection received, again with more
//! bytes while the header is incomplete, and continues with the bytes after it. Another part decides whose header is
//! trusted.
//!
//! The specification is HAProxy's `doc/proxy-protocol.txt`. A header must follow it exactly: a header that this
//! server could understand differently from its sender is an error, and ends the connection.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// The client of a connection by its header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// The sender relays this client.
    Client(SocketAddr),
    /// The client's address is unknown or not an IP address: a Unix socket, an unknown family.
    Unknown,
    /// The sender itself, for a health check: the connection's own address is the client's.
    Sender,
}

/// The result of reading a header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Header {
    /// The header, and how many bytes it used.
    Complete {
        /// The client of the connection.
        source: Source,
        /// How many bytes the header used.
        used: usize,
    },
    /// The header is incomplete.
    Partial,
}

/// Why a header is invalid.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum HeaderError {
    /// The connection begins with neither version's signature.
    #[error("a connection does not begin with a PROXY protocol header")]
    Signature,
    /// The line of version 1 breaks its grammar.
    #[error("a PROXY protocol header of version 1 is malformed")]
    Line,
    /// A version, command or family of version 2 is unknown.
    #[error("a PROXY protocol header of version 2 has an unknown version, command or family")]
    Kind,
    /// The header's length is above the limit.
    #[error("a PROXY protocol header has more than {HEADER_BYTES} bytes")]
    TooLong,
    /// The addresses or fields do not fit into the header's length.
    #[error("a PROXY protocol header is shorter than its addresses and fields")]
    TooShort,
    /// The header's checksum does not match its bytes.
    #[error("a PROXY protocol header has a wrong checksum")]
    Checksum,
}

/// The longest header that is accepted. Addresses take 232 bytes at most, and the fields of load balancers (host,
/// ALPN, identifiers, facts about TLS) take some hundreds.
pub const HEADER_BYTES: usize = 4096;

/// Reads the header at the start of `input`. The result does not depend on how the header was split in transit.
///
/// # Errors
/// The header is invalid.
pub fn read_header(input: &[u8]) -> Result<Header, HeaderError> {
    if is_begun(input, SIGNATURE) {
        return binary(input);
    }
    if is_begun(input, LINE) {
        return line(input);
    }
    Err(HeaderError::Signature)
}

/// Whether `input` begins with `signature`, as far as `input` has come.
fn is_begun(input: &[u8], signature: &[u8]) -> bool {
    input.iter().zip(signature).all(|(byte, expected)| byte == expected)
}

/// Version 1: `PROXY TCP4 SOURCE DESTINATION PORT PORT` and a line end.
fn line(input: &[u8]) -> Result<Header, HeaderError> {
    let within = input.get(..LINE_BYTES).unwrap_or(input);
    let Some(end) = memchr::memchr(b'\n', within) else {
        return if input.len() >= LINE_BYTES { Err(HeaderError::Line) } else { Ok(Header::Partial) };
    };
    let text = within.get(..end).and_then(|line| line.strip_suffix(b"\r")).ok_or(HeaderError::Line)?;
    let text = std::str::from_utf8(text).map_err(|_| HeaderError::Line)?;
    let mut words = text.split(' ').skip(1);
    let source = match words.next() {
        // The rest of an UNKNOWN line is ignored.
        Some("UNKNOWN") => Source::Unknown,
        Some("TCP4") => Source::Client(addresses::<Ipv4Addr>(words)?),
        Some("TCP6") => Source::Client(addresses::<Ipv6Addr>(words)?),
        _ => return Err(HeaderError::Line),
    };
    Ok(Header::Complete { source, used: end + 1 })
}

/// The source address in the four words of a line.
fn addresses<'w, A: FromStr + Into<IpAddr>>(
    mut words: impl Iterator<Item = &'w str>,
) -> Result<SocketAddr, HeaderError> {
    let mut address = || words.next().and_then(|word| word.parse::<A>().ok()).ok_or(HeaderError::Line);
    let (source, _) = (address()?, address()?);
    let mut port = || words.next().and_then(port_number).ok_or(HeaderError::Line);
    let (source_port, _) = (port()?, port()?);
    match words.next() {
        None => Ok(SocketAddr::new(source.into(), source_port)),
        Some(_) => Err(HeaderError::Line),
    }
}

/// A port without a sign and without leading zeros.
fn port_number(digits: &str) -> Option<u16> {
    let is_plain =
        digits.bytes().all(|byte| byte.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    digits.parse().ok().filter(|_| is_plain)
}

/// Version 2: a signature, version and command, family and protocol, a length, the addresses, and fields.
fn binary(input: &[u8]) -> Result<Header, HeaderError> {
    let Some(kind) = input.get(SIGNATURE.len()) else { return Ok(Header::Partial) };
    let is_local = match kind {
        0x20 => true,
        0x21 => false,
        _ => return Err(HeaderError::Kind),
    };
    let Some(family) = input.get(SIGNATURE.len() + 1) else { return Ok(Header::Partial) };
    let address_bytes = address_bytes(*family).ok_or(HeaderError::Kind)?;
    let Some(length) = input.get(SIGNATURE.len() + 2..BEFORE_ADDRESSES) else { return Ok(Header::Partial) };
    let length = length.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
    let used = BEFORE_ADDRESSES + length;
    if used > HEADER_BYTES {
        return Err(HeaderError::TooLong);
    }
    let Some(header) = input.get(..used) else { return Ok(Header::Partial) };
    // If a sender speaks for itself or for an unknown client, any bytes may follow here.
    if is_local || address_bytes == 0 {
        let source = if is_local { Source::Sender } else { Source::Unknown };
        return Ok(Header::Complete { source, used });
    }
    let rest = header.get(BEFORE_ADDRESSES..).unwrap_or_default();
    let (addresses, fields) = rest.split_at_checked(address_bytes).ok_or(HeaderError::TooShort)?;
    check_fields(header, fields)?;
    let source = first_address(addresses).map_or(Source::Unknown, Source::Client);
    Ok(Header::Complete { source, used })
}

/// The size of both addresses, by the byte for family and protocol. Unspecified addresses have no bytes, whatever the
/// protocol.
fn address_bytes(family: u8) -> Option<usize> {
    match family {
        0x00..=0x02 => Some(0),
        0x11 | 0x12 => Some(V4_BYTES),
        0x21 | 0x22 => Some(V6_BYTES),
        0x31 | 0x32 => Some(UNIX_BYTES),
        _ => None,
    }
}

/// The first of both addresses, if it is an IP address.
fn first_address(addresses: &[u8]) -> Option<SocketAddr> {
    let (address, ports) = match addresses.len() {
        V4_BYTES => (IpAddr::from(*addresses.first_chunk::<4>()?), addresses.get(8..)?),
        V6_BYTES => (IpAddr::from(*addresses.first_chunk::<16>()?), addresses.get(32..)?),
        _ => return None,
    };
    Some(SocketAddr::new(address, u16::from_be_bytes(*ports.first_chunk()?)))
}

/// Checks the fields. Each field has a type, a length and that many bytes. A field may be a checksum of the whole
/// header, which then must match.
fn check_fields(header: &[u8], mut fields: &[u8]) -> Result<(), HeaderError> {
    while let Some((kind, rest)) = fields.split_first() {
        let (length, rest) = rest.split_first_chunk::<2>().ok_or(HeaderError::TooShort)?;
        let (value, rest) =
            rest.split_at_checked(u16::from_be_bytes(*length).into()).ok_or(HeaderError::TooShort)?;
        if *kind == CHECKSUM {
            let claimed: [u8; 4] = value.try_into().map_err(|_| HeaderError::Checksum)?;
            let at = header.len() - rest.len() - claimed.len();
            if crc32c(header, at..at + claimed.len()) != u32::from_be_bytes(claimed) {
                return Err(HeaderError::Checksum);
            }
        }
        fields = rest;
    }
    Ok(())
}

/// CRC-32C (RFC 4960 appendix B) of `header`, with zeros for the bytes at `zeroed`.
fn crc32c(header: &[u8], zeroed: std::ops::Range<usize>) -> u32 {
    let bytes = header.iter().enumerate().map(|(at, byte)| if zeroed.contains(&at) { 0 } else { *byte });
    !bytes.fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(byte), |sum, _| sum >> 1 ^ if sum & 1 == 1 { 0x82f6_3b78 } else { 0 })
    })
}

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const LINE: &[u8] = b"PROXY ";
/// The longest line of version 1, with its line end.
const LINE_BYTES: usize = 107;
const BEFORE_ADDRESSES: usize = SIGNATURE.len() + 4;
const V4_BYTES: usize = 12;
const V6_BYTES: usize = 36;
const UNIX_BYTES: usize = 216;
/// PP2_TYPE_CRC32C.
const CHECKSUM: u8 = 0x03;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A header of version 2.
    fn header(kind: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        [SIGNATURE, &[kind, family], &(rest.len() as u16).to_be_bytes(), rest].concat()
    }

    fn client(address: &str) -> Source {
        Source::Client(address.parse().unwrap())
    }

    const V4: [u8; V4_BYTES] = [192, 0, 2, 1, 10, 0, 0, 1, 0x12, 0x67, 0x1f, 0x3f];

    fn v6() -> Vec<u8> {
        let addresses =
            ["2001:db8::1", "2001:db8::2"].map(|address| address.parse::<Ipv6Addr>().unwrap().octets());
        [&addresses.concat()[..], &[0x12, 0x67, 0x1f, 0x3f]].concat()
    }

    /// Reads the whole of `input`, and checks that following bytes change nothing and that a cut header is
    /// incomplete.
    fn complete(input: &[u8]) -> Source {
        let outcome = read_header(input);
        let Ok(Header::Complete { source, used }) = outcome else { panic!("{input:?} gave {outcome:?}") };
        assert_eq!(used, input.len());
        assert_eq!(read_header(&[input, b"GET / HTTP/1.1\r\n"].concat()), outcome);
        for cut in 0..input.len() {
            assert_eq!(read_header(&input[..cut]), Ok(Header::Partial), "{input:?} cut at {cut}");
        }
        source
    }

    #[test]
    fn lines_of_version_1_are_read() {
        assert_eq!(complete(b"PROXY TCP4 192.0.2.1 10.0.0.1 4711 80\r\n"), client("192.0.2.1:4711"));
        assert_eq!(complete(b"PROXY TCP6 2001:db8::1 ::1 0 65535\r\n"), client("[2001:db8::1]:0"));
        assert_eq!(complete(b"PROXY UNKNOWN\r\n"), Source::Unknown);
        assert_eq!(complete(b"PROXY UNKNOWN anything at all\r\n"), Source::Unknown);
        let longest = [&b"PROXY UNKNOWN "[..], &[b'x'; LINE_BYTES - 16], b"\r\n"].concat();
        assert_eq!((longest.len(), complete(&longest)), (LINE_BYTES, Source::Unknown));
    }

    #[test]
    fn lines_outside_the_grammar_are_errors() {
        let malformed = [
            "PROXY \r\n",
            "PROXY TCP4\r\n",
            "PROXY TCP5 192.0.2.1 10.0.0.1 1 2\r\n",
            "PROXY tcp4 192.0.2.1 10.0.0.1 1 2\r\n",
            "PROXY TCP4 192.0.2.1 10.0.0.1 1\r\n",
            "PROXY TCP4 192.0.2.1 10.0.0.1 1 2 3\r\n",
            "PROXY TCP4 192.0.2.1  10.0.0.1 1 2\r\n",
            "PROXY TCP4 192.0.2.1 10.0.0.1 1 2 \r\n",
            "PROXY TCP4 ::1 ::1 1 2\r\n",
            "PROXY TCP6 192.0.2.1 10.0.0.1 1 2\r\n",
            "PROXY TCP4 192.0.2.01 10.0.0.1 1 2\r\n",
            "PROXY TCP4 192.0.2.1 10.0.0.1 01 2\r\n",
            "PROXY TCP4 192.0.2.1 10.0.0.1 +1 2\r\n",
            "PROXY TCP4 192.0.2.1 10.0.0.1 65536 2\r\n",
            "PROXY TCP4 192.0.2.1 10.0.0.1 1 2\n",
            "PROXY UNKNOWNS\r\n",
            "PROXY UNKNOWN \u{e9}\n",
        ];
        for input in malformed {
            assert_eq!(read_header(input.as_bytes()), Err(HeaderError::Line), "{input:?}");
        }
        let endless = [b"PROXY UNKNOWN ".as_slice(), &[b'x'; LINE_BYTES]].concat();
        assert_eq!(read_header(&endless), Err(HeaderError::Line));
        assert_eq!(read_header(&endless[..LINE_BYTES - 1]), Ok(Header::Partial));
    }

    #[test]
    fn what_begins_as_something_else_is_no_header() {
        for input in ["GET / HTTP/1.1\r\n", "P ", "PROXY\r\n", "\r\n\r\nX", "\u{16}\u{3}\u{1}", "proxy tcp4"]
        {
            assert_eq!(read_header(input.as_bytes()), Err(HeaderError::Signature), "{input:?}");
        }
        assert_eq!(read_header(b""), Ok(Header::Partial));
    }

    #[test]
    fn headers_of_version_2_are_read() {
        assert_eq!(complete(&header(0x21, 0x11, &V4)), client("192.0.2.1:4711"));
        assert_eq!(complete(&header(0x21, 0x12, &V4)), client("192.0.2.1:4711"));
        assert_eq!(complete(&header(0x21, 0x21, &v6())), client("[2001:db8::1]:4711"));
        assert_eq!(complete(&header(0x21, 0x31, &[b'/'; UNIX_BYTES])), Source::Unknown);
        assert_eq!(complete(&header(0x21, 0x00, b"")), Source::Unknown);
        assert_eq!(complete(&header(0x21, 0x00, b"any")), Source::Unknown);
        let with_field = [&V4[..], &[0x02, 0, 1, b'a', 0x04, 0, 0]].concat();
        assert_eq!(complete(&header(0x21, 0x11, &with_field)), client("192.0.2.1:4711"));
        for (family, rest) in [(0x00, &b""[..]), (0x11, &V4), (0x11, b"any"), (0x00, &[0xff; 9])] {
            assert_eq!(complete(&header(0x20, family, rest)), Source::Sender, "{family} {rest:?}");
        }
    }

    #[test]
    fn headers_of_version_2_that_do_not_add_up_are_errors() {
        let cases = [
            (header(0x22, 0x11, &V4), HeaderError::Kind),
            (header(0x11, 0x11, &V4), HeaderError::Kind),
            (header(0x21, 0x41, &V4), HeaderError::Kind),
            (header(0x21, 0x13, &V4), HeaderError::Kind),
            (header(0x21, 0x11, &V4[..11]), HeaderError::TooShort),
            (header(0x21, 0x21, &V4), HeaderError::TooShort),
            (header(0x21, 0x11, &[&V4[..], &[2]].concat()), HeaderError::TooShort),
            (header(0x21, 0x11, &[&V4[..], &[2, 0, 2, b'a']].concat()), HeaderError::TooShort),
            (header(0x21, 0x00, &[0; HEADER_BYTES]), HeaderError::TooLong),
        ];
        for (input, expected) in cases {
            assert_eq!(read_header(&input), Err(expected), "{input:?}");
        }
    }

    #[test]
    fn a_checksum_is_right_or_ends_the_connection() {
        let check_value = crc32c(b"123456789", 0..0);
        assert_eq!(check_value, 0xe306_9283);
        let with = |sum: &[u8]| {
            let field = [&[CHECKSUM, 0, sum.len() as u8][..], sum].concat();
            header(0x21, 0x11, &[&V4[..], &[0x02, 0, 1, b'a'], &field, &[0x04, 0, 0]].concat())
        };
        let zeroed = with(&[0; 4]);
        let sum = crc32c(&zeroed, 0..0);
        assert_eq!(complete(&with(&sum.to_be_bytes())), client("192.0.2.1:4711"));
        assert_eq!(read_header(&with(&(sum ^ 1).to_be_bytes())), Err(HeaderError::Checksum));
        assert_eq!(read_header(&with(&[0; 3])), Err(HeaderError::Checksum));
    }

    proptest! {
        #[test]
        fn a_decision_does_not_change_with_what_follows(
            start in 0usize..4,
            bytes in prop::collection::vec(any::<u8>(), 0..60),
            line in "[PROXYTC46UNKW0-9.: \r\n]{0,60}",
        ) {
            let starts: [&[u8]; 4] = [b"", b"PROXY ", SIGNATURE, b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x10"];
            for rest in [&bytes[..], line.as_bytes()] {
                let input = [starts[start], rest].concat();
                let whole = read_header(&input);
                for cut in 0..input.len() {
                    let early = read_header(&input[..cut]);
                    prop_assert!(early == Ok(Header::Partial) || early == whole, "cut at {cut}: {early:?}, {whole:?}");
                }
                if let Ok(Header::Complete { used, .. }) = whole {
                    prop_assert!(used <= input.len() && used <= HEADER_BYTES);
                }
            }
        }

        #[test]
        fn an_address_that_is_written_is_read_back(v4 in any::<[u8; 4]>(), v6 in any::<[u8; 16]>(), port in any::<u16>()) {
            let (v4, v6) = (Ipv4Addr::from(v4), Ipv6Addr::from(v6));
            let ports = [port.to_be_bytes(), [0, 80]].concat();
            let of_v4 = [&v4.octets()[..], &[0; 4], &ports].concat();
            let of_v6 = [&v6.octets()[..], &[0; 16], &ports].concat();
            let expected_v4 = Source::Client(SocketAddr::new(v4.into(), port));
            let expected_v6 = Source::Client(SocketAddr::new(v6.into(), port));
            prop_assert_eq!(complete(&header(0x21, 0x11, &of_v4)), expected_v4);
            prop_assert_eq!(complete(&header(0x21, 0x21, &of_v6)), expected_v6);
            prop_assert_eq!(complete(format!("PROXY TCP4 {v4} 0.0.0.0 {port} 80\r\n").as_bytes()), expected_v4);
            prop_assert_eq!(complete(format!("PROXY TCP6 {v6} :: {port} 80\r\n").as_bytes()), expected_v6);
        }
    }
}

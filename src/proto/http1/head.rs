//! Request heads, parsed in place by httparse and then held to RFC 9112 to the letter where leniency would let two
//! servers disagree about where a request ends (request smuggling): line endings, field syntax, lengths, codings.

use super::body::BodyLength;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use httparse::{EMPTY_HEADER, Header, Status};
use memchr::{memchr_iter, memmem};
use smallvec::SmallVec;

/// Header fields of one request.
const MAX_FIELDS: usize = 128;
/// Empty lines allowed before a request line (RFC 9112 section 2.2 asks for at least one).
const LEADING_LINES: usize = 8;

/// Bounds of a request head.
#[derive(Clone, Copy, Debug)]
pub struct HeadLimits {
    /// Bytes, from the request line to the empty line.
    pub head_bytes: usize,
}

/// What the bytes received so far amount to.
#[derive(Debug)]
pub enum Head<'a> {
    /// A whole head, and how many bytes it used.
    Complete {
        /// The head; borrows the input.
        request: RequestHead<'a>,
        /// Bytes up to the end of the empty line.
        used: usize,
    },
    /// More must arrive.
    Partial,
}

/// HTTP versions this server speaks on a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Version {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1.
    Http11,
}

/// What is asked for (RFC 9112 section 3.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target<'a> {
    /// A path and query; of an absolute-form target what follows the authority.
    Origin(&'a str),
    /// `*`, the server as a whole.
    Asterisk,
}

/// A request head.
#[derive(Debug)]
pub struct RequestHead<'a> {
    /// The method, a token.
    pub method: &'a str,
    /// The target without scheme and authority.
    pub target: Target<'a>,
    /// The client's version.
    pub version: Version,
    /// The field lines in order.
    pub headers: SmallVec<[Header<'a>; 24]>,
    /// How the body is framed.
    pub body: BodyLength,
    /// The client would use the connection again.
    pub keep_alive: bool,
    /// The client waits for 100 (Continue) before it sends the body.
    pub expect_continue: bool,
    /// Host and port: of the target's authority, else of the Host field; `localhost` for HTTP/1.0 without one.
    pub host: &'a str,
}

/// A request head that is not one. The text goes to the client.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum HeadError {
    /// The request line cannot be read.
    #[error("The request line is malformed.")]
    RequestLine,
    /// A field line cannot be read: no token before the colon, a folded line, a control character.
    #[error("A header field is malformed.")]
    Field,
    /// A line does not end in CRLF, or CR or LF stands alone.
    #[error("A line of the request head does not end in CRLF.")]
    LineEnd,
    /// Not HTTP/1.0 or HTTP/1.1.
    #[error("Only HTTP/1.0 and HTTP/1.1 are spoken here.")]
    Version,
    /// More bytes than the limit.
    #[error("The request head is larger than {0} bytes.")]
    TooLarge(usize),
    /// More fields than any client needs.
    #[error("The request head has more than 128 header fields.")]
    TooManyFields,
    /// No Host field, several, or an invalid one (RFC 9112 section 3.2).
    #[error("Exactly one valid Host field is needed.")]
    Host,
    /// Content-Length repeated or not a number.
    #[error("Content-Length is malformed or repeated.")]
    ContentLength,
    /// A transfer coding other than a single `chunked`, or one in HTTP/1.0.
    #[error("Transfer-Encoding must be chunked, once, in HTTP/1.1.")]
    TransferEncoding,
    /// Both framings at once (RFC 9112 section 6.3).
    #[error("Content-Length and Transfer-Encoding exclude each other.")]
    BothFramings,
    /// CONNECT.
    #[error("CONNECT is not served here.")]
    Connect,
    /// An expectation other than 100-continue.
    #[error("Only the expectation 100-continue is met here.")]
    Expectation,
}

impl HeadError {
    /// The status that answers it.
    pub fn status(&self) -> u16 {
        match self {
            HeadError::TooLarge(_) | HeadError::TooManyFields => 431,
            HeadError::Version => 505,
            HeadError::Connect => 501,
            HeadError::Expectation => 417,
            _ => 400,
        }
    }
}

/// Reads the request head at the start of `input`.
pub fn parse_head<'a>(input: &'a [u8], limits: &HeadLimits) -> Result<Head<'a>, HeadError> {
    let skipped = leading_lines(input)?;
    let rest = input.get(skipped..).unwrap_or_default();
    // Looking for the end first keeps a head that comes byte by byte from being parsed again and again.
    let Some(end) = memmem::find(rest, b"\r\n\r\n").map(|at| at + 4) else {
        check_unfinished(rest, limits)?;
        return Ok(Head::Partial);
    };
    if end > limits.head_bytes {
        return Err(HeadError::TooLarge(limits.head_bytes));
    }
    let raw = rest.get(..end).unwrap_or_default();
    check_line_ends(raw)?;
    let mut fields = [EMPTY_HEADER; MAX_FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    match request.parse(raw) {
        Ok(Status::Complete(used)) if used == end => {}
        Ok(_) => return Err(HeadError::Field),
        Err(error) => return Err(refused(error)),
    }
    let request = examine(&request)?;
    Ok(Head::Complete { request, used: skipped + end })
}

impl<'a> RequestHead<'a> {
    /// The method and the fields as owned values. `shared` is a copy of `input`, which this head was parsed from, so
    /// that the values are slices of one allocation. `None` for what the `http` crate does not take.
    pub fn to_owned_parts(&self, input: &[u8], shared: &Bytes) -> Option<(Method, HeaderMap)> {
        let method = Method::from_bytes(self.method.as_bytes()).ok()?;
        let mut headers = HeaderMap::with_capacity(self.headers.len());
        for field in &self.headers {
            let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
            let start = (field.value.as_ptr() as usize).checked_sub(input.as_ptr() as usize)?;
            let value = match shared.get(start..start + field.value.len()) {
                Some(copy) if copy == field.value => shared.slice(start..start + field.value.len()),
                _ => Bytes::copy_from_slice(field.value),
            };
            headers.append(name, HeaderValue::from_maybe_shared(value).ok()?);
        }
        Some((method, headers))
    }
}

fn leading_lines(input: &[u8]) -> Result<usize, HeadError> {
    let lines = input.chunks(2).take_while(|line| *line == b"\r\n").count();
    if lines > LEADING_LINES {
        return Err(HeadError::RequestLine);
    }
    Ok(lines * 2)
}

/// A head whose end has not come must still be one that can become valid, and not too long.
fn check_unfinished(rest: &[u8], limits: &HeadLimits) -> Result<(), HeadError> {
    if rest.len() >= limits.head_bytes {
        return Err(HeadError::TooLarge(limits.head_bytes));
    }
    // The last byte may be a CR whose LF is on its way.
    match rest.split_last() {
        Some((b'\r', before)) => check_line_ends(before),
        _ => check_line_ends(rest),
    }
}

/// CR and LF stand only together, as the end of a line (RFC 9112 section 2.2).
fn check_line_ends(raw: &[u8]) -> Result<(), HeadError> {
    let lone_lf = memchr_iter(b'\n', raw).any(|at| at == 0 || raw.get(at - 1) != Some(&b'\r'));
    let lone_cr = memchr_iter(b'\r', raw).any(|at| raw.get(at + 1) != Some(&b'\n'));
    if lone_lf || lone_cr { Err(HeadError::LineEnd) } else { Ok(()) }
}

fn refused(error: httparse::Error) -> HeadError {
    match error {
        httparse::Error::Version => HeadError::Version,
        httparse::Error::TooManyHeaders => HeadError::TooManyFields,
        httparse::Error::HeaderName | httparse::Error::HeaderValue | httparse::Error::NewLine => {
            HeadError::Field
        }
        httparse::Error::Token | httparse::Error::Status => HeadError::RequestLine,
    }
}

/// Everything beyond syntax.
fn examine<'a>(request: &httparse::Request<'_, 'a>) -> Result<RequestHead<'a>, HeadError> {
    let (method, target) = request.method.zip(request.path).ok_or(HeadError::RequestLine)?;
    let version = match request.version {
        Some(0) => Version::Http10,
        Some(1) => Version::Http11,
        _ => return Err(HeadError::Version),
    };
    if method == "CONNECT" {
        return Err(HeadError::Connect);
    }
    let headers = SmallVec::from_slice(request.headers);
    let (authority, target) = split_target(method, target)?;
    let host = host_of(&headers, version, authority)?;
    let body = body_length(&headers, version)?;
    let keep_alive = keeps_alive(&headers, version);
    let expect_continue = expects_continue(&headers)?;
    Ok(RequestHead { method, target, version, headers, body, keep_alive, expect_continue, host })
}

fn split_target<'a>(method: &str, target: &'a str) -> Result<(Option<&'a str>, Target<'a>), HeadError> {
    let visible = target.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
    if !visible {
        return Err(HeadError::RequestLine);
    }
    if target.starts_with('/') {
        return Ok((None, Target::Origin(target)));
    }
    if target == "*" {
        return if method == "OPTIONS" { Ok((None, Target::Asterisk)) } else { Err(HeadError::RequestLine) };
    }
    let rest = strip_scheme(target).ok_or(HeadError::RequestLine)?;
    let authority_end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(authority_end).ok_or(HeadError::RequestLine)?;
    // RFC 9110 section 4.2.4: userinfo in a request target is not for servers to take.
    if authority.is_empty() || authority.contains('@') {
        return Err(HeadError::RequestLine);
    }
    match path {
        "" if method == "OPTIONS" => Ok((Some(authority), Target::Asterisk)),
        "" => Ok((Some(authority), Target::Origin("/"))),
        path if path.starts_with('/') => Ok((Some(authority), Target::Origin(path))),
        // `http://host?query` has an empty path, which cannot be sent on without rewriting the bytes.
        _ => Err(HeadError::RequestLine),
    }
}

fn strip_scheme(target: &str) -> Option<&str> {
    ["http://", "https://"].iter().find_map(|scheme| {
        let (start, rest) = target.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    })
}

fn host_of<'a>(
    headers: &[Header<'a>],
    version: Version,
    authority: Option<&'a str>,
) -> Result<&'a str, HeadError> {
    let mut hosts = values(headers, "host");
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => {
            std::str::from_utf8(host).map_err(|_| HeadError::Host)?.trim_matches([' ', '\t'])
        }
        (None, _) if version == Version::Http10 => "",
        _ => return Err(HeadError::Host),
    };
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || b".-_~:[]%!$&'()*+,;=".contains(&byte);
    if !host.bytes().all(valid) {
        return Err(HeadError::Host);
    }
    Ok(match authority.unwrap_or(host) {
        "" => "localhost",
        host => host,
    })
}

/// RFC 9112 section 6.3, with every doubtful case refused.
fn body_length(headers: &[Header<'_>], version: Version) -> Result<BodyLength, HeadError> {
    let mut lengths = values(headers, "content-length");
    let mut codings = values(headers, "transfer-encoding");
    match (lengths.next(), codings.next()) {
        (None, None) => Ok(BodyLength::None),
        (Some(_), Some(_)) => Err(HeadError::BothFramings),
        (Some(length), None) => match (lengths.next(), decimal(length)) {
            (None, Some(0)) => Ok(BodyLength::None),
            (None, Some(length)) => Ok(BodyLength::Length(length)),
            _ => Err(HeadError::ContentLength),
        },
        (None, Some(coding)) => {
            let only = codings.next().is_none() && coding.trim_ascii().eq_ignore_ascii_case(b"chunked");
            if only && version == Version::Http11 {
                Ok(BodyLength::Chunked)
            } else {
                Err(HeadError::TransferEncoding)
            }
        }
    }
}

fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn keeps_alive(headers: &[Header<'_>], version: Version) -> bool {
    let has = |wanted: &[u8]| {
        let mut tokens = values(headers, "connection").flat_map(|value| value.split(|byte| *byte == b','));
        tokens.any(|token| token.trim_ascii().eq_ignore_ascii_case(wanted))
    };
    match version {
        Version::Http11 => !has(b"close"),
        Version::Http10 => has(b"keep-alive") && !has(b"close"),
    }
}

fn expects_continue(headers: &[Header<'_>]) -> Result<bool, HeadError> {
    let Some(expectation) = values(headers, "expect").next() else { return Ok(false) };
    match expectation.trim_ascii().eq_ignore_ascii_case(b"100-continue") {
        true => Ok(true),
        false => Err(HeadError::Expectation),
    }
}

fn values<'h, 'a: 'h>(headers: &'h [Header<'a>], name: &'h str) -> impl Iterator<Item = &'a [u8]> + 'h {
    headers.iter().filter(move |field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMITS: HeadLimits = HeadLimits { head_bytes: 65536 };

    fn error(input: &str) -> Option<HeadError> {
        parse_head(input.as_bytes(), &LIMITS).err()
    }

    fn complete(input: &str) -> RequestHead<'_> {
        match parse_head(input.as_bytes(), &LIMITS) {
            Ok(Head::Complete { request, used }) if used == input.len() => request,
            other => panic!("{input:?} gave {other:?}"),
        }
    }

    #[test]
    fn an_ordinary_request_is_read_in_place() {
        let head = complete(
            "GET /a?b=%20c HTTP/1.1\r\nHost: Example.com:8080\r\nConnection: Upgrade, Close\r\n\r\n",
        );
        assert_eq!(
            (head.method, head.target, head.version),
            ("GET", Target::Origin("/a?b=%20c"), Version::Http11)
        );
        assert_eq!((head.host, head.keep_alive, head.body), ("Example.com:8080", false, BodyLength::None));
    }

    #[test]
    fn what_two_servers_could_read_differently_is_refused() {
        let cases = [
            ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", HeadError::BothFramings),
            ("Content-Length: 5\r\nContent-Length: 5\r\n", HeadError::ContentLength),
            ("Content-Length: 5, 5\r\n", HeadError::ContentLength),
            ("Content-Length: +5\r\n", HeadError::ContentLength),
            ("Content-Length: 0x5\r\n", HeadError::ContentLength),
            ("Content-Length: \r\n", HeadError::ContentLength),
            ("Content-Length: 99999999999999999999\r\n", HeadError::ContentLength),
            ("Transfer-Encoding: gzip, chunked\r\n", HeadError::TransferEncoding),
            ("Transfer-Encoding: identity\r\n", HeadError::TransferEncoding),
            ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", HeadError::TransferEncoding),
            ("X: a\r\n folded\r\n", HeadError::Field),
            ("X : a\r\n", HeadError::Field),
            (": a\r\n", HeadError::Field),
            ("X: a\nY: b\r\n", HeadError::LineEnd),
            ("X: a\rb\r\n", HeadError::LineEnd),
            ("X: a\0b\r\n", HeadError::Field),
            ("Host: b\r\n", HeadError::Host),
            ("Expect: magic\r\n", HeadError::Expectation),
        ];
        for (fields, expected) in cases {
            let input = format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
            assert_eq!(error(&input), Some(expected), "{input:?}");
        }
    }

    #[test]
    fn request_lines_are_held_to_their_grammar() {
        let cases = [
            ("GET / HTTP/1.1\r\n\r\n", HeadError::Host),
            ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", HeadError::RequestLine),
            ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", HeadError::Version),
            ("GET * HTTP/1.1\r\nHost: a\r\n\r\n", HeadError::RequestLine),
            ("GET foo HTTP/1.1\r\nHost: a\r\n\r\n", HeadError::RequestLine),
            ("GET /#f HTTP/1.1\r\nHost: a\r\n\r\n", HeadError::RequestLine),
            ("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", HeadError::Connect),
            ("GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n", HeadError::RequestLine),
            ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", HeadError::TransferEncoding),
        ];
        for (input, expected) in cases {
            assert_eq!(error(input), Some(expected), "{input:?}");
        }
    }

    #[test]
    fn the_forms_of_a_target_are_told_apart() {
        let head = complete("GET http://Other:81/x?y HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!((head.host, head.target), ("Other:81", Target::Origin("/x?y")));
        assert_eq!(complete("GET http://o HTTP/1.1\r\nHost: a\r\n\r\n").target, Target::Origin("/"));
        assert_eq!(complete("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").target, Target::Asterisk);
        assert_eq!(complete("GET / HTTP/1.0\r\n\r\n").host, "localhost");
    }

    #[test]
    fn a_head_that_does_not_end_is_refused_at_its_limit() {
        let limits = HeadLimits { head_bytes: 64 };
        let long = format!("GET /{} HTTP/1.1\r\n", "a".repeat(64));
        assert_eq!(parse_head(long.as_bytes(), &limits).err(), Some(HeadError::TooLarge(64)));
        let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "A: b\r\n".repeat(128));
        assert_eq!(error(&many), Some(HeadError::TooManyFields));
    }

    #[test]
    fn owned_values_share_one_copy_of_the_head() {
        let input = "GET / HTTP/1.1\r\nHost: a\r\nX-Y: value\r\n\r\n";
        let shared = Bytes::copy_from_slice(input.as_bytes());
        let (method, headers) =
            complete(input).to_owned_parts(input.as_bytes(), &shared).expect("valid fields");
        assert_eq!((method, headers.len()), (Method::GET, 2));
        let value = headers.get("x-y").map(|value| value.as_bytes().as_ptr() as usize).unwrap_or_default();
        assert!((shared.as_ptr() as usize..shared.as_ptr() as usize + shared.len()).contains(&value));
    }

    proptest! {
        #[test]
        fn a_head_cut_anywhere_is_partial_until_it_is_whole(cut in 0usize..94) {
            let input = "\r\nPOST /a HTTP/1.1\r\nHost: example.com\r\nContent-Length: 3\r\nX-Long: abc def; ghi=\"j\"\r\n\r\n";
            let head = parse_head(&input.as_bytes()[..cut.min(input.len() - 1)], &LIMITS);
            prop_assert!(matches!(head, Ok(Head::Partial)), "{:?}", head);
        }

        #[test]
        fn no_bytes_make_the_parser_panic(input in prop::collection::vec(any::<u8>(), 0..300), start in 0usize..4) {
            let starts: [&[u8]; 4] = [b"", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n", b"\r\n\r\n"];
            let input = [starts[start], &input, b"\r\n\r\n"].concat();
            if let Ok(Head::Complete { request, used }) = parse_head(&input, &LIMITS) {
                prop_assert!(used <= input.len());
                let _ = request.to_owned_parts(&input, &Bytes::copy_from_slice(&input));
            }
        }
    }
}

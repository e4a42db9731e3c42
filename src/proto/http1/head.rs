//! Request heads. httparse parses them in place. Line endings, field syntax, lengths and codings must follow RFC 9112
//! strictly, wherever leniency would let two servers disagree about the end of a request (request smuggling). The
//! core calls `parse_head` on the bytes that a connection received, and again with more bytes while the head is
//! incomplete. The result for a head does not depend on how it was split in transit.

use super::body::BodyLength;
use super::fields::Deciding;
use super::grammar::is_token_byte;
use super::head_error::HeadError;
use super::headers::Headers;
use super::request_line::{names_other_version, request_line, split_request_line};
use super::target::{Target, host_of, split_target};
use super::version::Version;
use bytes::Bytes;
use http::{HeaderValue, Method};
use httparse::{Header, Status};
use memchr::{memchr, memchr2};
use smallvec::SmallVec;
use std::mem::MaybeUninit;

/// The most header fields of one request.
const MAX_FIELDS: usize = 128;
/// The most empty lines before a request line (RFC 9112 section 2.2 asks for at least one).
const LEADING_LINES: usize = 8;
/// The longest method, bytes. The longest registered one has 17.
const METHOD_BYTES: usize = 32;

/// Bounds of a request head.
#[derive(Clone, Copy, Debug)]
pub struct HeadLimits {
    /// The largest head, from the request line to the empty line, bytes.
    pub head_bytes: usize,
}

/// The result of parsing the bytes received so far.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "a box would cost each request an allocation, and no Head is stored"
)]
pub enum Head<'a> {
    /// A whole head, and how many bytes it used.
    Complete {
        /// The head; borrows the input.
        request: RequestHead<'a>,
        /// How many bytes the head used, up to the end of the empty line.
        used: usize,
    },
    /// The head is incomplete.
    Partial,
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
    /// Whether the client wants to reuse the connection.
    pub keep_alive: bool,
    /// The client waits for 100 (Continue) before it sends the body.
    pub expect_continue: bool,
    /// Host and port: of the target's authority, or else of the Host field; `localhost` for HTTP/1.0 without that
    /// field.
    pub host: &'a str,
}

/// Reads the request head at the start of `input`.
///
/// httparse runs once, on a whole head. A head that comes in pieces costs one vectorized scan for each piece: 64 KiB
/// that come byte by byte cost about as much as receiving them.
///
/// # Errors
/// The head is invalid, with the status and text for the client.
pub fn parse_head<'a>(input: &'a [u8], limits: &HeadLimits) -> Result<Head<'a>, HeadError> {
    let skipped = leading_lines(input)?;
    let rest = input.get(skipped..).unwrap_or_default();
    let within = rest.get(..limits.head_bytes).unwrap_or(rest);
    check_method(within)?;
    let Some(end) = end_of_head(within)? else {
        let full = rest.len() >= limits.head_bytes;
        return if full { Err(HeadError::TooLarge(limits.head_bytes)) } else { Ok(Head::Partial) };
    };
    let raw = within.get(..end).unwrap_or_default();
    // Initializing 128 fields for each request would cost more than parsing most of them.
    let mut fields = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut request = httparse::Request::new(&mut []);
    match request.parse_with_uninit_headers(raw, &mut fields) {
        Ok(Status::Complete(used)) if used == end => {}
        Ok(_) => return Err(HeadError::Field),
        // httparse refuses targets with bytes beyond ASCII that are not UTF-8.
        Err(httparse::Error::Token) if !request_line(raw).is_ascii() => {
            let request = parse_with_any_target(raw)?;
            return Ok(Head::Complete { request, used: skipped + end });
        }
        Err(error) => return Err(refused(error, raw)),
    }
    let (method, target) = request.method.zip(request.path).ok_or(HeadError::RequestLine)?;
    let version = match request.version {
        Some(0) => Version::Http10,
        Some(1) => Version::Http11,
        _ => return Err(HeadError::Version),
    };
    let request = examine(method, target.as_bytes(), version, request.headers)?;
    Ok(Head::Complete { request, used: skipped + end })
}

impl<'a> RequestHead<'a> {
    /// The method and the fields as owned values. `shared` is a copy of the `input` that this head was parsed from,
    /// so the values can be slices of one allocation. `None` if the `http` crate refuses a value.
    pub fn to_owned_parts(&self, input: &[u8], shared: &Bytes) -> Option<(Method, Headers)> {
        let method = Method::from_bytes(self.method.as_bytes()).ok()?;
        let mut headers = Headers::with_capacity(self.headers.len());
        for field in &self.headers {
            let value = HeaderValue::from_maybe_shared(shared_value(field.value, input, shared)).ok()?;
            headers.append_as(field.name.as_bytes(), value).ok()?;
        }
        Some((method, headers))
    }
}

/// The slice of `shared` at the place of `value` in `input`; a copy if `value` is not a slice of `input`.
pub(super) fn shared_value(value: &[u8], input: &[u8], shared: &Bytes) -> Bytes {
    let start = value.as_ptr().addr().wrapping_sub(input.as_ptr().addr());
    let range = start..start.wrapping_add(value.len());
    match shared.get(range.clone()) {
        Some(copy) if copy == value => shared.slice(range),
        _ => Bytes::copy_from_slice(value),
    }
}

fn leading_lines(input: &[u8]) -> Result<usize, HeadError> {
    let lines = input.chunks(2).take_while(|line| *line == b"\r\n").count();
    if lines > LEADING_LINES {
        return Err(HeadError::RequestLine);
    }
    Ok(lines * 2)
}

/// Refuses input that cannot become a request (such as a TLS handshake) at its first bytes, rather than after a wait.
fn check_method(rest: &[u8]) -> Result<(), HeadError> {
    // This may be the first half of an empty line before the request line.
    if rest == b"\r" {
        return Ok(());
    }
    let start = rest.get(..=METHOD_BYTES).unwrap_or(rest);
    let method = match memchr(b' ', start) {
        Some(end) => start.get(..end).filter(|method| !method.is_empty()).ok_or(HeadError::RequestLine)?,
        None => start,
    };
    if !method.iter().all(|byte| is_token_byte(*byte)) {
        return Err(HeadError::RequestLine);
    }
    if method.len() > METHOD_BYTES { Err(HeadError::Method) } else { Ok(()) }
}

/// The end of the empty line. CR and LF are allowed only together, as the end of a line (RFC 9112 section 2.2).
fn end_of_head(rest: &[u8]) -> Result<Option<usize>, HeadError> {
    let mut start = 0;
    loop {
        let line = rest.get(start..).unwrap_or_default();
        let Some(length) = memchr2(b'\r', b'\n', line) else { return Ok(None) };
        match line.get(length..) {
            Some([b'\r', b'\n', ..]) => start += length + 2,
            Some([b'\r']) => return Ok(None),
            _ => return Err(HeadError::LineEnd),
        }
        if length == 0 {
            return Ok(Some(start));
        }
    }
}

fn refused(error: httparse::Error, raw: &[u8]) -> HeadError {
    match error {
        httparse::Error::Version if names_other_version(raw) => HeadError::Version,
        httparse::Error::TooManyHeaders => HeadError::TooManyFields,
        httparse::Error::HeaderName | httparse::Error::HeaderValue => HeadError::Field,
        // All lines end in CRLF here, so NewLine means that bytes follow the version.
        httparse::Error::Version
        | httparse::Error::NewLine
        | httparse::Error::Token
        | httparse::Error::Status => HeadError::RequestLine,
    }
}

/// Parses a head whose target may have any bytes beyond ASCII; httparse checks everything else.
fn parse_with_any_target(raw: &[u8]) -> Result<RequestHead<'_>, HeadError> {
    let (method, target, version) = split_request_line(raw)?;
    let rest = raw.get(request_line(raw).len() + 2..).unwrap_or_default();
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    match httparse::parse_headers(rest, &mut fields) {
        Ok(Status::Complete((used, fields))) if used == rest.len() => {
            examine(method, target, version, fields)
        }
        Ok(_) => Err(HeadError::Field),
        Err(error) => Err(refused(error, raw)),
    }
}

/// Decides everything beyond syntax.
fn examine<'a>(
    method: &'a str,
    target: &'a [u8],
    version: Version,
    fields: &[Header<'a>],
) -> Result<RequestHead<'a>, HeadError> {
    if method == "CONNECT" {
        return Err(HeadError::Connect);
    }
    let deciding = Deciding::among(fields);
    let (authority, target) = split_target(method, target)?;
    Ok(RequestHead {
        method,
        target,
        version,
        host: host_of(deciding.host, version, authority)?,
        body: deciding.body_length(version)?,
        keep_alive: deciding.keeps_alive(version),
        expect_continue: deciding.expects_continue(version)?,
        headers: SmallVec::from_slice(fields),
    })
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
            ("GET", Target::Origin("/a?b=%20c".into()), Version::Http11)
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
            (" X: a\r\n", HeadError::Field),
            ("X\r\n", HeadError::Field),
            ("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", HeadError::BothFramings),
            ("Content-Length: 1 2\r\n", HeadError::ContentLength),
            ("Transfer-Encoding: chunked,\r\n", HeadError::TransferEncoding),
            ("Transfer-Encoding: chunked;q=1\r\n", HeadError::TransferEncoding),
            ("Transfer-Encoding: \x0bchunked\r\n", HeadError::Field),
            ("Transfer-Encoding:\r\n", HeadError::TransferEncoding),
            ("Host: b\r\n", HeadError::Host),
            ("Expect: 100-continue\r\nExpect: magic\r\n", HeadError::Expectation),
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
            ("GET /  HTTP/1.1\r\nHost: a\r\n\r\n", HeadError::RequestLine),
            ("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", HeadError::RequestLine),
            ("GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", HeadError::RequestLine),
            ("GET / HTTP/1.1 \r\nHost: a\r\n\r\n", HeadError::RequestLine),
            ("GET / http/1.1\r\nHost: a\r\n\r\n", HeadError::RequestLine),
            ("GET / HTTP/11\r\nHost: a\r\n\r\n", HeadError::RequestLine),
            ("GET /\r\nHost: a\r\n\r\n", HeadError::RequestLine),
            (" GET / HTTP/1.1\r\nHost: a\r\n\r\n", HeadError::RequestLine),
            ("G@T / HTTP/1.1\r\nHost: a\r\n\r\n", HeadError::RequestLine),
            ("GET / HTTP/1.2\r\nHost: a\r\n\r\n", HeadError::Version),
            ("PRI * HTTP/2.0\r\n\r\n", HeadError::Version),
            ("GET * HTTP/1.1\r\nHost: a\r\n\r\n", HeadError::RequestLine),
            ("GET /#f HTTP/1.1\r\nHost: a\r\n\r\n", HeadError::RequestLine),
            ("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", HeadError::Connect),
            ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", HeadError::TransferEncoding),
        ];
        for (input, expected) in cases {
            assert_eq!(error(input), Some(expected), "{input:?}");
        }
    }

    #[test]
    fn what_cannot_become_a_request_is_not_waited_for() {
        let hopeless = [("\x16\x03\x01", HeadError::RequestLine), ("GET / HTTP/1.1\n", HeadError::LineEnd)];
        for (input, expected) in hopeless {
            assert_eq!(error(input), Some(expected), "{input:?}");
        }
        assert_eq!(error(&"M".repeat(33)), Some(HeadError::Method));
        assert_eq!(HeadError::Method.status(), 501);
        let longest = format!("{} / HTTP/1.1\r\nHost: a\r\n\r\n", "M".repeat(32));
        assert_eq!(complete(&longest).method.len(), 32);
    }

    #[test]
    fn a_head_that_does_not_end_is_refused_at_its_limit() {
        let limits = HeadLimits { head_bytes: 64 };
        let long = format!("GET /{} HTTP/1.1\r\n", "a".repeat(64));
        assert_eq!(parse_head(long.as_bytes(), &limits).err(), Some(HeadError::TooLarge(64)));
        let exact = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(64 - 27));
        assert!(matches!(parse_head(exact.as_bytes(), &limits), Ok(Head::Complete { used: 64, .. })));
        let more = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(65 - 27));
        assert_eq!(parse_head(more.as_bytes(), &limits).err(), Some(HeadError::TooLarge(64)));
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

    /// The decision about `input`, to compare with the decision about the whole head.
    fn outcome(input: &[u8], limits: &HeadLimits) -> Option<Result<(usize, String), HeadError>> {
        match parse_head(input, limits) {
            Ok(Head::Partial) => None,
            Ok(Head::Complete { request, used }) => Some(Ok((used, format!("{request:?}")))),
            Err(error) => Some(Err(error)),
        }
    }

    fn check_cuts(input: &[u8], limits: &HeadLimits) -> Result<(), TestCaseError> {
        let whole = outcome(input, limits);
        for cut in 0..input.len() {
            let early = outcome(&input[..cut], limits);
            prop_assert!(early.is_none() || early == whole, "cut at {cut}: {early:?}, whole: {whole:?}");
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn a_request_cut_anywhere_is_the_same_request(
            lines in 0usize..3,
            method in "[A-Z]{1,12}",
            path in "/[a-z0-9/%._~?=&-]{0,30}",
            fields in prop::collection::vec(("X-[A-Za-z0-9-]{1,12}", "[ -~]{0,30}"), 0..6),
            body in "[ -~\r\n]{0,10}",
        ) {
            prop_assume!(method != "CONNECT");
            let fields: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
            let head = format!("{}{method} {path} HTTP/1.1\r\nHost: a\r\n{fields}\r\n", "\r\n".repeat(lines));
            let input = format!("{head}{body}");
            let decided = outcome(input.as_bytes(), &LIMITS).and_then(Result::ok).map(|(used, _)| used);
            prop_assert_eq!(decided, Some(head.len()));
            prop_assert!(outcome(&head.as_bytes()[..head.len() - 1], &LIMITS).is_none());
            check_cuts(input.as_bytes(), &LIMITS)?;
        }

        #[test]
        fn a_decision_does_not_change_with_what_follows(input in "[GE/ HTP1.:a\r\n\t]{0,40}", limit in 8usize..48) {
            let limits = HeadLimits { head_bytes: limit };
            check_cuts(input.as_bytes(), &limits)?;
            check_cuts(format!("GET / HTTP/1.1\r\nHost: a\r\n{input}\r\n\r\n").as_bytes(), &LIMITS)?;
        }

        #[test]
        fn no_bytes_make_the_parser_panic(input in prop::collection::vec(any::<u8>(), 0..300), start in 0usize..4) {
            let starts: [&[u8]; 4] = [b"", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n", b"\r\n\r\n"];
            let input = [starts[start], &input, b"\r\n\r\n"].concat();
            if let Ok(Head::Complete { request, used }) = parse_head(&input, &LIMITS) {
                prop_assert!(used <= input.len());
                let parts = request.to_owned_parts(&input, &Bytes::copy_from_slice(&input));
                prop_assert!(parts.is_some_and(|(_, headers)| headers.len() == request.headers.len()));
            }
        }
    }
}

//! What must hold for any bytes that a client or an application sends. The fuzz targets call this with what they
//! invent, `tests/fuzz_corpus.rs` with what was kept. Each check panics when the promise is broken.

use bytes::{Bytes, BytesMut};
use gripwire::proto::http1::{
    ANSWER_FIELDS, ANSWER_HEAD_BYTES, AnswerHead, AnswerParser, AnswerStep, BodyDecoder, BodyError,
    BodyLength, Head, HeadError, HeadLimits, RequestHead, Version, parse_head,
};

/// Small, so that the fuzzer reaches it.
const LIMITS: HeadLimits = HeadLimits { head_bytes: 2048 };

/// Cutting at every byte is quadratic; beyond this many bytes only the last cuts are tried.
const CUTS: usize = 512;

/// A decision about a head does not change with what follows, and a head that is taken has one meaning.
pub fn check_head(input: &[u8]) {
    let whole = decided(input);
    for cut in input.len().saturating_sub(CUTS)..input.len() {
        let early = decided(&input[..cut]);
        assert!(early.is_none() || early == whole, "cut at {cut}: {early:?}, whole: {whole:?}");
    }
    match parse_head(input, &LIMITS) {
        Ok(Head::Complete { request, used }) => check_request(input, &request, used),
        Ok(Head::Partial) => assert!(input.len() < LIMITS.head_bytes + 32),
        Err(error) => {
            assert!((400..=599).contains(&error.status()) && !error.to_string().contains(['\r', '\n']))
        }
    }
}

/// A body gives the same data, or the same error, whole and byte by byte, and ends where its framing says.
///
/// The first byte of `input` chooses the framing.
pub fn check_body(input: &[u8]) {
    let Some((framing, input)) = input.split_first() else { return };
    let length = match framing {
        0..=199 => BodyLength::Chunked,
        200..=254 => BodyLength::Length(u64::from(framing - 200)),
        255 => BodyLength::None,
    };
    let whole = body(length, input, input.len().max(1));
    for step in [1, 2, 3, 7] {
        assert_eq!(body(length, input, step), whole, "in parts of {step}");
    }
    let Ok((data, used, done)) = whole else { return };
    assert!(used <= input.len() && data.len() <= used);
    if let BodyLength::Length(length) = length {
        assert_eq!(done, input.len() as u64 >= length);
        assert!(input.starts_with(&data) && data.len() == used);
    }
    if done && length == BodyLength::Chunked {
        assert!(input[..used].ends_with(b"\r\n"));
    }
}

/// An answer has the same head, or the same error, whole and byte by byte, and is written as it was read.
///
/// The first byte of `input` says whether it answers a HEAD.
pub fn check_answer(input: &[u8]) {
    let Some((first, input)) = input.split_first() else { return };
    let to_head = first & 1 == 1;
    let whole = answer(input, to_head, input.len().max(1));
    for step in [1, 2, 3, 7] {
        let parts = answer(input, to_head, step);
        assert_eq!(format!("{parts:?}"), format!("{whole:?}"), "in parts of {step}");
    }
    let Ok(Some((head, used))) = whole else { return };
    assert!(used <= ANSWER_HEAD_BYTES && head.headers.len() <= ANSWER_FIELDS);
    assert!(head.status == 101 || (200..=999).contains(&head.status));
    let has_no_body = to_head || matches!(head.status, 101 | 204 | 304);
    assert!(!has_no_body || head.body.is_done());
    assert!(!(head.keep_alive && head.body.ends_with_connection()), "nothing follows the end");
    let mut lines = BytesMut::new();
    head.headers.put_fields(&mut lines, |_| true);
    let again = [b"HTTP/1.1 200 OK\r\n", &lines[..], b"\r\n"].concat();
    if let Ok(Some((read, used))) = answer(&again, to_head, again.len()) {
        assert_eq!((read.headers, used), (head.headers, again.len()));
    } else {
        panic!("what was read cannot be written");
    }
}

fn answer(input: &[u8], to_head: bool, step: usize) -> Result<Option<(AnswerHead, usize)>, String> {
    let (mut parser, mut used, mut come) = (AnswerParser::new(to_head), 0, 0);
    while come < input.len() {
        come = input.len().min(come + step);
        loop {
            match parser.parse(&input[used..come]).map_err(|error| error.to_string())? {
                AnswerStep::Partial => break,
                AnswerStep::Interim(length) => used += length,
                AnswerStep::Final(head, length) => return Ok(Some((*head, length))),
            }
        }
    }
    Ok(None)
}

fn decided(input: &[u8]) -> Option<Result<(usize, String), HeadError>> {
    match parse_head(input, &LIMITS) {
        Ok(Head::Partial) => None,
        Ok(Head::Complete { request, used }) => Some(Ok((used, format!("{request:?}")))),
        Err(error) => Some(Err(error)),
    }
}

fn check_request(input: &[u8], request: &RequestHead<'_>, used: usize) {
    let head = &input[..used];
    assert!(head.ends_with(b"\r\n\r\n"));
    let text = String::from_utf8_lossy(head).replace("\r\n", "");
    assert!(!text.contains(['\r', '\n', '\0']), "a line end inside a line");
    assert!(!request.host.is_empty() && !request.host.contains(['/', '@', ' ', '\t', '#', '?']));

    // Counted apart from the parser, in the raw lines: what another server would look for.
    let named = |wanted: &str| {
        let lines =
            head.split(|byte| *byte == b'\n').filter_map(|line| line.split(|byte| *byte == b':').next());
        lines.filter(|name| name.trim_ascii().eq_ignore_ascii_case(wanted.as_bytes())).count()
    };
    let (lengths, codings) = (named("content-length"), named("transfer-encoding"));
    match request.body {
        BodyLength::Chunked => assert_eq!((lengths, codings, request.version), (0, 1, Version::Http11)),
        BodyLength::Length(_) => assert_eq!((lengths, codings), (1, 0)),
        BodyLength::None => assert!(lengths <= 1 && codings == 0),
    }
    let shared = Bytes::copy_from_slice(head);
    let (_, headers) = request.to_owned_parts(input, &shared).expect("a sound head has owned parts");
    assert_eq!(headers.len(), request.headers.len());
}

/// The data, how many bytes the body used, and whether it ended, when `input` comes in parts of `step` bytes.
fn body(length: BodyLength, input: &[u8], step: usize) -> Result<(Vec<u8>, usize, bool), BodyError> {
    let (mut decoder, mut data, mut used, mut come) = (BodyDecoder::new(length), Vec::new(), 0, 0);
    while come < input.len() {
        come = input.len().min(come + step);
        loop {
            let decoded = decoder.decode(&input[used..come])?;
            assert!(decoded.data.end <= decoded.used && decoded.used <= come - used);
            data.extend_from_slice(&input[used..come][decoded.data]);
            used += decoded.used;
            if decoded.used == 0 || decoder.is_done() {
                break;
            }
        }
    }
    // A chunk's end that waits for more, or a size line, is not used; where it begins does not depend on the parts.
    Ok((data, used, decoder.is_done()))
}

//! Heads of applications' answers. The caller gives [`AnswerParser::parse`] the bytes that a connection received
//! since its request was sent, and calls it again with more bytes while the head is incomplete. httparse reads the
//! lines; this file decides where the body ends (RFC 9112 section 6.3) and whether the connection can be reused. An
//! application is trusted only with its own connection. So oddities that leave no doubt about the answer's end are
//! accepted (white space before a colon, lines that end in LF, a Content-Length beside chunks), and any other oddity
//! is an error or ends the connection after the answer.

use super::body::{BodyDecoder, BodyLength};
use super::grammar::{decimal, members};
use super::head::shared_value;
use super::headers::Headers;
use super::response::reason_phrase;
use bytes::Bytes;
use http::HeaderValue;
use httparse::{Header, ParserConfig, Response, Status};
use memchr::memchr;
use std::mem::MaybeUninit;

/// The largest head of an answer, bytes.
pub const ANSWER_HEAD_BYTES: usize = 256 * 1024;
/// The most fields of an answer's head.
pub const ANSWER_FIELDS: usize = 1000;
/// The most interim answers (1xx) before the final one.
const INTERIM_ANSWERS: u8 = 32;
/// A head with at most this many fields is read without an allocation.
const USUAL_FIELDS: usize = 64;

/// The head of a final answer, or of a 101.
#[derive(Debug)]
pub struct AnswerHead {
    /// 101, or 200 to 999.
    pub status: u16,
    /// The reason phrase, if it is not the standard one.
    pub reason: Option<Bytes>,
    /// The fields with their names as the application spelled them.
    pub headers: Headers,
    /// The decoder at the start of the body.
    pub body: BodyDecoder,
    /// Whether the connection can be reused after the body.
    pub keep_alive: bool,
}

/// The result of parsing the bytes received so far.
#[derive(Debug)]
pub enum AnswerStep {
    /// The head is incomplete.
    Partial,
    /// An interim answer (1xx) used this many bytes; another answer follows.
    Interim(usize),
    /// The final head used this many bytes.
    Final(Box<AnswerHead>, usize),
}

/// An answer that is invalid. The text is for the operator.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AnswerError {
    /// The answer does not begin with `HTTP/1`.
    #[error("it is not an HTTP/1 answer")]
    NoHttp,
    /// The status line is malformed.
    #[error("its status line is malformed")]
    StatusLine,
    /// A field line is malformed: no token before the colon, a folded line, a control character, or CR alone.
    #[error("a header field is malformed")]
    Field,
    /// The head has too many bytes.
    #[error("its head is larger than {ANSWER_HEAD_BYTES} bytes")]
    TooLarge,
    /// The head has too many fields.
    #[error("its head has more than {ANSWER_FIELDS} fields")]
    TooManyFields,
    /// Content-Length is not a number, or has several different values.
    #[error("its Content-Length is malformed or contradicts itself")]
    ContentLength,
    /// Transfer-Encoding is not a single `chunked`.
    #[error("its Transfer-Encoding is not a single `chunked`")]
    TransferEncoding,
    /// Too many interim answers came.
    #[error("more than {INTERIM_ANSWERS} interim answers came before it")]
    Interim,
}

/// Parses the answer to one request.
#[derive(Debug)]
pub struct AnswerParser {
    /// Whether the request was a HEAD.
    to_head: bool,
    /// This many bytes of the input are known not to have the end of the head.
    scanned: usize,
    interim: u8,
}

impl AnswerParser {
    /// A parser for the answer to a request; `to_head` if the request was a HEAD.
    pub fn new(to_head: bool) -> AnswerParser {
        AnswerParser { to_head, scanned: 0, interim: 0 }
    }

    /// Parses the front of `input`, from which the caller removes the used bytes.
    ///
    /// # Errors
    /// The answer is invalid.
    pub fn parse(&mut self, input: &[u8]) -> Result<AnswerStep, AnswerError> {
        if !is_start(input) {
            return Err(AnswerError::NoHttp);
        }
        let Some(end) = end_of_head(input, self.scanned) else {
            self.scanned = input.len();
            return if input.len() > ANSWER_HEAD_BYTES {
                Err(AnswerError::TooLarge)
            } else {
                Ok(AnswerStep::Partial)
            };
        };
        if end > ANSWER_HEAD_BYTES {
            return Err(AnswerError::TooLarge);
        }
        self.scanned = 0;
        let head = read_head(input.get(..end).unwrap_or_default(), self.to_head)?;
        if (200..).contains(&head.status) || head.status == SWITCHING_PROTOCOLS {
            return Ok(AnswerStep::Final(Box::new(head), end));
        }
        self.interim += 1;
        if self.interim > INTERIM_ANSWERS { Err(AnswerError::Interim) } else { Ok(AnswerStep::Interim(end)) }
    }
}

/// Whether `input` may begin an answer. Other bytes are refused at once, rather than after a wait for the rest.
fn is_start(input: &[u8]) -> bool {
    let start = b"HTTP/1.";
    let length = input.len().min(start.len());
    input.get(..length) == start.get(..length)
}

/// The end of the empty line. No line that ends before `scanned` is empty.
fn end_of_head(input: &[u8], scanned: usize) -> Option<usize> {
    // The last LF of the head may come after this input was scanned.
    let mut at = scanned.saturating_sub(2);
    loop {
        at += memchr(b'\n', input.get(at..)?)? + 1;
        match input.get(at..)? {
            [b'\n', ..] => return Some(at + 1),
            [b'\r', b'\n', ..] => return Some(at + 2),
            _ => {}
        }
    }
}

/// Parses a whole head.
fn read_head(input: &[u8], to_head: bool) -> Result<AnswerHead, AnswerError> {
    let mut usual = [const { MaybeUninit::uninit() }; USUAL_FIELDS];
    match read_into(input, to_head, &mut usual) {
        Err(AnswerError::TooManyFields) => {
            read_into(input, to_head, &mut vec![MaybeUninit::uninit(); ANSWER_FIELDS])
        }
        read => read,
    }
}

fn read_into<'i>(
    input: &'i [u8],
    to_head: bool,
    fields: &mut [MaybeUninit<Header<'i>>],
) -> Result<AnswerHead, AnswerError> {
    let mut response = Response::new(&mut []);
    let mut config = ParserConfig::default();
    config.allow_spaces_after_header_name_in_responses(true);
    match config.parse_response_with_uninit_headers(&mut response, input, fields) {
        Ok(Status::Complete(used)) if used == input.len() => examine(&response, input, to_head),
        Ok(_) => Err(AnswerError::Field),
        Err(httparse::Error::TooManyHeaders) => Err(AnswerError::TooManyFields),
        Err(httparse::Error::HeaderName | httparse::Error::HeaderValue) => Err(AnswerError::Field),
        Err(_) => Err(AnswerError::StatusLine),
    }
}

/// Decides everything beyond syntax.
fn examine(response: &Response<'_, '_>, input: &[u8], to_head: bool) -> Result<AnswerHead, AnswerError> {
    let (status, version) = response.code.zip(response.version).ok_or(AnswerError::StatusLine)?;
    if status < 100 {
        return Err(AnswerError::StatusLine);
    }
    let reason = response.reason.filter(|reason| !reason.is_empty() && *reason != reason_phrase(status));
    let deciding = Deciding::among(response.headers)?;
    let has_body = !to_head && status >= 200 && status != NO_CONTENT && status != NOT_MODIFIED;
    let body = if has_body { deciding.body() } else { BodyDecoder::new(BodyLength::None) };
    Ok(AnswerHead {
        status,
        reason: reason.map(|reason| Bytes::copy_from_slice(reason.as_bytes())),
        headers: owned(response.headers, input)?,
        keep_alive: deciding.keeps_alive(version) && !body.ends_with_connection(),
        body,
    })
}

/// The fields, their values as slices of one copy of `input`.
fn owned(fields: &[Header<'_>], input: &[u8]) -> Result<Headers, AnswerError> {
    let shared = Bytes::copy_from_slice(input);
    let mut headers = Headers::with_capacity(fields.len());
    for field in fields {
        let value = HeaderValue::from_maybe_shared(shared_value(field.value, input, &shared));
        let value = value.map_err(|_| AnswerError::Field)?;
        headers.append_as(field.name.as_bytes(), value).map_err(|_| AnswerError::Field)?;
    }
    Ok(headers)
}

/// The fields that decide where an answer ends.
#[derive(Default)]
struct Deciding {
    length: Option<u64>,
    chunked: bool,
    close: bool,
    keep_alive: bool,
}

impl Deciding {
    fn among(fields: &[Header<'_>]) -> Result<Deciding, AnswerError> {
        let mut found = Deciding::default();
        for field in fields {
            let is = |name: &str| field.name.eq_ignore_ascii_case(name);
            match field.name.len() {
                10 if is("connection") => found.add_options(field.value),
                14 if is("content-length") => found.add_lengths(field.value)?,
                17 if is("transfer-encoding") => found.add_codings(field.value)?,
                _ => {}
            }
        }
        Ok(found)
    }

    /// The same length may be repeated (RFC 9110 section 8.6).
    fn add_lengths(&mut self, value: &[u8]) -> Result<(), AnswerError> {
        for length in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            let length = decimal(length).ok_or(AnswerError::ContentLength)?;
            if self.length.is_some_and(|said| said != length) {
                return Err(AnswerError::ContentLength);
            }
            self.length = Some(length);
        }
        Ok(())
    }

    /// `identity` was a coding in older versions, and changes nothing.
    fn add_codings(&mut self, value: &[u8]) -> Result<(), AnswerError> {
        for coding in members(value).filter(|coding| !coding.eq_ignore_ascii_case(b"identity")) {
            if self.chunked || !coding.eq_ignore_ascii_case(b"chunked") {
                return Err(AnswerError::TransferEncoding);
            }
            self.chunked = true;
        }
        Ok(())
    }

    fn add_options(&mut self, value: &[u8]) {
        for option in members(value) {
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }

    /// Chunks override a length (RFC 9112 section 6.3).
    fn body(&self) -> BodyDecoder {
        match (self.chunked, self.length) {
            (true, _) => BodyDecoder::new(BodyLength::Chunked),
            (false, Some(length)) => BodyDecoder::new(BodyLength::Length(length)),
            (false, None) => BodyDecoder::until_close(),
        }
    }

    /// RFC 9112 section 9.3. If an answer is framed in two ways, or in chunks by a server of HTTP/1.0, the bytes that
    /// follow are not trusted.
    fn keeps_alive(&self, version: u8) -> bool {
        let is_doubtful = self.chunked && (self.length.is_some() || version == 0);
        !self.close && (self.keep_alive || version == 1) && !is_doubtful
    }
}

const SWITCHING_PROTOCOLS: u16 = 101;
const NO_CONTENT: u16 = 204;
const NOT_MODIFIED: u16 = 304;

#[cfg(test)]
mod tests;

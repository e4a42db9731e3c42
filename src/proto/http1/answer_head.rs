//! Heads of applications' answers. [`AnswerParser::parse`] is called on what a connection has received since its
//! request was sent, again with more when that was not all of the head. httparse reads the lines; here is decided where
//! the body ends (RFC 9112 section 6.3) and whether the connection can be used again. Applications are trusted with
//! their own connection only, so an oddity that leaves no doubt about where the answer ends is accepted (white space
//! before a colon, lines that end in LF, a Content-Length beside chunks), and whatever leaves a doubt is an error or
//! ends the connection after the answer.

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

/// Bytes of an answer's head.
pub const ANSWER_HEAD_BYTES: usize = 256 * 1024;
/// Fields of an answer's head.
pub const ANSWER_FIELDS: usize = 1000;
/// Interim answers (1xx) before the final one.
const INTERIM_ANSWERS: u8 = 32;
/// Heads with at most so many fields are read without an allocation.
const USUAL_FIELDS: usize = 64;

/// The head of a final answer, or of a 101.
#[derive(Debug)]
pub struct AnswerHead {
    /// 101, or 200 to 999.
    pub status: u16,
    /// The reason phrase, where it is not the standard one.
    pub reason: Option<Bytes>,
    /// The fields as they came.
    pub headers: Headers,
    /// At the start of the body.
    pub body: BodyDecoder,
    /// The connection can be used again after the body.
    pub keep_alive: bool,
}

/// What the bytes received so far amount to.
#[derive(Debug)]
pub enum AnswerStep {
    /// More must arrive.
    Partial,
    /// An answer that another one follows (1xx) used so many bytes.
    Interim(usize),
    /// The head used so many bytes.
    Final(Box<AnswerHead>, usize),
}

/// An answer that cannot be read. The text goes to the operator.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AnswerError {
    /// It does not begin as an answer of HTTP/1 does.
    #[error("it is no HTTP/1 answer")]
    NoHttp,
    /// The status line cannot be read.
    #[error("its status line is malformed")]
    StatusLine,
    /// A field line cannot be read: no token before the colon, a folded line, a control character, CR alone.
    #[error("a header field is malformed")]
    Field,
    /// The head has too many bytes.
    #[error("its head is larger than {ANSWER_HEAD_BYTES} bytes")]
    TooLarge,
    /// The head has too many fields.
    #[error("its head has more than {ANSWER_FIELDS} fields")]
    TooManyFields,
    /// Content-Length is no number, or is several.
    #[error("its Content-Length is malformed or contradicts itself")]
    ContentLength,
    /// A transfer coding other than a single `chunked`.
    #[error("its Transfer-Encoding is not chunked, or more than that")]
    TransferEncoding,
    /// Interim answers do not end.
    #[error("more than {INTERIM_ANSWERS} interim answers came before it")]
    Interim,
}

/// Reads the answer to one request.
#[derive(Debug)]
pub struct AnswerParser {
    /// The request was a HEAD.
    to_head: bool,
    /// So much of the input has no end of the head.
    scanned: usize,
    interim: u8,
}

impl AnswerParser {
    /// For the answer to a request that was a HEAD, or was not.
    pub fn new(to_head: bool) -> AnswerParser {
        AnswerParser { to_head, scanned: 0, interim: 0 }
    }

    /// Reads from the front of `input`, from which the caller removes what is used.
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

/// What is no answer is refused at its first bytes rather than waited for.
fn is_start(input: &[u8]) -> bool {
    let start = b"HTTP/1.";
    let length = input.len().min(start.len());
    input.get(..length) == start.get(..length)
}

/// Where the empty line ends. No line that ends before `scanned` is empty.
fn end_of_head(input: &[u8], scanned: usize) -> Option<usize> {
    // The end of the empty line may have been cut before its LF.
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

/// Reads a whole head.
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

/// Everything beyond syntax.
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

/// The fields that say where an answer ends.
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

    /// The same length may be said more than once (RFC 9110 section 8.6).
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

    /// `identity` was a coding once, and codes nothing.
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

    /// RFC 9112 section 9.3. After an answer framed in two ways, or in chunks by a server of HTTP/1.0, nothing that
    /// follows is believed.
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

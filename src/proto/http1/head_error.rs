//! Why a request head is refused, with the client's status and text. All parts of `head` return this error.

/// An invalid request head. The text goes to the client.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum HeadError {
    /// The request line is malformed.
    #[error("The request line is malformed.")]
    RequestLine,
    /// A field line is malformed: no token before the colon, a folded line, or a control character.
    #[error("A header field is malformed.")]
    Field,
    /// A line does not end in CRLF, or CR or LF stands alone.
    #[error("A line of the request head does not end in CRLF.")]
    LineEnd,
    /// The version is neither HTTP/1.0 nor HTTP/1.1.
    #[error("Only HTTP/1.0 and HTTP/1.1 are supported.")]
    Version,
    /// The method is longer than any known method (RFC 9112 section 3 asks for 501).
    #[error("The method is longer than any known method.")]
    Method,
    /// The head has more bytes than the limit.
    #[error("The request head is larger than {0} bytes.")]
    TooLarge(usize),
    /// The head has more fields than any client needs.
    #[error("The request head has more than 128 header fields.")]
    TooManyFields,
    /// There is no Host field, several, or an invalid one (RFC 9112 section 3.2).
    #[error("Exactly one valid Host field is needed.")]
    Host,
    /// Content-Length is repeated or is not a number.
    #[error("Content-Length is malformed or repeated.")]
    ContentLength,
    /// Transfer-Encoding is not a single `chunked`, or the request is HTTP/1.0.
    #[error("Transfer-Encoding must be chunked, once, in HTTP/1.1.")]
    TransferEncoding,
    /// The request has both framings (RFC 9112 section 6.3).
    #[error("Content-Length and Transfer-Encoding exclude each other.")]
    BothFramings,
    /// The method is CONNECT.
    #[error("CONNECT is not supported.")]
    Connect,
    /// The expectation is not 100-continue.
    #[error("Only the expectation 100-continue is supported.")]
    Expectation,
}

impl HeadError {
    /// The status of the answer.
    pub fn status(&self) -> u16 {
        match self {
            HeadError::TooLarge(_) | HeadError::TooManyFields => 431,
            HeadError::Version => 505,
            HeadError::Connect | HeadError::Method => 501,
            HeadError::Expectation => 417,
            _ => 400,
        }
    }
}

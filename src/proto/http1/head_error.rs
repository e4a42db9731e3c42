//! Why a request head is refused, with the status and the text that the client gets. `head` returns these, whichever of
//! its parts found what is wrong.

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
    /// Longer than any method (RFC 9112 section 3 asks for 501).
    #[error("The method is longer than any known here.")]
    Method,
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
            HeadError::Connect | HeadError::Method => 501,
            HeadError::Expectation => 417,
            _ => 400,
        }
    }
}

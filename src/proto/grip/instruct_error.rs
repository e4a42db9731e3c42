//! Why an instruction of an origin is invalid. `instruct` returns this error for all its parts (`hold`, `keep_alive`,
//! `link`, `instruct_body`).

use super::filter::FilterError;
use super::json::FieldError;

/// Why an instruction is invalid. The text is shown to clients of routes with `debug`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)] // The texts describe the variants.
pub enum InstructError {
    #[error("Grip-Hold must be set to either 'response' or 'stream'")]
    HoldMode,
    #[error("hold 'mode' must be set to either 'response' or 'stream'")]
    JsonHoldMode,
    #[error("too many filters for channel '{0}'")]
    TooManyFilters(String),
    #[error("channel '{0}' specifies prev-id, but no next link found")]
    NoNextLink(String),
    #[error("failed to parse {0}")]
    Unreadable(&'static str),
    #[error("{0} has invalid value")]
    OutOfRange(&'static str),
    #[error("Grip-Keep-Alive cannot be empty")]
    EmptyKeepAlive,
    #[error("no such Grip-Keep-Alive {what} '{value}'")]
    UnknownKeepAlive { what: &'static str, value: String },
    #[error("Grip-Status contains invalid status code")]
    Status,
    #[error("Grip-Link contains invalid link")]
    Link,
    #[error("response code for application/grip-instruct content must be 200")]
    BodyStatus(u16),
    #[error("failed to parse application/grip-instruct content as JSON")]
    NotJson,
    #[error("instruct must be an object")]
    NotObject,
    #[error(transparent)]
    Field(#[from] FieldError),
    #[error("filter error: {0}")]
    Filter(#[from] FilterError),
}

//! One call of the control port, and the formats of its answers.

use super::access;
use super::port::ControlPort;
use crate::clients::{CollectError, Exchange, Request, answer};
use crate::config::Grants;
use crate::proto::grip::Answer;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use std::rc::Rc;

/// A request, and the grants of its caller.
pub(super) struct Call<'c> {
    pub port: &'c ControlPort,
    pub exchange: &'c Rc<Exchange>,
    pub request: &'c Request,
    pub grants: Grants,
}

impl Call<'_> {
    /// The answer to a caller that may not do `what`.
    pub fn forbidden(&self, what: &str) -> Answer {
        access::forbidden(&self.port.context.settings().control, what)
    }

    /// The whole body of the request.
    ///
    /// # Errors
    /// The answer to send if the body is too large or malformed.
    pub async fn body(&self) -> Result<Bytes, Answer> {
        let limit = self.port.context.settings().control.body_bytes;
        self.exchange.collect_body(limit).await.map_err(|error| match error {
            CollectError::TooLarge(_) => answer::text(400, "Request body too large.\n"),
            CollectError::Broken(_) => answer::text(400, "Bad Content-Length.\n"),
        })
    }
}

/// How an answer is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Format {
    Text,
    Json,
}

/// The format that Accept asks for: text unless it says otherwise, and the last match wins. `None` if it asks for
/// neither format.
pub(super) fn accepted(headers: &HeaderMap) -> Option<Format> {
    let values: Vec<&str> =
        headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    if values.is_empty() {
        return Some(Format::Text);
    }
    let types = values.iter().flat_map(|value| value.split(','));
    let mut formats = types.filter_map(|kind| match kind.split(';').next().unwrap_or_default().trim() {
        "text/plain" | "text/*" | "*/*" | "*" => Some(Format::Text),
        "application/json" | "application/*" => Some(Format::Json),
        _ => None,
    });
    formats.next_back()
}

pub(super) fn done(format: Format, message: &str) -> Answer {
    match format {
        Format::Text => answer::text(200, format!("{message}\n")),
        Format::Json => json(format!("{{\"message\":\"{message}\"}}\n")),
    }
}

pub(super) fn json(body: String) -> Answer {
    let mut page = answer::text(200, body);
    page.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    page
}

pub(super) fn not_acceptable() -> Answer {
    answer::text(406, "Not Acceptable. Supported formats are text/plain and application/json.\n")
}

/// The answer if the server cannot do it now: try again later.
pub(super) fn busy(why: impl std::fmt::Display) -> Answer {
    answer::unavailable(format!("{why}\n"), 1)
}

pub(super) fn only(allowed: &'static str, method: &Method) -> Answer {
    let mut page = answer::text(405, format!("Method not allowed: {method}.\n"));
    page.headers.insert(header::ALLOW, HeaderValue::from_static(allowed));
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_format_that_accept_names_wins() {
        let cases = [
            ("text/plain", Some(Format::Text)),
            ("application/json", Some(Format::Json)),
            ("*/*, application/json;q=0.1", Some(Format::Json)),
            ("application/*, text/*", Some(Format::Text)),
            ("image/png", None),
        ];
        for (value, expected) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(value));
            assert_eq!(accepted(&headers), expected, "{value}");
        }
        assert_eq!(accepted(&HeaderMap::new()), Some(Format::Text));
    }
}

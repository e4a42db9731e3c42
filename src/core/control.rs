//! The control port: publishing over HTTP, and the core's numbers. Answers are Pushpin's to the byte where it has
//! them (GRIP control endpoint); unlike there, a connection goes on after a request, and requests may be pipelined.

use super::connection::Request;
use super::exchange::{CollectError, Exchange};
use super::respond;
use super::row::Service;
use crate::proto::grip::{Answer, publish};
use crate::proto::http1::{BodyLength, HeadError};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue, Method, header};
use std::rc::Rc;

/// The answer to a head that cannot be read.
pub(super) fn head_refusal(error: &HeadError) -> (u16, String) {
    let message = match error {
        HeadError::TooLarge(_) | HeadError::TooManyFields => "Request header too large.\n",
        HeadError::ContentLength => "Bad Content-Length.\n",
        _ => "Failed to parse request header.\n",
    };
    (400, message.to_owned())
}

/// Answers `request`.
pub(super) async fn answer(exchange: &Rc<Exchange>, request: Request) {
    let answer = match refusal(exchange, &request) {
        Some(refusal) => refusal,
        None => route(exchange, &request).await,
    };
    respond::send_whole(exchange, &answer);
}

/// The answer to whoever may not ask, and to bodies that are too large or of unknown length. A user of this machine
/// has shown more than a secret.
fn refusal(exchange: &Exchange, request: &Request) -> Option<Answer> {
    let control = &exchange.core().settings.control;
    let is_known = request.service == Service::LocalControl;
    let expected = [
        control.bearer_token.as_ref().map(|token| format!("Bearer {token}")),
        control.basic_password.as_ref().map(|password| format!("Basic {}", STANDARD.encode(password))),
    ];
    let given = request.headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes).unwrap_or_default();
    let mut expected = expected.iter().flatten().peekable();
    if !is_known && expected.peek().is_some() && !expected.any(|expected| equal(expected.as_bytes(), given)) {
        let mut refusal = respond::text(401, "Authorization is needed to publish here.\n");
        refusal.headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        return Some(refusal);
    }
    let has_body = [Method::POST, Method::PUT, Method::PATCH].contains(&request.method);
    let declared = request.headers.contains_key(header::CONTENT_LENGTH);
    if request.body == BodyLength::Chunked || (has_body && !declared) {
        return Some(respond::text(411, "Request requires Content-Length.\n"));
    }
    let limit = control.body_bytes as u64;
    if matches!(request.body, BodyLength::Length(length) if length > limit) {
        return Some(respond::text(400, "Request body too large.\n"));
    }
    None
}

async fn route(exchange: &Exchange, request: &Request) -> Answer {
    let path = request.target.strip_suffix('/').unwrap_or(&request.target);
    match (path, &request.method) {
        ("", _) => respond::text(200, "Pushpin API\n"),
        ("/publish", &Method::POST) => match accepted(&request.headers) {
            Some(format) => publish(exchange, format).await,
            None => not_acceptable(),
        },
        ("/recover", &Method::POST) => match accepted(&request.headers) {
            Some(format) => {
                exchange.core().recover().await;
                done(format, "Updated")
            }
            None => not_acceptable(),
        },
        ("/publish" | "/recover", method) => only(Method::POST, method),
        ("/stats", &Method::GET) => stats(exchange),
        ("/stats", method) => only(Method::GET, method),
        _ => respond::text(404, "Not Found\n"),
    }
}

async fn publish(exchange: &Exchange, format: Format) -> Answer {
    let core = exchange.core();
    let body = match exchange.collect_body(core.settings.control.body_bytes).await {
        Ok(body) => body,
        Err(CollectError::TooLarge(_)) => return respond::text(400, "Request body too large.\n"),
        Err(CollectError::Broken(_)) => return respond::text(400, "Bad Content-Length.\n"),
    };
    let publications = match publish::parse(&body) {
        Ok(publications) => publications,
        Err(error) => return respond::text(400, error.to_string()),
    };
    match core.publish(publications).await {
        Ok(()) => done(format, "Published"),
        Err(busy) => {
            let mut answer = respond::text(503, format!("{busy}\n"));
            answer.headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            answer
        }
    }
}

/// How an answer is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Format {
    Text,
    Json,
}

/// The format that Accept asks for: text unless it says otherwise, the last match wins; `None` is neither.
fn accepted(headers: &HeaderMap) -> Option<Format> {
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

fn done(format: Format, message: &str) -> Answer {
    match format {
        Format::Text => respond::text(200, format!("{message}\n")),
        Format::Json => json(format!("{{\"message\":\"{message}\"}}\n")),
    }
}

fn json(body: String) -> Answer {
    let mut answer = respond::text(200, body);
    answer.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

fn not_acceptable() -> Answer {
    respond::text(406, "Not Acceptable. Supported formats are text/plain and application/json.\n")
}

fn only(allowed: Method, method: &Method) -> Answer {
    let mut answer = respond::text(405, format!("Method not allowed: {method}.\n"));
    if let Ok(allowed) = HeaderValue::from_str(allowed.as_str()) {
        answer.headers.insert(header::ALLOW, allowed);
    }
    answer
}

/// What all cores count, summed, as one JSON object.
fn stats(exchange: &Exchange) -> Answer {
    let mut sums: Vec<(&str, u64)> = Vec::new();
    for gauges in exchange.core().all_gauges.iter() {
        for (index, (name, value)) in gauges.all().into_iter().enumerate() {
            match sums.get_mut(index) {
                Some(sum) => sum.1 += value,
                None => sums.push((name, value)),
            }
        }
    }
    let fields: Vec<String> = sums.iter().map(|(name, sum)| format!("\"{name}\":{sum}")).collect();
    json(format!("{{\"cores\":{},{}}}\n", exchange.core().cores, fields.join(",")))
}

/// Compares without telling by its time how much of a secret was right.
fn equal(expected: &[u8], given: &[u8]) -> bool {
    let differences = expected.iter().zip(given).fold(0, |sum, (a, b)| sum | (a ^ b));
    expected.len() == given.len() && differences == 0
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

    #[test]
    fn secrets_are_compared_whole() {
        assert!(equal(b"Bearer abc", b"Bearer abc"));
        assert!(
            !equal(b"Bearer abc", b"Bearer ab") && !equal(b"Bearer abc", b"Bearer abd") && !equal(b"a", b"")
        );
    }
}

//! The control port. Publishing is answered as Pushpin does, to the byte where it has an answer (GRIP control
//! endpoint); unlike there, a connection goes on after a request, and requests may be pipelined. Beyond it there are
//! receipts, and a view of channels and clients of all cores.
//!
//! Here requests are told apart; `pages` refuses those of pages in browsers, `access` says who may do what,
//! `wrong_secrets` slows down who guesses, `query` reads targets, `publishing` publishes, `inspection` is about
//! channels and clients.

mod access;
mod inspection;
mod pages;
mod publishing;
mod query;
mod wrong_secrets;

pub(super) use wrong_secrets::WrongSecrets;

use super::connection::Request;
use super::exchange::{CollectError, Exchange};
use super::gauges::Gauges;
use super::respond;
use crate::config::Grants;
use crate::proto::grip::Answer;
use crate::proto::http1::{BodyLength, HeadError};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use query::Query;
use std::rc::Rc;
use wrong_secrets::Refusal;

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
    let core = exchange.core().clone();
    let control = &core.settings().control;
    if let Err(error) = pages::check(control, &request) {
        core.gauges.refused_pages_total.add(1);
        return respond::send_whole(exchange, &respond::text(403, error.to_string()));
    }
    let answer = match access::grants(control, request.service, &request.headers) {
        None if request.headers.contains_key(header::AUTHORIZATION) => {
            match core.refuse_wrong_secret().await {
                Refusal::Delayed(answer) => answer,
                Refusal::AtOnce(answer) => return respond::send_last(exchange, &answer),
            }
        }
        None => access::unauthorized(),
        Some(grants) => match length_refusal(&request, control.body_bytes) {
            Some(refusal) => refusal,
            None => route(&Call { exchange, request: &request, grants }).await,
        },
    };
    respond::send_whole(exchange, &answer);
}

/// The answer to bodies that are too large or of unknown length.
fn length_refusal(request: &Request, limit: usize) -> Option<Answer> {
    let has_body = [Method::POST, Method::PUT, Method::PATCH].contains(&request.method);
    let declared = request.headers.contains_key(header::CONTENT_LENGTH);
    if request.body == BodyLength::Chunked || (has_body && !declared) {
        return Some(respond::text(411, "Request requires Content-Length.\n"));
    }
    if matches!(request.body, BodyLength::Length(length) if length > limit as u64) {
        return Some(respond::text(400, "Request body too large.\n"));
    }
    None
}

/// A request, and what may be done for it.
struct Call<'c> {
    exchange: &'c Rc<Exchange>,
    request: &'c Request,
    grants: Grants,
}

async fn route(call: &Call<'_>) -> Answer {
    let query = Query::of(&call.request.target);
    let method = &call.request.method;
    let (first, rest) = match query.path.strip_prefix('/').and_then(|path| path.split_once('/')) {
        Some((first, rest)) => (format!("/{first}/"), rest),
        None => (query.path.to_owned(), ""),
    };
    match (first.as_str(), method) {
        ("", _) => respond::text(200, "Pushpin API\n"),
        ("/publish", &Method::POST) => publishing::publish(call, &query).await,
        ("/recover", &Method::POST) => recover(call).await,
        ("/refresh", &Method::POST) => inspection::refresh(call).await,
        ("/publish" | "/recover" | "/refresh", method) => only("POST", method),
        ("/stats", &Method::GET) => match call.grants.may_inspect() {
            true => stats(call.exchange),
            false => call.forbidden("show counters"),
        },
        ("/channels", &Method::GET) => inspection::channels(call, &query).await,
        ("/channels/", &Method::GET) => inspection::channel(call, rest, &query).await,
        ("/connections/", &Method::GET) => inspection::connection(call, rest).await,
        ("/connections/", &Method::DELETE) => inspection::close(call, rest).await,
        ("/stats" | "/channels" | "/channels/", method) => only("GET", method),
        ("/connections/", method) => only("GET, DELETE", method),
        _ => respond::text(404, "Not Found\n"),
    }
}

impl Call<'_> {
    /// The answer to whoever may not do `what`.
    fn forbidden(&self, what: &str) -> Answer {
        access::forbidden(&self.exchange.core().settings().control, what)
    }

    /// The body, or the answer if there is none that could be taken.
    async fn body(&self) -> Result<Bytes, Answer> {
        let limit = self.exchange.core().settings().control.body_bytes;
        self.exchange.collect_body(limit).await.map_err(|error| match error {
            CollectError::TooLarge(_) => respond::text(400, "Request body too large.\n"),
            CollectError::Broken(_) => respond::text(400, "Bad Content-Length.\n"),
        })
    }
}

async fn recover(call: &Call<'_>) -> Answer {
    // Everyone could with Pushpin, so whoever may publish everywhere still can.
    if !call.grants.may_publish_to("") {
        return call.forbidden("have everyone ask again");
    }
    match accepted(&call.request.headers) {
        Some(format) => match call.exchange.core().recover().await {
            Ok(()) => done(format, "Updated"),
            Err(error) => busy(error),
        },
        None => not_acceptable(),
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

/// The server cannot do it now.
fn busy(why: impl std::fmt::Display) -> Answer {
    respond::unavailable(format!("{why}\n"), 1)
}

fn only(allowed: &'static str, method: &Method) -> Answer {
    let mut answer = respond::text(405, format!("Method not allowed: {method}.\n"));
    answer.headers.insert(header::ALLOW, HeaderValue::from_static(allowed));
    answer
}

/// What all cores count, summed, as one JSON object.
fn stats(exchange: &Exchange) -> Answer {
    let sums = Gauges::sums(&exchange.core().all_gauges);
    let fields: Vec<String> = sums.iter().map(|(name, sum)| format!("\"{name}\":{sum}")).collect();
    json(format!("{{\"cores\":{},{}}}\n", exchange.core().cores, fields.join(",")))
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

//! The target `demo`: a page where a message typed in one tab reaches every open tab, by EventSource and by long
//! polling. It does in-process what an application does over HTTP: it answers subscriptions with GRIP fields, and
//! publishes.

use super::{Asked, decode, respond};
use crate::channel::{Publication, ResponseBody, ResponseFormat, ResponseMessage, StreamFormat};
use crate::origin::response::Response;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};

/// The channel of the page.
const CHANNEL: &str = "demo";
/// Characters of a message.
const MESSAGE_CHARACTERS: usize = 1000;

/// Answers.
pub(super) fn answer(asked: &Asked<'_>) -> Response {
    match (asked.method, asked.path) {
        (&Method::GET | &Method::HEAD, "/") => {
            respond(200, &[("content-type", "text/html; charset=utf-8")], include_str!("demo.html"))
        }
        (&Method::GET, "/events") => respond(200, EVENTS, ": connected\n\n"),
        (&Method::GET, "/poll") => respond(200, POLL, "{\"message\":null}\n"),
        (&Method::GET, "/hold") => {
            let channel =
                super::query_values(asked.query, "channel").pop().unwrap_or_else(|| CHANNEL.to_owned());
            respond(200, &[TEXT, ("grip-hold", "stream"), ("grip-channel", &channel)], "held\n")
        }
        (&Method::POST, "/send") => send(asked),
        (_, "/" | "/events" | "/poll" | "/hold" | "/send") => respond(405, &[TEXT], "Method not allowed.\n"),
        _ => respond(404, &[TEXT], "The demo has no such page.\n"),
    }
}

/// Publishes the message of a form.
fn send(asked: &Asked<'_>) -> Response {
    let Some(message) = message_of(asked).filter(|message| !message.is_empty()) else {
        return respond(400, &[TEXT], "A form with the field `message` is needed.\n");
    };
    let message: String = message.chars().take(MESSAGE_CHARACTERS).collect();
    let mut response = respond(204, &[], "");
    response.publish.push(publication(&message));
    response
}

fn message_of(asked: &Asked<'_>) -> Option<String> {
    let kind = asked.headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    if kind.starts_with("application/json") {
        let body: serde_json::Value = serde_json::from_slice(asked.body).ok()?;
        return body.get("message")?.as_str().map(str::to_owned);
    }
    let form = std::str::from_utf8(asked.body).ok()?;
    let fields = form.split('&').filter_map(|field| field.split_once('='));
    fields.filter(|(name, _)| *name == "message").map(|(_, value)| decode(value)).next()
}

/// The message for both transports.
fn publication(message: &str) -> Publication {
    let mut publication = Publication::new(CHANNEL);
    let lines: String = message.lines().map(|line| format!("data: {line}\n")).collect();
    publication.stream = Some(StreamFormat::Content(Bytes::from(format!("{lines}\n"))));
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let body = format!("{}\n", serde_json::json!({ "message": message }));
    let body = ResponseBody::Whole(Bytes::from(body));
    publication.response =
        Some(ResponseFormat::Send(ResponseMessage { code: 200, reason: None, headers, body }));
    publication
}

const TEXT: (&str, &str) = ("content-type", "text/plain");
const EVENTS: &[(&str, &str)] = &[
    ("content-type", "text/event-stream"),
    ("cache-control", "no-cache"),
    ("grip-hold", "stream"),
    ("grip-channel", CHANNEL),
    ("grip-keep-alive", r":\n\n; format=cstring; timeout=20"),
];
const POLL: &[(&str, &str)] = &[
    ("content-type", "application/json"),
    ("cache-control", "no-store"),
    ("grip-hold", "response"),
    ("grip-channel", CHANNEL),
    ("grip-timeout", "25"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_several_lines_stays_one_event() {
        let publication = publication("a\nb");
        assert_eq!(
            publication.stream_content().map(|content| &content[..]),
            Some(&b"data: a\ndata: b\n\n"[..])
        );
    }

    #[test]
    fn a_form_is_published_and_anything_else_refused() {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        let asked = |body| Asked { method: &Method::POST, path: "/send", query: "", headers: &headers, body };
        let sent = answer(&asked(b"message=hi+%C3%A9"));
        assert_eq!((sent.status, sent.publish.len()), (204, 1));
        assert_eq!(
            sent.publish.first().and_then(|publication| publication.stream_content().cloned()),
            Some("data: hi é\n\n".into())
        );
        for body in [&b""[..], b"message=", b"other=1", b"\xff"] {
            assert_eq!(answer(&asked(body)).status, 400);
        }
    }
}

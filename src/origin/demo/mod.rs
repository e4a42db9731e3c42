//! The `demo` target: an application that shows a new user what Gripwire does, with nothing else installed. `/` is a
//! page that subscribes to the channel `demo` in three ways at once: `/events` (Server-Sent Events), `/socket` (a
//! WebSocket) and `/poll` (long polling). The page sends by `/send`. These paths accept another channel as
//! `?channel=`. `/hold` holds a stream on any channel, and `/echo` is a WebSocket that echoes every message; tests
//! use both. All functions are pure; `local` publishes the items that they return.

mod send;
mod socket;

use crate::origin::page::Page;
use crate::origin::query::{split, values};
use crate::proto::grip::Publication;
use bytes::Bytes;
use http::header::{self, HeaderName};
use http::{Method, StatusCode};
use std::borrow::Cow;

/// Answers `path`, which is the request's path without the route's `path_beg`, and returns the items to publish.
pub(super) fn answer(method: &Method, path: &str, body: &Bytes) -> (Page, Vec<Publication>) {
    let (path, query) = split(path);
    if let Some(allowed) = methods(path)
        && !allowed.split(", ").any(|one| one == method.as_str())
    {
        let refusal = Page::text(StatusCode::METHOD_NOT_ALLOWED, "method not allowed\n");
        return (refusal.with(header::ALLOW, allowed), Vec::new());
    }
    let page = match path {
        "" => page(),
        "events" => events(query),
        "poll" => poll(query),
        "hold" => hold(query),
        "send" => return send(body),
        "echo" => socket::echo(body),
        "socket" => return socket::socket(&channel(query), body),
        _ => Page::text(StatusCode::NOT_FOUND, "no such demo resource\n"),
    };
    (page, Vec::new())
}

fn methods(path: &str) -> Option<&'static str> {
    match path {
        "" => Some("GET, HEAD"),
        "events" | "poll" | "hold" => Some("GET"),
        // The events of a WebSocket come as a POST request.
        "send" | "echo" | "socket" => Some("POST"),
        _ => None,
    }
}

fn page() -> Page {
    html(include_str!("page.html"))
        .with(header::CACHE_CONTROL, "no-cache")
        .with(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY)
}

/// A stream without an end. A comment every 20 s keeps proxies in between from closing the stream.
fn events(query: &str) -> Page {
    let channel = channel(query);
    // A line feed in a channel's name would end the event early.
    let name = channel.replace(['\r', '\n'], " ");
    let opening = format!("retry: 1000\nevent: held\ndata: {name}\n\n");
    typed(StatusCode::OK, "text/event-stream", Bytes::from(opening))
        .with(header::CACHE_CONTROL, "no-cache")
        .holding("stream", &[channel])
        .with(GRIP_KEEP_ALIVE, r":\n\n; format=cstring; timeout=20")
}

/// A long poll. If no message comes for 25 s, its client gets an empty object.
fn poll(query: &str) -> Page {
    typed(StatusCode::OK, "application/json", Bytes::from_static(b"{}\n"))
        .with(header::CACHE_CONTROL, "no-store")
        .holding("response", &[channel(query)])
        .with(GRIP_TIMEOUT, "25")
}

fn hold(query: &str) -> Page {
    Page::text(StatusCode::OK, "held\n").holding("stream", &[channel(query)])
}

/// The channel that a query names, `demo` by default.
fn channel(query: &str) -> Cow<'_, str> {
    values(query, "channel").next().unwrap_or(Cow::Borrowed(CHANNEL))
}

fn send(body: &[u8]) -> (Page, Vec<Publication>) {
    match send::Message::read(body) {
        Some(message) => {
            (typed(StatusCode::NO_CONTENT, "", Bytes::new()), vec![message.publication(CHANNEL)])
        }
        None => (Page::text(StatusCode::BAD_REQUEST, "give a message: message=hello\n"), Vec::new()),
    }
}

fn html(text: &'static str) -> Page {
    typed(StatusCode::OK, "text/html; charset=utf-8", Bytes::from_static(text.as_bytes()))
}

fn typed(status: StatusCode, content_type: &'static str, body: Bytes) -> Page {
    let page = Page { status, headers: Vec::new(), body };
    if content_type.is_empty() { page } else { page.with(header::CONTENT_TYPE, content_type) }
}

const CHANNEL: &str = "demo";
const GRIP_KEEP_ALIVE: HeaderName = HeaderName::from_static("grip-keep-alive");
const GRIP_TIMEOUT: HeaderName = HeaderName::from_static("grip-timeout");
/// The page is one file and connects to this server only.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
     img-src data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

#[cfg(test)]
mod tests {
    use super::*;

    fn header<'a>(page: &'a Page, name: &str) -> Option<&'a str> {
        page.headers.iter().find(|(key, _)| key == name).and_then(|(_, value)| value.to_str().ok())
    }

    #[test]
    fn each_resource_answers_its_methods() {
        let cases = [
            (Method::GET, "/", 200, "text/html; charset=utf-8"),
            (Method::HEAD, "/", 200, "text/html; charset=utf-8"),
            (Method::GET, "/events", 200, "text/event-stream"),
            (Method::GET, "/poll?x", 200, "application/json"),
            (Method::GET, "/hold", 200, "text/plain"),
            (Method::POST, "/", 405, "text/plain"),
            (Method::HEAD, "/events", 405, "text/plain"),
            (Method::GET, "/send", 405, "text/plain"),
            (Method::POST, "/send", 400, "text/plain"),
            (Method::POST, "/nothing", 404, "text/plain"),
        ];
        for (method, path, status, content_type) in cases {
            let (page, publish) = answer(&method, path, &Bytes::new());
            assert_eq!(page.status.as_u16(), status, "{method} {path}");
            assert_eq!(header(&page, "content-type"), Some(content_type), "{method} {path}");
            assert!(publish.is_empty());
        }
    }

    #[test]
    fn the_holds_say_what_they_hold() {
        let cases = [
            ("/events", "stream", "demo", Some(r":\n\n; format=cstring; timeout=20"), None),
            ("/poll", "response", "demo", None, Some("25")),
            ("/events?channel=news", "stream", "news", Some(r":\n\n; format=cstring; timeout=20"), None),
            ("/poll?channel=news", "response", "news", None, Some("25")),
            ("/hold", "stream", "demo", None, None),
            ("/hold?channel=room%201", "stream", "room 1", None, None),
        ];
        for (path, mode, channel, keep_alive, timeout) in cases {
            let (page, _) = answer(&Method::GET, path, &Bytes::new());
            let grip =
                ["grip-hold", "grip-channel", "grip-keep-alive", "grip-timeout"].map(|n| header(&page, n));
            assert_eq!(grip, [Some(mode), Some(channel), keep_alive, timeout], "{path}");
        }
    }

    #[test]
    fn a_message_is_published_for_both_ways_of_listening() {
        let (page, publish) = answer(&Method::POST, "/send", &"message=hello".into());
        assert_eq!((page.status, page.body.len()), (StatusCode::NO_CONTENT, 0));
        assert_eq!(publish.len(), 1);
        assert!(publish[0].stream.is_some() && publish[0].response.is_some());
    }

    #[test]
    fn the_page_needs_nothing_from_elsewhere() {
        let page = include_str!("page.html");
        for foreign in ["src=\"http", "href=\"http", "@import", "url(http"] {
            assert!(!page.contains(foreign), "{foreign}");
        }
        assert!(page.len() < 16_000, "the demo page is meant to be small: {} bytes", page.len());
    }
}

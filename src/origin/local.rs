//! The built-in applications: answers made without a socket. The pool calls [`answer`] when a route's target
//! is `test` or `demo`; what they answer goes through the same GRIP handling as any origin's answer, which is
//! what makes them good for trying a server out. Nothing here keeps state.

use super::body::ResponseBody;
use super::message::{RequestBody, Response};
use super::route::Destination;
use super::{demo, test_target};
use crate::proto::grip::{WEBSOCKET_EVENTS, WebSocketEvent};
use bytes::{Bytes, BytesMut};
use futures_lite::StreamExt;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use percent_encoding::percent_decode_str;
use serde_json::json;
use std::borrow::Cow;

/// The largest request body that the test handler reads, as in Pushpin.
const TEST_BODY_BYTES: usize = 100_000;
/// The largest that the demo reads: its echo takes messages as large as they may be by default.
const DEMO_BODY_BYTES: usize = 17 * 1024 * 1024;

/// A built-in application's whole answer, as the pure functions make it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Page {
    pub status: StatusCode,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub body: Bytes,
}

/// Asks the application at `destination`. `path` is what follows the route's `path_beg`, query included.
pub(super) async fn answer(
    destination: &Destination,
    method: &Method,
    path: &str,
    body: RequestBody,
) -> Response {
    let body_bytes = if *destination == Destination::Demo { DEMO_BODY_BYTES } else { TEST_BODY_BYTES };
    let Some(body) = collect(body, body_bytes).await else {
        return Page::text(StatusCode::BAD_REQUEST, "request too large\n").into_response(method);
    };
    match destination {
        Destination::Demo => {
            let (page, publish) = demo::answer(method, path, &body);
            Response { publish, ..page.into_response(method) }
        }
        _ => test_target::answer(path, &body).into_response(method),
    }
}

/// The whole body; `None` if it breaks off or has more than `limit` bytes.
async fn collect(body: RequestBody, limit: usize) -> Option<Bytes> {
    let whole = match body {
        RequestBody::Empty => Bytes::new(),
        RequestBody::Whole(bytes) => bytes,
        RequestBody::Stream { mut body, .. } => {
            let mut whole = BytesMut::new();
            while let Some(piece) = body.next().await {
                whole.extend_from_slice(&piece.ok()?);
                if whole.len() > limit {
                    return None;
                }
            }
            whole.freeze()
        }
    };
    (whole.len() <= limit).then_some(whole)
}

impl Page {
    /// Plain text.
    pub fn text(status: StatusCode, body: &'static str) -> Self {
        Page { status, headers: Vec::new(), body: Bytes::from_static(body.as_bytes()) }
            .with(header::CONTENT_TYPE, "text/plain")
    }

    /// What became of a WebSocket.
    pub fn of_events(events: impl IntoIterator<Item = WebSocketEvent>) -> Self {
        let mut body = BytesMut::new();
        events.into_iter().for_each(|event| event.encode(&mut body));
        let page = Page { status: StatusCode::OK, headers: Vec::new(), body: body.freeze() };
        page.with(header::CONTENT_TYPE, WEBSOCKET_EVENTS)
    }

    /// Adds a header.
    pub fn with(mut self, name: HeaderName, value: &'static str) -> Self {
        self.headers.push((name, HeaderValue::from_static(value)));
        self
    }

    /// Adds a GRIP hold on `channels`. A channel that cannot be written in a header is left out.
    pub fn holding(self, mode: &'static str, channels: &[Cow<'_, str>]) -> Self {
        let mut page = self.with(GRIP_HOLD, mode);
        let values = channels.iter().filter_map(|channel| HeaderValue::from_bytes(channel.as_bytes()).ok());
        page.headers.extend(values.map(|value| (GRIP_CHANNEL, value)));
        page
    }

    fn into_response(self, method: &Method) -> Response {
        let mut headers: HeaderMap = HeaderMap::with_capacity(self.headers.len() + 1);
        headers.insert(header::CONTENT_LENGTH, self.body.len().into());
        for (name, value) in self.headers {
            headers.append(name, value);
        }
        let body = if *method == Method::HEAD { Bytes::new() } else { self.body };
        let status = self.status.as_u16();
        Response {
            status,
            reason: None,
            headers: headers.into(),
            body: ResponseBody::whole(body),
            target: 0,
            publish: Vec::new(),
        }
    }
}

/// The event that subscribes a WebSocket to `channel`.
pub(super) fn subscribing(channel: &str) -> WebSocketEvent {
    let subscribe = json!({ "type": "subscribe", "channel": channel });
    WebSocketEvent::Text(format!("c:{subscribe}").into())
}

/// Cuts `path?query` and drops the leading slash, which `path_beg` may have taken.
pub(super) fn split(path: &str) -> (&str, &str) {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    (path.strip_prefix('/').unwrap_or(path), query)
}

/// The decoded values of `name` in a query or form (`a=1&b=two+words&c=%41`).
pub(super) fn values<'a>(query: &'a str, name: &str) -> impl Iterator<Item = Cow<'a, str>> {
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .filter(move |(key, _)| *key == name)
        .map(|(_, v)| decode(v))
}

/// Undoes the form encoding. A percent sign that encodes nothing stands for itself.
fn decode(encoded: &str) -> Cow<'_, str> {
    let spaced = encoded.replace('+', " ");
    Cow::Owned(percent_decode_str(&spaced).decode_utf8_lossy().into_owned())
}

const GRIP_HOLD: HeaderName = HeaderName::from_static("grip-hold");
const GRIP_CHANNEL: HeaderName = HeaderName::from_static("grip-channel");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read_as_forms_write_it() {
        let cases: [(&str, &[&str]); 6] = [
            ("", &[]),
            ("channel=a", &["a"]),
            ("x=1&channel=a&channel=b+c", &["a", "b c"]),
            ("channel=%41%c3%a4", &["A\u{e4}"]),
            ("channel=100%&channel=%zz&channel=%4", &["100%", "%zz", "%4"]),
            ("channel&channels=1&channel=", &[""]),
        ];
        for (query, expected) in cases {
            assert_eq!(values(query, "channel").collect::<Vec<_>>(), expected, "{query}");
        }
    }

    #[test]
    fn the_leading_slash_may_belong_to_the_route() {
        for (path, expected) in [("/", ("", "")), ("", ("", "")), ("/a?b", ("a", "b")), ("a?", ("a", ""))] {
            assert_eq!(split(path), expected);
        }
    }
}

//! The answers of the built-in applications (`test_target`, `demo`) as values, which pure functions make. `local`
//! turns a page into an answer like any origin's.

use super::body::ResponseBody;
use super::message::Response;
use crate::proto::grip::{WEBSOCKET_EVENTS, WebSocketEvent};
use bytes::{Bytes, BytesMut};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use serde_json::json;
use std::borrow::Cow;

/// The whole answer of a built-in application.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Page {
    pub status: StatusCode,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub body: Bytes,
}

impl Page {
    /// An answer of plain text.
    pub fn text(status: StatusCode, body: impl Into<Bytes>) -> Self {
        Page { status, headers: Vec::new(), body: body.into() }.with(header::CONTENT_TYPE, "text/plain")
    }

    /// An answer of WebSocket events.
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

    /// Adds a GRIP hold on `channels`. A channel that is not valid in a header is left out.
    pub fn holding(self, mode: &'static str, channels: &[Cow<'_, str>]) -> Self {
        let mut page = self.with(GRIP_HOLD, mode);
        let values = channels.iter().filter_map(|channel| HeaderValue::from_bytes(channel.as_bytes()).ok());
        page.headers.extend(values.map(|value| (GRIP_CHANNEL, value)));
        page
    }

    /// This page as the answer to a request with `method`.
    pub fn into_response(self, method: &Method) -> Response {
        let mut headers: HeaderMap = HeaderMap::with_capacity(self.headers.len() + 1);
        headers.insert(header::CONTENT_LENGTH, self.body.len().into());
        for (name, value) in self.headers {
            headers.append(name, value);
        }
        let body = if *method == Method::HEAD { Bytes::new() } else { self.body };
        let status = self.status.as_u16();
        Response { status, reason: None, headers: headers.into(), body: ResponseBody::whole(body), target: 0 }
    }
}

/// The event that subscribes a WebSocket to `channel`.
pub(super) fn subscribing(channel: &str) -> WebSocketEvent {
    let subscribe = json!({ "type": "subscribe", "channel": channel });
    WebSocketEvent::Text(format!("c:{subscribe}").into())
}

const GRIP_HOLD: HeaderName = HeaderName::from_static("grip-hold");
const GRIP_CHANNEL: HeaderName = HeaderName::from_static("grip-channel");

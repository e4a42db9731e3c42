//! WebSockets over HTTP: the events of one side as the body of a request or of its answer
//! (`application/websocket-events`). An event is a line with its type and, if it has content, the length of the
//! content in hexadecimal digits; the content and a line end follow.

use crate::proto::websocket::{Close, CloseError};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::header::{self, HeaderMap, HeaderValue};
use serde::{Deserialize, Serialize};

/// The media type of such bodies.
pub const WEBSOCKET_EVENTS: &str = "application/websocket-events";

/// Whether a request has the media type of events anywhere in its Content-Type (its body is a list of events) or in
/// its Accept (it wants such a body), by which some applications recognize events. Parsers of applications differ in
/// the meaning of several fields, lists, parameters and bytes beyond ASCII there, so all of them are searched.
pub fn claims_events(headers: &HeaderMap) -> bool {
    let name = WEBSOCKET_EVENTS.as_bytes();
    let fields = [header::CONTENT_TYPE, header::ACCEPT].into_iter();
    let mut values = fields.flat_map(|field| headers.get_all(field)).map(HeaderValue::as_bytes);
    values.any(|value| value.windows(name.len()).any(|part| part.eq_ignore_ascii_case(name)))
}

/// An event of a WebSocket.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum WebSocketEvent {
    /// The WebSocket was requested, or accepted.
    Open,
    /// A text message.
    Text(Bytes),
    /// A binary message.
    Binary(Bytes),
    /// A ping.
    Ping(Bytes),
    /// A pong.
    Pong(Bytes),
    /// One side closes; `None` is a close without a code.
    Close(Option<Close>),
    /// The WebSocket ended without a close.
    Disconnect,
}

/// A body that is not a list of events.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum EventsError {
    /// A line has no end, or is not UTF-8.
    #[error("an event's line does not end")]
    Line,
    /// A length is not a hexadecimal number.
    #[error("the event {0} has a length that is no hexadecimal number")]
    Length(String),
    /// The content is shorter than its length, or no line end follows.
    #[error("the event {0} has less content than its length says")]
    Cut(String),
    /// The content of a close event is invalid.
    #[error(transparent)]
    Close(#[from] CloseError),
}

impl WebSocketEvent {
    /// Appends the event to a body.
    pub fn encode(&self, out: &mut BytesMut) {
        match self {
            WebSocketEvent::Open => out.put_slice(b"OPEN\r\n"),
            WebSocketEvent::Disconnect => out.put_slice(b"DISCONNECT\r\n"),
            WebSocketEvent::Text(content) => put(out, "TEXT", content),
            WebSocketEvent::Binary(content) => put(out, "BINARY", content),
            WebSocketEvent::Ping(content) if content.is_empty() => out.put_slice(b"PING\r\n"),
            WebSocketEvent::Ping(content) => put(out, "PING", content),
            WebSocketEvent::Pong(content) if content.is_empty() => out.put_slice(b"PONG\r\n"),
            WebSocketEvent::Pong(content) => put(out, "PONG", content),
            WebSocketEvent::Close(None) => out.put_slice(b"CLOSE\r\n"),
            WebSocketEvent::Close(Some(close)) => put(out, "CLOSE", &close.payload()),
        }
    }

    /// The size of the event's content, bytes.
    pub fn content_bytes(&self) -> usize {
        match self {
            WebSocketEvent::Text(content)
            | WebSocketEvent::Binary(content)
            | WebSocketEvent::Ping(content)
            | WebSocketEvent::Pong(content) => content.len(),
            WebSocketEvent::Open | WebSocketEvent::Close(_) | WebSocketEvent::Disconnect => 0,
        }
    }

    /// Removes bytes from the front of the event's content.
    pub fn skip_content(&mut self, bytes: usize) {
        match self {
            WebSocketEvent::Text(content)
            | WebSocketEvent::Binary(content)
            | WebSocketEvent::Ping(content)
            | WebSocketEvent::Pong(content) => content.advance(bytes.min(content.len())),
            WebSocketEvent::Open | WebSocketEvent::Close(_) | WebSocketEvent::Disconnect => {}
        }
    }

    /// Reads a whole body; the events share its bytes. Events of unknown types are skipped.
    ///
    /// # Errors
    /// [`EventsError`] if the body is not a list of events.
    pub fn decode_all(mut body: Bytes) -> Result<Vec<WebSocketEvent>, EventsError> {
        let mut events = Vec::new();
        while !body.is_empty() {
            let end = body.windows(2).position(|pair| pair == b"\r\n").ok_or(EventsError::Line)?;
            let line = body.split_to(end);
            body.advance(2);
            let line = std::str::from_utf8(&line).map_err(|_| EventsError::Line)?;
            let (kind, length) = match line.split_once(' ') {
                Some((kind, length)) => (kind, Some(length)),
                None => (line, None),
            };
            let content = length.map(|length| take_content(&mut body, kind, length)).transpose()?;
            events.extend(event(kind, content.unwrap_or_default())?);
        }
        Ok(events)
    }
}

fn take_content(body: &mut Bytes, kind: &str, length: &str) -> Result<Bytes, EventsError> {
    let length =
        usize::from_str_radix(length.trim(), 16).map_err(|_| EventsError::Length(kind.to_owned()))?;
    let end = length.checked_add(2);
    if end.and_then(|end| body.get(length..end)) != Some(b"\r\n") {
        return Err(EventsError::Cut(kind.to_owned()));
    }
    let content = body.split_to(length);
    body.advance(2);
    Ok(content)
}

fn event(kind: &str, content: Bytes) -> Result<Option<WebSocketEvent>, EventsError> {
    Ok(Some(match kind {
        "OPEN" => WebSocketEvent::Open,
        "TEXT" => WebSocketEvent::Text(content),
        "BINARY" => WebSocketEvent::Binary(content),
        "PING" => WebSocketEvent::Ping(content),
        "PONG" => WebSocketEvent::Pong(content),
        // GRIP's libraries write this if the application gave no code.
        "CLOSE" if *content == [0, 0] => WebSocketEvent::Close(None),
        "CLOSE" => WebSocketEvent::Close(Close::parse(&content)?),
        "DISCONNECT" => WebSocketEvent::Disconnect,
        _ => return Ok(None),
    }))
}

fn put(out: &mut BytesMut, kind: &str, content: &[u8]) {
    out.put_slice(format!("{kind} {:X}\r\n", content.len()).as_bytes());
    out.put_slice(content);
    out.put_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_list_of_events_is_recognised_wherever_a_content_type_names_it() {
        let claims = |values: &[&[u8]]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::CONTENT_TYPE, HeaderValue::from_bytes(value).unwrap());
            }
            claims_events(&headers)
        };
        let forged: [&[&[u8]]; 7] = [
            &[b"application/websocket-events"],
            &[b"Application/WebSocket-Events ; a=b"],
            &[b"application/websocket-events; a=\xe9"],
            &[b"text/plain, application/websocket-events"],
            &[b"text/plain", b"application/websocket-events"],
            &[b"application/websocket-events", b"text/plain"],
            &[b"\xff;\tapplication/websocket-events"],
        ];
        for values in forged {
            assert!(claims(values), "{values:?}");
        }
        let mut accepts = HeaderMap::new();
        accepts.append(header::ACCEPT, HeaderValue::from_static("application/websocket-events"));
        assert!(claims_events(&accepts));
        let others: [&[&[u8]]; 4] = [&[], &[b""], &[b"application/websocket"], &[b"text/plain", b"\xff"]];
        assert!(!others.into_iter().any(claims));
    }

    #[test]
    fn events_are_written_as_applications_know_them() {
        let cases = [
            (WebSocketEvent::Open, &b"OPEN\r\n"[..]),
            (WebSocketEvent::Text("hello world".into()), b"TEXT B\r\nhello world\r\n"),
            (WebSocketEvent::Text("".into()), b"TEXT 0\r\n\r\n"),
            (WebSocketEvent::Ping("".into()), b"PING\r\n"),
            (WebSocketEvent::Pong("x".into()), b"PONG 1\r\nx\r\n"),
            (WebSocketEvent::Close(None), b"CLOSE\r\n"),
            (WebSocketEvent::Close(Some(Close::with(1000))), b"CLOSE 2\r\n\x03\xe8\r\n"),
            (WebSocketEvent::Disconnect, b"DISCONNECT\r\n"),
        ];
        for (event, written) in cases {
            let mut out = BytesMut::new();
            event.encode(&mut out);
            assert_eq!(&out[..], written);
            assert_eq!(WebSocketEvent::decode_all(out.freeze()), Ok(vec![event]));
        }
        let zero = Bytes::from_static(b"CLOSE 2\r\n\0\0\r\n");
        assert_eq!(WebSocketEvent::decode_all(zero), Ok(vec![WebSocketEvent::Close(None)]));
    }

    #[test]
    fn lengths_are_hexadecimal_in_any_case_and_unknown_events_are_passed_over() {
        let body = "OPEN\r\nSTRANGE 2\r\nab\r\nTEXT b\r\nhello world\r\n";
        let events = WebSocketEvent::decode_all(body.into());
        assert_eq!(events, Ok(vec![WebSocketEvent::Open, WebSocketEvent::Text("hello world".into())]));
    }

    #[test]
    fn what_is_cut_or_malformed_is_an_error() {
        let cases = [
            ("OPEN", EventsError::Line),
            ("TEXT x\r\n", EventsError::Length("TEXT".into())),
            ("TEXT 5\r\nhell", EventsError::Cut("TEXT".into())),
            ("TEXT 5\r\nhello", EventsError::Cut("TEXT".into())),
            ("TEXT 4\r\nhello\r\n", EventsError::Cut("TEXT".into())),
            ("TEXT ffffffffffffffff\r\n", EventsError::Cut("TEXT".into())),
            ("CLOSE 1\r\nx\r\n", EventsError::Close(CloseError::HalfACode)),
        ];
        for (body, error) in cases {
            assert_eq!(WebSocketEvent::decode_all(body.into()), Err(error), "{body:?}");
        }
    }

    fn any_event() -> impl Strategy<Value = WebSocketEvent> {
        let content = || prop::collection::vec(any::<u8>(), 0..40).prop_map(Bytes::from);
        prop_oneof![
            Just(WebSocketEvent::Open),
            Just(WebSocketEvent::Disconnect),
            content().prop_map(WebSocketEvent::Text),
            content().prop_map(WebSocketEvent::Binary),
            content().prop_map(WebSocketEvent::Ping),
            content().prop_map(WebSocketEvent::Pong),
            "[a-z]{0,9}"
                .prop_map(|reason| WebSocketEvent::Close(Some(Close { code: 3000, reason: reason.into() }))),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_reads_the_same(events in prop::collection::vec(any_event(), 0..8)) {
            let mut body = BytesMut::new();
            events.iter().for_each(|event| event.encode(&mut body));
            prop_assert_eq!(WebSocketEvent::decode_all(body.freeze()), Ok(events));
        }

        #[test]
        fn any_body_is_read_without_panic(body in "((OPEN|TEXT|CLOSE|X)( [0-9a-f]{0,2})?\r\n[a\r\n]{0,6}){0,4}") {
            let _ = WebSocketEvent::decode_all(body.into());
        }
    }
}

//! The demo's WebSockets, which come as HTTP requests. `/echo` says everything back. `/socket` listens on a channel, the
//! page's own unless the query names another, and publishes there what it is sent.

use super::send::Message;
use crate::channel::Publication;
use crate::origin::local::Page;
use crate::proto::grip::{WEBSOCKET_EVENTS, WebSocketEvent};
use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http::header;
use serde_json::json;

/// Answers the events of `/echo`.
pub(super) fn echo(body: &[u8]) -> Page {
    let Some(events) = read(body) else { return unreadable() };
    let back = events.into_iter().filter_map(|event| match event {
        WebSocketEvent::Ping(content) => Some(WebSocketEvent::Pong(content)),
        WebSocketEvent::Pong(_) | WebSocketEvent::Disconnect => None,
        said => Some(said),
    });
    page(back)
}

/// Answers the events of `/socket`, and says what is to be published.
pub(super) fn socket(channel: &str, body: &[u8]) -> (Page, Vec<Publication>) {
    let Some(events) = read(body) else { return (unreadable(), Vec::new()) };
    let (mut back, mut publish) = (Vec::new(), Vec::new());
    for event in events {
        match event {
            WebSocketEvent::Open => {
                let subscribe = json!({ "type": "subscribe", "channel": channel });
                back.push(WebSocketEvent::Open);
                back.push(WebSocketEvent::Text(Bytes::from(format!("c:{subscribe}"))));
                back.push(WebSocketEvent::Text(Bytes::from_static(b"m:held")));
            }
            WebSocketEvent::Text(content) => {
                publish.extend(Message::read(&content).map(|message| message.publication(channel)));
            }
            WebSocketEvent::Ping(content) => back.push(WebSocketEvent::Pong(content)),
            WebSocketEvent::Close(close) => back.push(WebSocketEvent::Close(close)),
            WebSocketEvent::Binary(_) | WebSocketEvent::Pong(_) | WebSocketEvent::Disconnect => {}
        }
    }
    (page(back).with(header::SEC_WEBSOCKET_EXTENSIONS, "grip"), publish)
}

fn read(body: &[u8]) -> Option<Vec<WebSocketEvent>> {
    WebSocketEvent::decode_all(Bytes::copy_from_slice(body)).ok()
}

fn page(events: impl IntoIterator<Item = WebSocketEvent>) -> Page {
    let mut body = BytesMut::new();
    events.into_iter().for_each(|event| event.encode(&mut body));
    let page = Page { status: StatusCode::OK, headers: Vec::new(), body: body.freeze() };
    page.with(header::CONTENT_TYPE, WEBSOCKET_EVENTS)
}

fn unreadable() -> Page {
    Page::text(StatusCode::BAD_REQUEST, "this is for WebSockets\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_echo_says_everything_back_and_pongs() {
        let body = b"OPEN\r\nTEXT 2\r\nhi\r\nPING\r\nPONG\r\nBINARY 1\r\nx\r\nCLOSE\r\n";
        assert_eq!(&echo(body).body[..], b"OPEN\r\nTEXT 2\r\nhi\r\nPONG\r\nBINARY 1\r\nx\r\nCLOSE\r\n");
        assert_eq!(echo(b"nonsense").status, StatusCode::BAD_REQUEST);
    }

    #[test]
    fn a_socket_subscribes_and_publishes() {
        let (page, publish) = socket("demo", b"OPEN\r\n");
        let body = std::str::from_utf8(&page.body).unwrap();
        assert!(body.starts_with("OPEN\r\n") && body.contains(r#"c:{"channel":"demo","type":"subscribe"}"#));
        assert!(publish.is_empty());
        let message = br#"{"message":"a"}"#;
        let event = [format!("TEXT {:X}\r\n", message.len()).as_bytes(), message, b"\r\n"].concat();
        let (page, publish) = socket("demo", &event);
        assert_eq!((page.body.len(), publish.len()), (0, 1));
        assert!(publish[0].socket_frame().is_some());
    }
}

//! The demo's WebSockets, whose events come as HTTP requests. `/echo` echoes every message. `/socket` subscribes to a
//! channel, by default the page's own, and publishes its client's messages there.

use super::send::Message;
use crate::origin::page::{Page, subscribing};
use crate::proto::grip::{Publication, WebSocketEvent};
use bytes::Bytes;
use http::{StatusCode, header};

/// Answers the events of `/echo`.
pub(super) fn echo(body: &Bytes) -> Page {
    let Ok(events) = WebSocketEvent::decode_all(body.clone()) else { return unreadable() };
    let back = events.into_iter().filter_map(|event| match event {
        WebSocketEvent::Ping(content) => Some(WebSocketEvent::Pong(content)),
        WebSocketEvent::Pong(_) | WebSocketEvent::Disconnect => None,
        said => Some(said),
    });
    Page::of_events(back)
}

/// Answers the events of `/socket`, and returns the items to publish.
pub(super) fn socket(channel: &str, body: &Bytes) -> (Page, Vec<Publication>) {
    let Ok(events) = WebSocketEvent::decode_all(body.clone()) else { return (unreadable(), Vec::new()) };
    let (mut back, mut publish) = (Vec::new(), Vec::new());
    for event in events {
        match event {
            WebSocketEvent::Open => {
                back.push(WebSocketEvent::Open);
                back.push(subscribing(channel));
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
    (Page::of_events(back).with(header::SEC_WEBSOCKET_EXTENSIONS, "grip"), publish)
}

fn unreadable() -> Page {
    Page::text(StatusCode::BAD_REQUEST, "this is for WebSockets\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_echo_says_everything_back_and_pongs() {
        let body = "OPEN\r\nTEXT 2\r\nhi\r\nPING\r\nPONG\r\nBINARY 1\r\nx\r\nCLOSE\r\n".into();
        assert_eq!(&echo(&body).body[..], b"OPEN\r\nTEXT 2\r\nhi\r\nPONG\r\nBINARY 1\r\nx\r\nCLOSE\r\n");
        assert_eq!(echo(&"nonsense".into()).status, StatusCode::BAD_REQUEST);
    }

    #[test]
    fn a_socket_subscribes_and_publishes() {
        let (page, publish) = socket("demo", &"OPEN\r\n".into());
        let body = std::str::from_utf8(&page.body).unwrap();
        assert!(body.starts_with("OPEN\r\n") && body.contains(r#"c:{"channel":"demo","type":"subscribe"}"#));
        assert!(publish.is_empty());
        let message = br#"{"message":"a"}"#;
        let event = [format!("TEXT {:X}\r\n", message.len()).as_bytes(), message, b"\r\n"].concat();
        let (page, publish) = socket("demo", &event.into());
        assert_eq!((page.body.len(), publish.len()), (0, 1));
        assert!(publish[0].socket_frame().is_some());
    }
}

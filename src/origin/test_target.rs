//! The `test` target: the smallest GRIP application, with the same texts as Pushpin's test handler, so that a route
//! can be tried before there is an application. It is a pure function of the path, and of the events for `/ws`, a
//! WebSocket that echoes every message.

use super::page::{Page, subscribing};
use super::query::{split, values};
use crate::proto::grip::WebSocketEvent;
use bytes::Bytes;
use http::{StatusCode, header};
use std::borrow::Cow;

/// Answers `path`, which is the request's path without the route's `path_beg`. `?channel=` names the channels;
/// without it the channel is `test`.
pub(super) fn answer(path: &str, body: &Bytes) -> Page {
    let (path, query) = split(path);
    match path {
        "" => Page::text(StatusCode::OK, "Hello from the Pushpin test handler!\n"),
        "response" => Page::text(StatusCode::OK, "nothing for now\n").holding("response", &channels(query)),
        "stream" => Page::text(StatusCode::OK, "[stream opened]\n").holding("stream", &channels(query)),
        "ws" => socket(&channels(query), body).unwrap_or_else(not_found),
        _ => not_found(),
    }
}

fn not_found() -> Page {
    Page::text(StatusCode::NOT_FOUND, "no such test resource\n")
}

/// A WebSocket on `channels`; `None` if the request has no WebSocket events.
fn socket(channels: &[Cow<'_, str>], body: &Bytes) -> Option<Page> {
    let events = WebSocketEvent::decode_all(body.clone()).ok().filter(|events| !events.is_empty())?;
    let mut back = Vec::new();
    for event in events {
        match event {
            WebSocketEvent::Open => {
                back.push(WebSocketEvent::Open);
                back.extend(channels.iter().map(|channel| subscribing(channel)));
            }
            WebSocketEvent::Text(content) => back.push(WebSocketEvent::Text(prefixed(&content))),
            WebSocketEvent::Binary(content) => back.push(WebSocketEvent::Binary(prefixed(&content))),
            WebSocketEvent::Ping(content) => back.push(WebSocketEvent::Pong(content)),
            WebSocketEvent::Close(close) => back.push(WebSocketEvent::Close(close)),
            WebSocketEvent::Pong(_) | WebSocketEvent::Disconnect => {}
        }
    }
    Some(Page::of_events(back).with(header::SEC_WEBSOCKET_EXTENSIONS, "grip"))
}

fn prefixed(content: &[u8]) -> Bytes {
    [b"m:", content].concat().into()
}

fn channels(query: &str) -> Vec<Cow<'_, str>> {
    let mut channels: Vec<_> = values(query, "channel").collect();
    if channels.is_empty() {
        channels.push(Cow::Borrowed("test"));
    }
    channels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_as_pushpins_test_handler_does() {
        type Grip = &'static [(&'static str, &'static str)];
        let cases: [(&str, u16, &str, Grip); 7] = [
            ("/", 200, "Hello from the Pushpin test handler!\n", &[]),
            ("/?channel=a", 200, "Hello from the Pushpin test handler!\n", &[]),
            ("/response", 200, "nothing for now\n", &[("grip-hold", "response"), ("grip-channel", "test")]),
            (
                "/stream?channel=a&channel=b%20c",
                200,
                "[stream opened]\n",
                &[("grip-hold", "stream"), ("grip-channel", "a"), ("grip-channel", "b c")],
            ),
            ("/stream?channel=%0a", 200, "[stream opened]\n", &[("grip-hold", "stream")]),
            ("/nothing", 404, "no such test resource\n", &[]),
            ("/ws", 404, "no such test resource\n", &[]),
        ];
        for (path, status, body, grip) in cases {
            let page = answer(path, &Bytes::new());
            assert_eq!((page.status.as_u16(), &page.body[..]), (status, body.as_bytes()), "{path}");
            let mut headers = page.headers.iter().map(|(n, v)| (n.as_str(), v.to_str().unwrap_or("")));
            assert_eq!(headers.next(), Some(("content-type", "text/plain")));
            assert_eq!(headers.collect::<Vec<_>>(), grip, "{path}");
        }
    }

    #[test]
    fn a_websocket_listens_on_the_channels_and_says_everything_back() {
        let page = answer("/ws?channel=a", &"OPEN\r\nTEXT 2\r\nhi\r\n".into());
        let control = r#"c:{"channel":"a","type":"subscribe"}"#;
        let expected = format!("OPEN\r\nTEXT {:X}\r\n{control}\r\nTEXT 4\r\nm:hi\r\n", control.len());
        assert_eq!(page.body, expected);
    }
}

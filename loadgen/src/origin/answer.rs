//! The origin's answers: the holds of Gripwire's demo, by headers, and the events of WebSockets over HTTP. An answer is a
//! pure function of the request. Channel names are not unescaped, so they should need no escapes.

/// The parts of a request that the application reads.
pub(super) struct Request<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub body: Vec<u8>,
}

/// Appends the answer to `request`.
pub(super) fn write(request: &Request, into: &mut Vec<u8>) {
    let (path, query) = request.path.split_once('?').unwrap_or((request.path, ""));
    let named = query.split('&').find_map(|pair| pair.strip_prefix("channel="));
    let channel = named.unwrap_or(CHANNEL);
    let (status, fields, body) = match (request.method, path) {
        ("GET", "/hold") => ("200 OK", hold("stream", "text/plain", channel), "held\n".to_owned()),
        ("GET", "/events") => {
            let opening = format!("retry: 1000\nevent: held\ndata: {channel}\n\n");
            ("200 OK", hold("stream", "text/event-stream", channel), opening)
        }
        ("GET", "/poll") => ("200 OK", hold("response", "application/json", channel), "{}\n".to_owned()),
        ("POST", "/socket") => {
            let events = "Content-Type: application/websocket-events\r\nSec-WebSocket-Extensions: grip\r\n";
            ("200 OK", events.to_owned(), socket(channel, &request.body))
        }
        ("GET" | "POST", _) => ("404 Not Found", String::new(), "no such resource\n".to_owned()),
        _ => ("405 Method Not Allowed", String::new(), "method not allowed\n".to_owned()),
    };
    let head = format!("HTTP/1.1 {status}\r\n{fields}Content-Length: {}\r\n\r\n", body.len());
    into.extend_from_slice(head.as_bytes());
    into.extend_from_slice(body.as_bytes());
}

fn hold(mode: &str, content_type: &str, channel: &str) -> String {
    format!("Content-Type: {content_type}\r\nGrip-Hold: {mode}\r\nGrip-Channel: {channel}\r\n")
}

/// Answers events: OPEN with a subscription, CLOSE with CLOSE, and others with no event.
fn socket(channel: &str, body: &[u8]) -> String {
    if body.starts_with(b"OPEN\r\n") {
        let subscribe = format!(r#"c:{{"type":"subscribe","channel":"{channel}"}}"#);
        return format!("OPEN\r\nTEXT {:X}\r\n{subscribe}\r\nTEXT 6\r\nm:held\r\n", subscribe.len());
    }
    if body.starts_with(b"CLOSE") { String::from_utf8_lossy(body).into_owned() } else { String::new() }
}

const CHANNEL: &str = "demo";

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(method: &str, path: &str, body: &str) -> String {
        let mut bytes = Vec::new();
        write(&Request { method, path, body: body.into() }, &mut bytes);
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn holds_name_their_channel() {
        let cases = [
            ("/hold?channel=a", "stream", "a", "\r\n\r\nheld\n"),
            ("/hold", "stream", "demo", "\r\n\r\nheld\n"),
            ("/events?x=1&channel=b", "stream", "b", "\r\n\r\nretry: 1000\nevent: held\ndata: b\n\n"),
            ("/poll?channel=c", "response", "c", "\r\n\r\n{}\n"),
        ];
        for (path, mode, channel, end) in cases {
            let answer = answer("GET", path, "");
            let fields = format!("\r\nGrip-Hold: {mode}\r\nGrip-Channel: {channel}\r\n");
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with(end), "{answer}");
            assert!(answer.contains(&fields), "{answer}");
        }
    }

    #[test]
    fn a_websocket_is_opened_and_subscribed() {
        let opened = answer("POST", "/socket?channel=a", "OPEN\r\n");
        assert!(opened.contains("\r\nSec-WebSocket-Extensions: grip\r\n"));
        let events =
            "OPEN\r\nTEXT 24\r\nc:{\"type\":\"subscribe\",\"channel\":\"a\"}\r\nTEXT 6\r\nm:held\r\n";
        assert!(opened.ends_with(events), "{opened}");
        assert!(
            answer("POST", "/socket", "CLOSE 2\r\n\u{3}x\r\n").ends_with("\r\n\r\nCLOSE 2\r\n\u{3}x\r\n")
        );
        assert!(answer("POST", "/socket", "DISCONNECT\r\n").ends_with("Content-Length: 0\r\n\r\n"));
    }

    #[test]
    fn what_is_not_there_is_said_to_be_missing() {
        assert!(answer("GET", "/nothing", "").starts_with("HTTP/1.1 404 "));
        assert!(answer("DELETE", "/hold", "").starts_with("HTTP/1.1 405 "));
    }
}

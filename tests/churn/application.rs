//! The application of the churn: it holds streams, events and polls on the channels that their paths name, and
//! subscribes WebSockets as their clients ask.

use gripwire_harness::origin::{Answer, Origin, Received, control_event, text_event};
use serde_json::json;

/// What a held stream begins with.
pub const OPENING: &str = ": opened\n\n";

pub fn start() -> Origin {
    Origin::http(answer)
}

/// `/stream/a,b`, `/events/a,b` and `/poll/a`; everything else is a WebSocket.
fn answer(request: &Received) -> Answer {
    let mut words = request.target.trim_start_matches('/').splitn(2, '/');
    let (kind, channels) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    match kind {
        "stream" => Answer::stream(&channels.replace(',', ", "), OPENING),
        "events" => {
            Answer::stream(&channels.replace(',', ", "), OPENING).header("Content-Type", "text/event-stream")
        }
        "poll" => Answer::poll(channels, 60, "timeout"),
        _ => Answer::events(talk(&String::from_utf8_lossy(&request.body))),
    }
}

/// Answers each event: a text says `join` or `leave` with a channel. `m:` is before what clients are to read.
fn talk(mut events: &str) -> String {
    let mut answer = String::new();
    while let Some((head, rest)) = events.split_once("\r\n") {
        let (name, length) = head.split_once(' ').unwrap_or((head, ""));
        let length = usize::from_str_radix(length, 16).unwrap_or(0);
        let content = &rest[..length];
        events = if head.contains(' ') { &rest[length + 2..] } else { rest };
        match (name, content.split_once(' ')) {
            ("OPEN", _) => answer += "OPEN\r\n",
            ("TEXT", Some(("join", channel))) => {
                answer += &control_event(json!({"type": "subscribe", "channel": channel}));
                answer += &text_event(&format!("m:joined {channel}"));
            }
            ("TEXT", Some(("leave", channel))) => {
                answer += &control_event(json!({"type": "unsubscribe", "channel": channel}));
                answer += &text_event(&format!("m:left {channel}"));
            }
            ("CLOSE", _) => answer += "CLOSE\r\n",
            _ => {}
        }
    }
    answer
}

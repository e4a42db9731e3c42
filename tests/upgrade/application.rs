//! The application of the clients that speak HTTP to it, and of WebSockets over HTTP. It holds streams and polls on the
//! channels that their paths name, and answers what clients upload and say.

use crate::content::{Channel, Numbers};
use gripwire_harness::origin::{Answer, Origin, Received, control_event, text_event};
use serde_json::json;
use std::sync::Arc;

/// The first event of a stream.
pub const OPENING: &str = ": opened\n\n";

/// Starts it. It has the items of `numbers`.
pub fn start(numbers: Arc<Numbers>) -> Origin {
    Origin::http(move |request| answer(request, &numbers))
}

fn answer(request: &Received, numbers: &Numbers) -> Answer {
    let mut words = request.target.trim_start_matches('/').split('/');
    let mut word = || words.next().unwrap_or_default();
    let (page, first, second) = (word(), word(), word());
    let channel = Channel(first.parse().unwrap_or_default());
    match page {
        "stream" => Answer::stream(&channel.name(), OPENING),
        "events" => Answer::stream(&channel.name(), OPENING).header("Content-Type", "text/event-stream"),
        "filtered" => {
            let subscription = format!("{}; filter=skip-self; filter=var-subst", channel.name());
            Answer::stream(&subscription, OPENING).header("Grip-Set-Meta", &format!("user={second}"))
        }
        "follow" => follow(channel, second.parse().unwrap_or_default(), numbers, OPENING),
        "after" => follow(channel, last_id(request), numbers, ""),
        "poll" => poll(channel, second.parse().unwrap_or_default(), numbers),
        "plain" => Answer::text(&format!("plain {first}")),
        "upload" => {
            let sum: u64 = request.body.iter().map(|byte| u64::from(*byte)).sum();
            Answer::text(&format!("uploaded {first} {} {sum}", request.body.len()))
        }
        "talk" => Answer::events(talk(&String::from_utf8_lossy(&request.body), channel)),
        _ => Answer::new(404, "Not Found"),
    }
}

/// A stream that begins with the items behind `after`, and has a link to those that it misses later.
fn follow(channel: Channel, after: u64, numbers: &Numbers, opening: &str) -> Answer {
    let last = numbers.last(channel);
    let missed = (after + 1..=last).map(|number| format!("data: {}\n\n", channel.text(number)));
    let subscription = format!("{}; prev-id={last}", channel.name());
    Answer::stream(&subscription, &(opening.to_owned() + &missed.collect::<String>()))
        .header("Grip-Link", &format!("</after/{}>; rel=next", channel.0))
        .header("Content-Type", "text/event-stream")
}

fn last_id(request: &Received) -> u64 {
    let value = request.headers.get("Grip-Last").unwrap_or_default();
    value.rsplit('=').next().and_then(|id| id.parse().ok()).unwrap_or_default()
}

/// The items behind `after`, or a hold until there is one.
fn poll(channel: Channel, after: u64, numbers: &Numbers) -> Answer {
    let last = numbers.last(channel);
    if last > after {
        let items = (after + 1..=last).map(|number| channel.text(number) + "\n");
        return Answer::text(&items.collect::<String>());
    }
    Answer::poll(&format!("{}; prev-id={after}", channel.name()), 60, "")
}

/// Subscribes a WebSocket to its channel, and repeats what its client says.
fn talk(mut events: &str, channel: Channel) -> String {
    let mut answer = String::new();
    while let Some((head, rest)) = events.split_once("\r\n") {
        let Some((name, length)) = head.split_once(' ') else {
            if head == "OPEN" {
                answer += "OPEN\r\n";
                answer += &control_event(json!({"type": "subscribe", "channel": channel.name()}));
                answer += &text_event("m:joined");
            }
            events = rest;
            continue;
        };
        let length = usize::from_str_radix(length, 16).expect("the length of an event");
        if let Some(said) = rest[..length].strip_prefix("say ").filter(|_| name == "TEXT") {
            answer += &text_event(&format!("m:said {said}"));
        }
        events = &rest[length + 2..];
    }
    answer
}

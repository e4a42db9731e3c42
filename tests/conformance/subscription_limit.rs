//! `subscriptions_per_connection`: an application that names more channels for a client learns of it with the next
//! request.

use std::io::Write;

use serde_json::json;

use crate::harness::origin::{Answer, Page, Then};
use crate::harness::proxy::standard;
use crate::harness::publisher::response_item;
use crate::harness::request::get;
use crate::harness::websocket::{Application, control_event, text_event};
use crate::harness::{pushpin_differs, unique};

const LIMIT: usize = 20;
const HEADER: &str = "Grip-Subscriptions-Refused";

/// One channel more than a client may have, and yet another.
fn too_many(base: &str) -> Vec<String> {
    (0..LIMIT + 2).map(|number| format!("{base}-{number}")).collect()
}

fn expected(channels: &[String]) -> String {
    format!("2; limit={LIMIT}; first=\"{}\"", channels[LIMIT])
}

fn refused_total() -> u64 {
    let page = standard().control(&get("/stats"));
    let stats: serde_json::Value = serde_json::from_slice(&page.body).expect("JSON");
    stats["refused_subscriptions_total"].as_u64().expect("a counter")
}

#[test]
fn the_application_of_a_websocket_is_told_with_its_next_request() {
    pushpin_differs!("1.36 ignores channels beyond connection_subscription_max and tells nobody");
    let channels = too_many(&unique("ch"));
    let subscribe = |channel: &String| control_event(json!({"type": "subscribe", "channel": channel}));
    let subscriptions: String = channels.iter().map(subscribe).collect();
    let application = Application::answering(move |events| match events {
        "OPEN\r\n" => format!("OPEN\r\n{subscriptions}{}", text_event("m:welcome")),
        _ => text_event("m:thanks"),
    });
    let before = refused_total();
    let mut socket = standard().open("crowded-socket.test", &application.page.path);
    socket.expect_text("welcome");
    let (first, _) = application.request();
    assert!(!first.has(HEADER));
    for expected in [Some(expected(&channels)), None] {
        socket.text("hello");
        socket.expect_text("thanks");
        let (headers, _) = application.request();
        assert_eq!(headers.get(HEADER), expected.as_deref(), "it is said once");
    }
    assert!(refused_total() >= before + 2);
    let publish = |channel: &str| {
        standard().publish(json!({"channel": channel, "formats": {"ws-message": {"content": channel}}}));
    };
    publish(&channels[LIMIT]);
    publish(&channels[LIMIT - 1]);
    socket.expect_text(&channels[LIMIT - 1]);
}

#[test]
fn the_application_of_a_stream_is_told_with_its_link() {
    pushpin_differs!("1.36 ignores channels beyond connection_subscription_max and tells nobody");
    let channels = too_many(&unique("ch"));
    let of_page = channels.join(", ");
    let page = Page::handling(move |request, socket| {
        let answer = match request.target.contains("next") {
            true => Answer::text("next\n"),
            false => Answer::text("[opened]\n")
                .header("Grip-Hold", "stream")
                .header("Grip-Channel", &of_page)
                .header("Grip-Link", "<?next>; rel=next; timeout=1"),
        };
        let _ = socket.write_all(&answer.bytes_for(&request.method));
        Then::KeepOpen
    });
    let response = standard().fetch(&get(&page.path).host("crowded-stream.test"));
    assert_eq!(response.text(), "[opened]\nnext\n");
    assert!(!page.request().headers.has(HEADER));
    assert_eq!(page.request().headers.get(HEADER), Some(expected(&channels).as_str()));
}

#[test]
fn the_application_of_a_long_poll_is_told_with_the_next_one() {
    pushpin_differs!("1.36 ignores channels beyond connection_subscription_max and tells nobody");
    let channels = too_many(&unique("ch"));
    let hold = Answer::text("timeout\n").header("Grip-Hold", "response");
    let page = Page::answering(hold.header("Grip-Channel", &channels.join(", ")));
    let mut client = standard().connect();
    for expected in [None, Some(expected(&channels))] {
        client.send(get(&page.path).host("crowded-poll.test").bytes());
        let published = format!("pre-{}", channels[LIMIT - 1]);
        standard().publish_until_answered(&mut client, response_item(&published, "published\n"));
        assert_eq!(client.response().text(), "published\n");
        assert_eq!(page.request().headers.get(HEADER), expected.as_deref());
    }
}

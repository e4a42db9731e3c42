//! Response holds: a request that is answered by the first message, or by the origin's own answer when time is up.

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::client::Client;
use crate::harness::origin::{Answer, Page, Then, requests_for_a_hold};
use crate::harness::proxy::standard;
use crate::harness::publisher::{response_item, stream_item};
use crate::harness::request::{get, request};
use crate::harness::unique;

/// An answer that holds the request until something is published to `channel`.
fn holding(channel: &str) -> Answer {
    Answer::text("timed out\n").header("Grip-Hold", "response").header("Grip-Channel", channel)
}

/// A client whose request is held on a new channel, and the channel.
fn held() -> (Client, String) {
    let channel = unique("ch");
    let page = Page::answering(holding(&channel));
    (standard().ask(&get(&page.path)), channel)
}

#[test]
fn a_message_answers_a_held_request() {
    let (mut client, channel) = held();
    standard().publish_until_answered(&mut client, response_item(&channel, "published\n"));
    let response = client.response();
    assert_eq!((response.version.as_str(), response.code, response.reason.as_str()), ("HTTP/1.1", 200, "OK"));
    assert_eq!(response.text(), "published\n");
    assert_eq!(response.headers.get("Content-Length"), Some("10"));
    assert!(response.headers.starting_with("Grip-").is_empty(), "{:?}", response.headers);
}

#[test]
fn a_connection_is_usable_after_a_held_request() {
    let (first, second) = (unique("ch"), unique("ch"));
    let (first_page, second_page) = (Page::answering(holding(&first)), Page::answering(holding(&second)));
    let mut client = standard().connect();
    for (page, channel) in [(&first_page, &first), (&second_page, &second), (&first_page, &first)] {
        client.send(get(&page.path).bytes());
        standard().publish_until_answered(&mut client, response_item(channel, channel));
        assert_eq!(client.response().text(), channel);
    }
    let plain = Page::answering(Answer::text("plain\n"));
    assert_eq!(client.send(get(&plain.path).bytes()).response().text(), "plain\n");
}

#[test]
fn a_held_request_is_answered_from_any_of_its_channels() {
    let channels = [unique("ch"), unique("ch"), unique("ch")];
    let [one, two, three] = &channels;
    let page = Page::answering(holding(&format!("{one}, {two}")).header("Grip-Channel", three));
    for channel in &channels {
        let mut client = standard().ask(&get(&page.path));
        standard().publish_until_answered(&mut client, response_item(channel, channel));
        assert_eq!(client.response().text(), channel);
    }
}

#[test]
fn a_message_answers_every_request_held_on_its_channel() {
    let channel = unique("ch");
    let page = Page::answering(holding(&channel));
    let mut clients: Vec<Client> = (0..3).map(|_| standard().ask(&get(&page.path))).collect();
    for client in &mut clients {
        standard().publish_until_answered(client, response_item(&channel, "for all\n"));
    }
    for client in &mut clients {
        assert_eq!(client.response().text(), "for all\n");
    }
}

#[test]
fn a_message_on_another_channel_answers_nothing() {
    let (mut client, channel) = held();
    let (mut witness, other) = held();
    standard().publish_until_answered(&mut witness, response_item(&other, "not for you\n"));
    standard().publish_until_answered(&mut client, response_item(&channel, "for you\n"));
    assert_eq!(client.response().text(), "for you\n");
}

#[test]
fn a_channel_is_matched_whole_and_with_regard_to_case() {
    let channel = unique("Ch");
    let page = Page::answering(holding(&channel));
    let mut client = standard().ask(&get(&page.path));
    let begins_like_it = response_item(&channel[..channel.len() - 1], "a prefix\n");
    let spelled_like_it = response_item(&channel.to_lowercase(), "another case\n");
    let longer = response_item(&format!("{channel}x"), "longer\n");
    standard().publish_until_answered(
        &mut client,
        // All in one call, so that the wrong ones have been seen when the right one answers.
        json!([begins_like_it, spelled_like_it, longer, response_item(&channel, "the one\n")]),
    );
    assert_eq!(client.response().text(), "the one\n");
}

#[test]
fn a_message_for_streams_answers_no_long_poll() {
    let (mut client, channel) = held();
    let items = json!([stream_item(&channel, "for streams\n"), response_item(&channel, "for long polls\n")]);
    standard().publish_until_answered(&mut client, items);
    assert_eq!(client.response().text(), "for long polls\n");
}

#[test]
fn a_held_post_is_answered() {
    let channel = unique("ch");
    let page = Page::answering(holding(&channel));
    let mut client = standard().ask(&request("POST", &page.path).body("a=1"));
    standard().publish_until_answered(&mut client, response_item(&channel, "posted\n"));
    assert_eq!(client.response().text(), "posted\n");
    assert_eq!(page.request().body, b"a=1");
}

#[test]
fn a_held_http_1_0_request_is_answered_and_closed() {
    let channel = unique("ch");
    let page = Page::answering(holding(&channel));
    let mut client = standard().ask(&get(&page.path).http_1_0());
    standard().publish_until_answered(&mut client, response_item(&channel, "old\n"));
    let response = client.response();
    assert_eq!((response.text(), response.headers.get("Content-Length")), ("old\n", Some("4")));
    client.expect_closed();
}

#[test]
fn a_held_request_with_connection_close_is_answered_and_closed() {
    let channel = unique("ch");
    let page = Page::answering(holding(&channel));
    let mut client = standard().ask(&get(&page.path).header("Connection", "close"));
    standard().publish_until_answered(&mut client, response_item(&channel, "last\n"));
    let response = client.response();
    assert_eq!(response.text(), "last\n");
    assert!(response.headers.lists("Connection", "close"));
    client.expect_closed();
}

#[test]
fn a_request_pipelined_behind_a_held_one_waits_for_it() {
    let channel = unique("ch");
    let (page, behind) = (Page::answering(holding(&channel)), Page::answering(Answer::text("behind\n")));
    let mut client = standard().ask(&get(&page.path));
    client.send(get(&behind.path).bytes());
    standard().publish_until_answered(&mut client, response_item(&channel, "first\n"));
    assert_eq!(client.response().text(), "first\n");
    assert_eq!(client.response().text(), "behind\n");
}

#[test]
fn when_time_is_up_the_client_gets_the_origins_answer() {
    let channel = unique("ch");
    let answer = holding(&channel).header("Grip-Timeout", "5").header("X-A", "1");
    let page = Page::answering(answer);
    let begun = Instant::now();
    let mut client = standard().ask(&get(&page.path));
    let response = client.response();
    assert!(begun.elapsed() > Duration::from_millis(4_500), "answered after {:?}", begun.elapsed());
    assert_eq!((response.code, response.reason.as_str(), response.text()), (200, "OK", "timed out\n"));
    assert_eq!(response.headers.get("Content-Length"), Some("10"));
    assert_eq!(response.headers.get("Content-Type"), Some("text/plain"));
    assert_eq!(response.headers.get("X-A"), Some("1"));
    assert!(response.headers.starting_with("Grip-").is_empty(), "{:?}", response.headers);
    let next = Page::answering(Answer::text("next\n"));
    assert_eq!(client.send(get(&next.path).bytes()).response().text(), "next\n", "the connection is usable");
}

#[test]
fn the_shortest_timeout_is_five_seconds_and_other_codes_are_kept() {
    let answer = Answer::new(304, "Not Modified")
        .header("Grip-Hold", "response")
        .header("Grip-Channel", &unique("ch"))
        .header("Grip-Timeout", "1")
        .header("ETag", "\"v1\"");
    let page = Page::answering(answer);
    let begun = Instant::now();
    let response = standard().fetch(&get(&page.path));
    assert!(begun.elapsed() > Duration::from_millis(4_500), "answered after {:?}", begun.elapsed());
    assert_eq!((response.code, response.headers.get("ETag")), (304, Some("\"v1\"")));
}

#[test]
fn a_hint_makes_the_origin_answer_again() {
    let channel = unique("ch");
    let (asked_so_far, hold) = (AtomicUsize::new(0), holding(&channel));
    let page = Page::handling(move |request, socket| {
        let first = asked_so_far.fetch_add(1, Ordering::SeqCst) < requests_for_a_hold();
        let answer = if first { hold.clone() } else { Answer::text("changed\n").header("X-Now", "yes") };
        let _ = socket.write_all(&answer.bytes_for(&request.method));
        Then::KeepOpen
    });
    let asked = request("POST", format!("{}?q=1", page.path)).header("X-Mine", "kept").body("a=1");
    let mut client = standard().ask(&asked);
    page.await_hold();
    let hint = json!({"channel": channel, "formats": {"http-response": {"action": "hint"}}});
    standard().publish_until_answered(&mut client, hint);
    let response = client.response();
    assert_eq!((response.text(), response.headers.get("X-Now")), ("changed\n", Some("yes")));
    let again = page.request();
    assert_eq!((again.method.as_str(), again.body.as_slice()), ("POST", &b"a=1"[..]));
    assert_eq!(again.target, format!("{}?q=1", page.path));
    assert_eq!(again.headers.get("X-Mine"), Some("kept"));
}

#[test]
fn close_leaves_a_long_poll_held() {
    let (mut client, channel) = held();
    let close = json!({"channel": channel, "formats": {"http-response": {"action": "close"}}});
    standard().publish_until_answered(&mut client, json!([close, response_item(&channel, "held on\n")]));
    assert_eq!(client.response().text(), "held on\n");
}

#[test]
fn a_held_client_that_leaves_disturbs_nobody() {
    let channel = unique("ch");
    let page = Page::answering(holding(&channel));
    let leaver = standard().ask(&get(&page.path));
    page.request();
    drop(leaver);
    let mut client = standard().ask(&get(&page.path));
    standard().publish_until_answered(&mut client, response_item(&channel, "still here\n"));
    assert_eq!(client.response().text(), "still here\n");
}

#[test]
fn a_routes_prefix_is_put_before_channel_names() {
    let channel = unique("ch");
    let page = Page::answering(holding(&channel));
    let mut client = standard().ask(&get(&page.path).host("prefixed.test"));
    let items =
        json!([response_item(&channel, "bare\n"), response_item(&format!("pre-{channel}"), "prefixed\n")]);
    standard().publish_until_answered(&mut client, items);
    assert_eq!(client.response().text(), "prefixed\n");
}

#[test]
fn a_targets_implied_channel_is_subscribed_beside_those_named() {
    let page = Page::answering(holding(&unique("ch")));
    let mut client = standard().ask(&get(&page.path).host("implied.test"));
    standard().publish_until_answered(&mut client, response_item("implied-channel", "implied\n"));
    assert_eq!(client.response().text(), "implied\n");
}

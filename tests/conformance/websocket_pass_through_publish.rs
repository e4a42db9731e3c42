//! Publishing to WebSockets that pass through to an application: who is subscribed, and what comes when.

use serde_json::{Value, json};

use crate::harness::origin::{Answer, Page};
use crate::harness::proxy::standard;
use crate::harness::request::get;
use crate::harness::websocket::{Application, AwaitSubscription, control_event, text_event};
use crate::harness::websocket_origin::{BINARY, CLOSE, CONTINUE, PING, PONG, Peer, Sockets, TEXT};
use crate::harness::websocket_origin::{expect_relayed, subscribe};
use crate::harness::{pushpin_differs, unique};

/// Both ends of a WebSocket whose client is subscribed, the client's first.
fn subscribed(channel: &str) -> (Peer, Peer) {
    let (mut client, mut server) = Sockets::speaking_grip().open(standard(), "pass.test");
    subscribe(&mut client, &mut server, channel);
    (client, server)
}

fn publish(channel: &str, message: Value) {
    standard().publish(json!({"channel": channel, "formats": {"ws-message": message}}));
}

#[test]
fn what_is_published_reaches_subscribers() {
    let channel = unique("ch");
    let (mut client, _server) = subscribed(&channel);
    publish(&channel, json!({"content": "news"}));
    client.expect_text("news");
    publish(&channel, json!({"content-bin": "AP8="}));
    client.expect(BINARY, b"\x00\xff");
    publish(&channel, json!({"type": "binary", "content": "as bytes"}));
    client.expect(BINARY, "as bytes");
}

#[test]
fn pings_and_pongs_can_be_published() {
    let channel = unique("ch");
    let (mut client, _server) = subscribed(&channel);
    publish(&channel, json!({"type": "ping", "content": "p"}));
    client.expect_frame(PING, true, "p");
    publish(&channel, json!({"type": "pong", "content": ""}));
    client.expect_frame(PONG, true, "");
}

#[test]
fn a_ping_that_is_published_needs_no_content() {
    pushpin_differs!("without content nothing is sent");
    let channel = unique("ch");
    let (mut client, _server) = subscribed(&channel);
    publish(&channel, json!({"type": "ping"}));
    client.expect_frame(PING, true, "");
}

#[test]
fn what_is_published_needs_no_prefix_and_controls_nothing() {
    let channel = unique("ch");
    let (mut client, mut server) = subscribed(&channel);
    for content in ["m:news", "c:{\"type\":\"detach\"}", ""] {
        publish(&channel, json!({"content": content}));
        client.expect_text(content);
    }
    client.text("attached");
    server.expect_text("attached");
}

#[test]
fn a_long_message_can_be_published() {
    let channel = unique("ch");
    let (mut client, _server) = subscribed(&channel);
    let content = "0123456789".repeat(10_000);
    publish(&channel, json!({"content": content}));
    client.expect(TEXT, &content);
}

#[test]
fn messages_arrive_in_the_order_of_publishing() {
    let channel = unique("ch");
    let (mut client, _server) = subscribed(&channel);
    for number in 0..50 {
        publish(&channel, json!({"content": number.to_string()}));
    }
    for number in 0..50 {
        client.expect_text(&number.to_string());
    }
}

#[test]
fn one_publication_reaches_subscribers_of_every_kind() {
    let channel = unique("ch");
    let (mut passed, _server) = subscribed(&channel);
    let opening = format!(
        "OPEN\r\n{}{}",
        control_event(json!({"type": "subscribe", "channel": channel})),
        text_event("m:welcome")
    );
    let application = Application::answering(move |_| opening.clone());
    let mut over_http = standard().open("sockets.test", &application.page.path);
    over_http.expect_text("welcome");
    over_http.await_subscription(standard(), &channel);
    let held = Answer::text("begun\n").header("Grip-Hold", "stream").header("Grip-Channel", &channel);
    let mut stream = standard().ask(&get(&Page::answering(held).path));
    stream.head();
    stream.expect_body("begun\n");
    let formats = json!({"ws-message": {"content": "news"}, "http-stream": {"content": "news\n"}});
    standard().publish(json!({"channel": channel, "formats": formats}));
    passed.expect_text("news");
    over_http.expect_text("news");
    stream.expect_body("news\n");
}

#[test]
fn messages_for_others_do_not_reach_websockets() {
    let channel = unique("ch");
    let (mut client, _server) = subscribed(&channel);
    standard().publish_stream(&channel, "for streams");
    publish(&channel, json!({"action": "hint"}));
    publish(&unique("ch"), json!({"content": "elsewhere"}));
    publish(&channel, json!({"content": "news"}));
    client.expect_text("news");
}

#[test]
fn what_is_published_comes_between_the_messages_of_the_application() {
    pushpin_differs!("what is published within a message of the application is lost");
    let channel = unique("ch");
    let (mut client, mut server) = subscribed(&channel);
    let (mut witness, _other) = subscribed(&channel);
    server.part(TEXT, "m:he");
    client.expect_frame(TEXT, false, "he");
    publish(&channel, json!({"content": "news"}));
    witness.expect_text("news");
    server.part(CONTINUE, "l");
    client.expect_frame(CONTINUE, false, "l");
    server.send(CONTINUE, "lo");
    client.expect_frame(CONTINUE, true, "lo");
    client.expect_text("news");
    expect_relayed(&mut client, &mut server, "once");
}

#[test]
fn what_is_published_comes_while_a_client_sends() {
    let channel = unique("ch");
    let (mut client, mut server) = subscribed(&channel);
    client.part(TEXT, "he");
    server.expect_frame(TEXT, false, "he");
    publish(&channel, json!({"content": "news"}));
    client.expect_text("news");
    client.send(CONTINUE, "llo");
    server.expect_frame(CONTINUE, true, "llo");
}

#[test]
fn subscribing_twice_is_subscribing_once() {
    let channel = unique("ch");
    let (mut client, mut server) = subscribed(&channel);
    subscribe(&mut client, &mut server, &channel);
    publish(&channel, json!({"content": "one"}));
    publish(&channel, json!({"content": "two"}));
    client.expect_text("one");
    client.expect_text("two");
}

#[test]
fn after_unsubscribing_nothing_more_arrives() {
    let (left, kept) = (unique("ch"), unique("ch"));
    let (mut client, mut server) = subscribed(&left);
    server.control(json!({"type": "unsubscribe", "channel": left}));
    subscribe(&mut client, &mut server, &kept);
    publish(&left, json!({"content": "unwanted"}));
    publish(&kept, json!({"content": "wanted"}));
    client.expect_text("wanted");
}

#[test]
fn a_route_puts_its_prefix_before_channels() {
    let channel = unique("ch");
    let (mut client, mut server) = Sockets::speaking_grip().open(standard(), "prefixed.test");
    server.control(json!({"type": "subscribe", "channel": channel}));
    expect_relayed(&mut client, &mut server, "welcome");
    client.await_subscription(standard(), &format!("pre-{channel}"));
    publish(&channel, json!({"content": "unwanted"}));
    publish(&format!("pre-{channel}"), json!({"content": "wanted"}));
    client.expect_text("wanted");
}

#[test]
fn an_implied_channel_needs_no_grip() {
    let (mut client, mut server) = Sockets::accepting(&[]).open(standard(), "pass-implied.test");
    server.text("c:hello");
    client.expect_text("c:hello");
    client.await_subscription(standard(), "pass-implied-channel");
    publish("pass-implied-channel", json!({"content": "news"}));
    client.expect_text("news");
}

#[test]
fn an_implied_channel_cannot_be_left() {
    let (left, kept) = ("pass-kept-channel", unique("ch"));
    let (mut client, mut server) = Sockets::speaking_grip().open(standard(), "pass-kept.test");
    expect_relayed(&mut client, &mut server, "welcome");
    client.await_subscription(standard(), left);
    server.control(json!({"type": "unsubscribe", "channel": left}));
    subscribe(&mut client, &mut server, &kept);
    publish(left, json!({"content": "still"}));
    client.expect_text("still");
}

#[test]
fn a_published_close_closes_with_its_code() {
    let channel = unique("ch");
    let (mut client, mut server) = subscribed(&channel);
    publish(&channel, json!({"action": "close", "code": 4001, "reason": "enough"}));
    client.expect_close(4001, "enough");
    client.close(4001, "enough");
    server.expect_closing();
}

#[test]
fn a_subscriber_that_vanishes_cuts_its_application_and_no_other() {
    let channel = unique("ch");
    let (client, mut server) = subscribed(&channel);
    let (mut other, _server) = subscribed(&channel);
    client.vanish();
    server.expect_closing();
    publish(&channel, json!({"content": "news"}));
    other.expect_text("news");
}

#[test]
fn after_detaching_the_application_is_closed_and_the_client_hears_what_is_published() {
    let channel = unique("ch");
    let (mut client, mut server) = subscribed(&channel);
    server.control(json!({"type": "detach"}));
    server.expect_closing();
    server.vanish();
    client.text("unheard");
    publish(&channel, json!({"content": "news"}));
    client.expect_text("news");
    client.close(1000, "");
    client.expect_closing();
}

#[test]
fn what_a_client_sends_after_detaching_is_not_heard() {
    let channel = unique("ch");
    let (mut client, mut server) = subscribed(&channel);
    server.control(json!({"type": "detach"}));
    assert_eq!(server.next_frame().kind, CLOSE);
    client.text("unheard");
    publish(&channel, json!({"content": "news"}));
    client.expect_text("news");
    server.send(CLOSE, "");
    server.end_sending();
    server.expect_end();
}

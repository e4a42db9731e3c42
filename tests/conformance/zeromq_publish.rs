//! Publishing by ZeroMQ: PUSH sockets send items, and PUB sockets those of channels that somebody listens to.

use serde_json::{Value, json};
use zmq::{SNDMORE, Socket, SocketType};

use crate::harness::client::Client;
use crate::harness::proxy::standard;
use crate::harness::publisher::stream_item;
use crate::harness::websocket::{Application, AwaitSubscription};
use crate::harness::zeromq::{connect, tnetstring};
use crate::harness::{pushpin_differs, unique};

fn opened(channel: &str) -> Client {
    standard().stream(channel)
}

fn push() -> Socket {
    connect(standard(), SocketType::PUSH, "pull")
}

#[test]
fn an_item_is_pushed_as_a_tagged_netstring_or_as_json() {
    let channel = unique("ch");
    let mut client = opened(&channel);
    let push = push();
    let item = |content: &str| stream_item(&channel, content);
    push.send(tnetstring(&item("bare\n")), 0).unwrap();
    client.expect_body("bare\n");
    push.send([&b"T"[..], &tnetstring(&item("tagged\n"))].concat(), 0).unwrap();
    client.expect_body("tagged\n");
    push.send([b"J", item("json\n").to_string().as_bytes()].concat(), 0).unwrap();
    client.expect_body("json\n");
}

#[test]
fn items_that_are_pushed_stay_in_order() {
    let channel = unique("ch");
    let mut client = opened(&channel);
    let push = push();
    for number in 0..1_000 {
        push.send(tnetstring(&stream_item(&channel, &format!("{number}\n"))), 0).unwrap();
    }
    (0..1_000).for_each(|number| client.expect_body(format!("{number}\n")));
}

#[test]
fn a_pushed_message_that_is_no_item_is_skipped() {
    pushpin_differs!("some of these end it");
    let channel = unique("ch");
    let mut client = opened(&channel);
    let push = push();
    for bad in [&b"garbage"[..], b"", b"J[", b"J[]", b"T", b"T0:}", b"0:}", b"999999999:", b"3:abc?"] {
        push.send(bad, 0).unwrap();
    }
    push.send(tnetstring(&stream_item(&channel, "good\n")), 0).unwrap();
    client.expect_body("good\n");
}

#[test]
fn a_pushed_item_with_a_mistake_is_skipped() {
    let channel = unique("ch");
    let mut client = opened(&channel);
    let push = push();
    push.send("garbage", 0).unwrap();
    push.send("0:}", 0).unwrap();
    push.send(tnetstring(&json!({"channel": channel})), 0).unwrap();
    push.send("two", SNDMORE).unwrap();
    push.send(tnetstring(&stream_item(&channel, "parts")), 0).unwrap();
    push.send(tnetstring(&stream_item(&channel, "good\n")), 0).unwrap();
    client.expect_body("good\n");
}

#[test]
fn a_pushed_item_has_bytes_as_they_are() {
    let channel = unique("ch");
    let mut client = opened(&channel);
    let push = push();
    let content = json!({"content": "\0\u{0}\u{ff}\n"});
    push.send_item(&json!({"channel": channel, "formats": {"http-stream": content}}));
    client.expect_body(b"\x00\xff\n");
}

#[test]
fn a_websocket_gets_what_is_pushed() {
    let channel = unique("ch");
    let subscribe =
        crate::harness::websocket::control_event(json!({"type": "subscribe", "channel": channel}));
    let welcome = crate::harness::websocket::text_event("m:welcome");
    let application = Application::answering(move |events| match events {
        "OPEN\r\n" => format!("OPEN\r\n{subscribe}{welcome}"),
        _ => String::new(),
    });
    let mut socket = standard().open("sockets.test", &application.page.path);
    socket.expect_text("welcome");
    socket.await_subscription(standard(), &channel);
    let push = push();
    push.send_item(&json!({"channel": channel, "formats": {"ws-message": {"content": "text"}}}));
    socket.expect_text("text");
    push.send_item(&json!({"channel": channel, "formats": {"ws-message": {"content-bin": "\0\u{1}\u{fe}"}}}));
    assert_eq!(socket.next_message(), tungstenite::Message::binary(vec![1, 0xfe]));
}

#[test]
fn publishers_see_which_channels_are_listened_to() {
    let (channel, longer) = (unique("ch"), unique("ch") + "-longer");
    let publisher = connect(standard(), SocketType::XPUB, "sub");
    let mut client = opened(&channel);
    let mut other = opened(&longer);
    await_change(&publisher, 1, &channel);
    await_change(&publisher, 1, &longer);
    let item = |content: &str| tnetstring(&json!({"formats": {"http-stream": {"content": content}}}));
    publisher.send(channel.as_bytes(), SNDMORE).unwrap();
    publisher.send(item("for one\n"), 0).unwrap();
    client.expect_body("for one\n");
    // The item's own channel says nothing.
    publisher.send(longer.as_bytes(), SNDMORE).unwrap();
    publisher.send(tnetstring(&stream_item(&channel, "for the other\n")), 0).unwrap();
    other.expect_body("for the other\n");
    // ZeroMQ lets channels through that begin as one does.
    publisher.send(format!("{channel}-and-more").as_bytes(), SNDMORE).unwrap();
    publisher.send(item("for nobody\n"), 0).unwrap();
    publisher.send(channel.as_bytes(), SNDMORE).unwrap();
    publisher.send([&b"J"[..], br#"{"http-stream":{"content":"last\n"}}"#].concat(), 0).unwrap();
    client.expect_body("last\n");
    drop(client);
    await_change(&publisher, 0, &channel);
}

/// Waits until the publisher is told that somebody listens to `channel` (1), or nobody any more (0).
fn await_change(publisher: &Socket, kind: u8, channel: &str) {
    let wanted = [&[kind], channel.as_bytes()].concat();
    loop {
        let told = publisher.recv_bytes(0).expect("the publisher hears of the channel");
        if told == wanted {
            return;
        }
    }
}

trait SendItem {
    fn send_item(&self, item: &Value);
}

impl SendItem for Socket {
    fn send_item(&self, item: &Value) {
        self.send(tnetstring(item), 0).expect("the item is taken");
    }
}

//! WebSockets to applications that speak WebSocket themselves, and GRIP in it: prefixes and control messages.

use serde_json::json;

use crate::harness::proxy::standard;
use crate::harness::websocket_origin::{BINARY, CONTINUE, PING, PONG, Peer, Sockets, TEXT, expect_relayed};
use crate::harness::{pushpin_differs, unique};

const HOST: &str = "pass.test";

/// Both ends of a WebSocket whose application speaks GRIP, the client's first.
fn connected() -> (Peer, Peer) {
    Sockets::speaking_grip().open(standard(), HOST)
}

#[test]
fn messages_reach_the_client_without_their_prefix() {
    let (mut client, mut server) = connected();
    for text in ["hello", "", "m:twice", "c:{\"type\":\"detach\"}"] {
        server.text(&format!("m:{text}"));
        client.expect_text(text);
    }
    server.send(BINARY, b"m:\x00\xff");
    client.expect(BINARY, b"\x00\xff");
}

#[test]
fn long_messages_lose_their_prefix_only() {
    let (mut client, mut server) = connected();
    let text = "m:".repeat(50_000);
    server.text(&format!("m:{text}"));
    client.expect(TEXT, &text);
}

#[test]
fn messages_without_the_prefix_are_dropped() {
    let (mut client, mut server) = connected();
    for text in ["hello", "", "m", "M:hello", " m:hello"] {
        server.text(text);
        server.send(BINARY, text);
    }
    expect_relayed(&mut client, &mut server, "after");
}

#[test]
fn the_prefix_of_a_message_in_several_frames_is_in_the_first() {
    let (mut client, mut server) = connected();
    server.part(TEXT, "m:he");
    server.part(CONTINUE, "m:");
    server.send(CONTINUE, "llo");
    client.expect_text("hem:llo");
    server.part(BINARY, "m:");
    server.send(CONTINUE, "hello");
    client.expect(BINARY, "hello");
}

#[test]
fn a_part_of_a_message_arrives_before_the_rest_is_sent() {
    let (mut client, mut server) = connected();
    server.part(TEXT, "m:he");
    client.expect_frame(TEXT, false, "he");
    server.send(CONTINUE, "llo");
    client.expect_frame(CONTINUE, true, "llo");
}

#[test]
fn a_prefix_may_be_cut_by_the_frames_of_its_message() {
    pushpin_differs!("a prefix is looked for in the first frame alone");
    let (mut client, mut server) = connected();
    for (first, rest) in [("m", ":hello"), ("", "m:hello")] {
        server.part(TEXT, first);
        server.send(CONTINUE, rest);
        client.expect_text("hello");
    }
}

#[test]
fn all_frames_of_a_message_without_the_prefix_are_dropped() {
    pushpin_differs!("only the first frame is dropped");
    let (mut client, mut server) = connected();
    server.part(TEXT, "he");
    server.part(CONTINUE, "m:l");
    server.send(CONTINUE, "lo");
    expect_relayed(&mut client, &mut server, "after");
}

#[test]
fn the_application_may_choose_to_have_no_prefix() {
    let application = Sockets::accepting(&[("Sec-WebSocket-Extensions", "grip; message-prefix=\"\"")]);
    let (mut client, mut server) = application.open(standard(), HOST);
    server.text("m:hello");
    client.expect_text("m:hello");
    server.send(BINARY, "c:hello");
    client.expect(BINARY, "c:hello");
    // Texts that begin with this are control messages all the same.
    server.text("c:{}");
    server.text("after");
    client.expect_text("after");
}

#[test]
fn the_application_chooses_the_prefix() {
    let quoted = &[("Sec-WebSocket-Extensions", "grip; message-prefix=\">\"")];
    let bare = &[("Sec-WebSocket-Extensions", "grip;message-prefix=say-")];
    for (application, prefix) in [(Sockets::accepting(quoted), ">"), (Sockets::accepting(bare), "say-")] {
        let (mut client, mut server) = application.open(standard(), HOST);
        server.text("m:unheard");
        server.text(&format!("{prefix}hello"));
        client.expect_text("hello");
    }
}

#[test]
fn what_clients_send_is_not_changed() {
    let (mut client, mut server) = connected();
    for text in ["hello", "m:hello", "c:{\"type\":\"detach\"}", ""] {
        client.text(text);
        server.expect_text(text);
    }
    client.send(BINARY, "m:hello");
    server.expect(BINARY, "m:hello");
    client.part(TEXT, "c:");
    client.send(CONTINUE, "{}");
    server.expect_text("c:{}");
}

#[test]
fn pings_pongs_and_closes_need_no_prefix() {
    let (mut client, mut server) = connected();
    for kind in [PING, PONG] {
        server.send(kind, "");
        client.expect_frame(kind, true, "");
        client.send(kind, "");
        server.expect_frame(kind, true, "");
    }
    server.close(4001, "enough");
    client.expect_close(4001, "enough");
}

#[test]
fn a_route_without_grip_passes_everything() {
    let (mut client, mut server) = Sockets::speaking_grip().open(standard(), "unsigned.test");
    for text in ["hello", "m:hello", "c:{\"type\":\"detach\"}"] {
        server.text(text);
        client.expect_text(text);
    }
}

#[test]
fn a_control_message_that_cannot_be_read_does_no_harm() {
    let (mut client, mut server) = connected();
    for text in ["c:", "c:{", "c:[]", "c:7", "c:{}"] {
        server.text(text);
    }
    server.control(json!({"type": "no-such-thing"}));
    server.control(json!({"type": "subscribe"}));
    server.control(json!({"type": "subscribe", "channel": ""}));
    expect_relayed(&mut client, &mut server, "fine");
    client.text("fine");
    server.expect_text("fine");
}

#[test]
fn a_control_message_in_several_frames_is_dropped() {
    let (mut client, mut server) = connected();
    server.part(TEXT, "c:{\"type\":");
    server.send(CONTINUE, "\"detach\"}");
    expect_relayed(&mut client, &mut server, "attached");
    client.text("attached");
    server.expect_text("attached");
}

#[test]
fn a_control_message_between_messages_is_not_seen_by_the_client() {
    let channel = unique("ch");
    let (mut client, mut server) = connected();
    server.text("m:before");
    server.control(json!({"type": "subscribe", "channel": channel}));
    server.text("m:after");
    client.expect_text("before");
    client.expect_text("after");
}

#[test]
fn a_keep_alive_is_sent_to_a_quiet_client_again_and_again() {
    let (mut client, mut server) = connected();
    server.control(json!({"type": "keep-alive", "content": "alive", "timeout": 1}));
    client.expect_text("alive");
    client.expect_text("alive");
}

#[test]
fn a_keep_alive_may_be_a_ping() {
    let (mut client, mut server) = connected();
    let message = json!({"type": "keep-alive", "content": "p", "message-type": "ping", "timeout": 1});
    server.control(message);
    client.expect_frame(PING, true, "p");
}

#[test]
fn a_delayed_message_comes_after_what_follows_it() {
    let (mut client, mut server) = connected();
    server.control(json!({"type": "send-delayed", "content": "later", "timeout": 1}));
    expect_relayed(&mut client, &mut server, "now");
    client.expect_text("later");
}

#[test]
fn a_delayed_message_that_is_flushed_comes_at_once() {
    let (mut client, mut server) = connected();
    server.control(json!({"type": "send-delayed", "content": "later", "timeout": 3600}));
    server.control(json!({"type": "flush-delayed"}));
    client.expect_text("later");
}

#[test]
fn a_delayed_message_is_sent_when_another_takes_its_place() {
    let (mut client, mut server) = connected();
    server.control(json!({"type": "send-delayed", "content": "one", "timeout": 3600}));
    server.control(json!({"type": "send-delayed", "content": "two", "timeout": 3600}));
    client.expect_text("one");
    server.control(json!({"type": "flush-delayed"}));
    client.expect_text("two");
}

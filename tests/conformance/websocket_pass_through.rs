//! WebSockets to applications that speak WebSocket themselves, and do not speak GRIP: everything passes.

use crate::harness::proxy::standard;
use crate::harness::websocket_origin::{BINARY, CLOSE, CONTINUE, OpCode, PING, PONG, Peer, Sockets, TEXT};
use crate::harness::{pushpin_differs, unique};
use serde_json::json;

/// Both ends of a WebSocket, the client's first.
fn connected() -> (Peer, Peer) {
    Sockets::accepting(&[]).open(standard(), "pass.test")
}

/// What one end sends, the other gets, in both directions.
fn expect_both_ways(kind: OpCode, payload: &[u8]) {
    let (mut client, mut server) = connected();
    client.send(kind, payload);
    server.expect(kind, payload);
    server.send(kind, payload);
    client.expect(kind, payload);
}

/// Both ends of a WebSocket through which something has passed.
fn greeted() -> (Peer, Peer) {
    let (mut client, mut server) = connected();
    client.text("hello");
    server.expect_text("hello");
    server.text("hello");
    client.expect_text("hello");
    (client, server)
}

/// A close that came without a code may be relayed as one with that of a normal closure.
fn expect_close_without_code(end: &mut Peer) {
    let seen = end.next_frame();
    assert_eq!(seen.kind, CLOSE);
    assert!(seen.payload.is_empty() || seen.payload == 1000u16.to_be_bytes(), "{seen:?}");
}

#[test]
fn text_passes() {
    expect_both_ways(TEXT, "hello, w\u{f6}rld".as_bytes());
}

#[test]
fn binary_passes() {
    expect_both_ways(BINARY, &[0, 1, 0x7f, 0x80, 0xff]);
}

#[test]
fn empty_messages_pass() {
    expect_both_ways(TEXT, b"");
    expect_both_ways(BINARY, b"");
}

#[test]
fn long_messages_pass() {
    expect_both_ways(TEXT, &b"0123456789".repeat(10_000));
    expect_both_ways(BINARY, &b"\x00\xff\x7f\x80\x0a".repeat(20_000));
}

#[test]
fn messages_of_each_length_encoding_pass() {
    for length in [125, 126, 65_535, 65_536] {
        expect_both_ways(BINARY, &vec![b'x'; length]);
    }
}

#[test]
fn clients_mask_and_applications_do_not() {
    let (mut client, mut server) = connected();
    client.text("hello");
    server.text("hello");
    assert!(server.next_frame().masked && !client.next_frame().masked);
}

#[test]
fn frames_of_a_message_pass_as_frames() {
    let (mut client, mut server) = connected();
    let relay = |from: &mut Peer, to: &mut Peer| {
        from.part(TEXT, "he");
        to.expect_frame(TEXT, false, "he");
        from.part(CONTINUE, "l");
        to.expect_frame(CONTINUE, false, "l");
        from.send(CONTINUE, "lo");
        to.expect_frame(CONTINUE, true, "lo");
    };
    relay(&mut client, &mut server);
    relay(&mut server, &mut client);
}

#[test]
fn frames_sent_in_one_go_are_still_one_message() {
    let (mut client, mut server) = connected();
    server.raw(b"\x01\x02he\x00\x00\x00\x01l\x80\x02lo\x81\x04more");
    client.expect_text("hello");
    client.expect_text("more");
    client.part(BINARY, "a");
    client.part(CONTINUE, "b");
    client.send(CONTINUE, "");
    server.expect(BINARY, "ab");
}

#[test]
fn a_frame_that_arrives_byte_by_byte_is_one_message() {
    let (mut client, mut server) = connected();
    for byte in b"\x81\x05hello\x81\x00" {
        server.raw(&[*byte]);
    }
    client.expect_text("hello");
    client.expect_text("");
    for byte in b"\x81\x85\0\0\0\0hello" {
        client.raw(&[*byte]);
    }
    server.expect_text("hello");
}

#[test]
fn many_messages_keep_their_order() {
    let (mut client, mut server) = connected();
    for number in 0..200 {
        client.text(&number.to_string());
        server.text(&number.to_string());
    }
    for number in 0..200 {
        server.expect_text(&number.to_string());
        client.expect_text(&number.to_string());
    }
}

#[test]
fn texts_that_look_like_grip_pass() {
    let (mut client, mut server) = connected();
    for text in ["c:{\"type\":\"detach\"}", "m:hello", "c:", "m:"] {
        server.text(text);
        client.expect_text(text);
        client.text(text);
        server.expect_text(text);
    }
}

#[test]
fn nothing_can_be_subscribed_without_grip() {
    let channel = unique("ch");
    let (mut client, mut server) = connected();
    let subscribe = format!("c:{}", json!({"type": "subscribe", "channel": channel}));
    server.text(&subscribe);
    client.expect_text(&subscribe);
    standard().publish(json!({"channel": channel, "formats": {"ws-message": {"content": "unwanted"}}}));
    server.text("still here");
    client.expect_text("still here");
}

#[test]
fn pings_and_pongs_pass_and_nothing_answers_in_their_place() {
    for kind in [PING, PONG] {
        let (mut client, mut server) = connected();
        client.send(kind, "");
        client.text("after");
        server.expect_frame(kind, true, "");
        server.expect_text("after");
        server.send(kind, "");
        server.text("after");
        client.expect_frame(kind, true, "");
        client.expect_text("after");
    }
}

#[test]
fn payloads_of_pings_and_pongs_pass() {
    pushpin_differs!("pings and pongs lose their payloads");
    let longest = [b'p'; 125];
    for kind in [PING, PONG] {
        expect_both_ways(kind, b"mine");
        expect_both_ways(kind, &longest);
    }
}

#[test]
fn pings_between_the_frames_of_a_message_stay_there() {
    pushpin_differs!("a ping within a message cuts the connection");
    let (mut client, mut server) = connected();
    let relay = |from: &mut Peer, to: &mut Peer| {
        from.part(TEXT, "he");
        from.send(PING, "p");
        from.send(CONTINUE, "llo");
        to.expect_frame(TEXT, false, "he");
        to.expect_frame(PING, true, "p");
        to.expect_frame(CONTINUE, true, "llo");
    };
    relay(&mut client, &mut server);
    relay(&mut server, &mut client);
}

#[test]
fn a_close_of_the_client_reaches_the_application_and_its_answer_the_client() {
    let (mut client, mut server) = connected();
    client.close(3105, "bye");
    server.expect_close(3105, "bye");
    server.close(3105, "bye");
    client.expect_close(3105, "bye");
    client.expect_end();
}

#[test]
fn a_close_of_the_application_reaches_the_client_and_its_answer_the_application() {
    let (mut client, mut server) = connected();
    server.close(4001, "enough");
    client.expect_close(4001, "enough");
    client.close(4001, "enough");
    server.expect_close(4001, "enough");
}

#[test]
fn messages_of_a_client_arrive_before_its_close() {
    let (mut client, mut server) = connected();
    client.text("last words");
    client.close(1000, "");
    server.expect_text("last words");
    server.expect_close(1000, "");
}

#[test]
fn messages_of_an_application_arrive_before_its_close() {
    pushpin_differs!("a close overtakes the messages before it");
    for _ in 0..8 {
        let (mut client, mut server) = greeted();
        server.text("last words");
        server.close(4001, "enough");
        client.expect_text("last words");
        client.expect_close(4001, "enough");
    }
}

#[test]
fn closes_without_a_code_are_answered_likewise() {
    let (mut client, mut server) = connected();
    client.send(CLOSE, "");
    expect_close_without_code(&mut server);
    server.send(CLOSE, "");
    expect_close_without_code(&mut client);
}

#[test]
fn an_application_may_close_without_a_code() {
    let (mut client, mut server) = connected();
    server.send(CLOSE, "");
    expect_close_without_code(&mut client);
}

#[test]
fn a_close_with_the_longest_reason_passes() {
    let (mut client, mut server) = connected();
    let reason = "r".repeat(123);
    client.close(4999, &reason);
    server.expect_close(4999, &reason);
}

#[test]
fn an_application_that_vanishes_cuts_the_client() {
    let (mut client, server) = connected();
    server.vanish();
    client.expect_end();
}

#[test]
fn an_application_that_vanishes_within_a_message_cuts_the_client() {
    let (mut client, mut server) = connected();
    server.part(TEXT, "he");
    client.expect_frame(TEXT, false, "he");
    server.vanish();
    client.expect_end();
}

#[test]
fn what_an_application_sends_before_it_vanishes_arrives() {
    pushpin_differs!("the end overtakes the messages before it");
    for _ in 0..8 {
        let (mut client, mut server) = greeted();
        server.text("last words");
        server.vanish();
        client.expect_text("last words");
        client.expect_end();
    }
}

#[test]
fn a_client_that_vanishes_is_no_longer_there_for_the_application() {
    let (client, mut server) = connected();
    client.vanish();
    server.expect_closing();
}

#[test]
fn a_client_that_does_not_mask_is_cut_and_not_heard() {
    pushpin_differs!("frames of clients need no mask");
    let (mut client, mut server) = connected();
    client.raw(b"\x81\x05hello");
    client.expect_closing();
    server.expect_closing();
}

#[test]
fn a_frame_of_an_unknown_kind_cuts_the_connection() {
    let (mut client, mut server) = connected();
    client.raw(b"\x83\x80mask");
    client.expect_closing();
    server.expect_closing();
}

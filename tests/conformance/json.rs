//! JSON that strict readers refuse and that has always been understood: with a byte order mark before it, or with
//! halves of characters in its texts.

use serde_json::json;

use crate::harness::client::Client;
use crate::harness::origin::{Answer, Page};
use crate::harness::proxy::standard;
use crate::harness::publisher::stream_item;
use crate::harness::request::get;
use crate::harness::zeromq;
use crate::harness::{pushpin_differs, unique};

macro_rules! another_replacement_there {
    () => {
        pushpin_differs!("1.36 puts a question mark in place of half a character")
    };
}

const MARK: &str = "\u{feff}";

/// A publish call whose content is `content` as JSON has it, between the quotes.
fn call(channel: &str, content: &str) -> String {
    let item = stream_item(channel, "CONTENT");
    json!({"items": [item]}).to_string().replace("CONTENT", content)
}

/// A client that is held as `instruct` says.
fn instructed(instruct: String) -> Client {
    let answer = Answer::new(200, "OK").header("Content-Type", "application/grip-instruct").body(instruct);
    let mut client = standard().ask(&get(&Page::answering(answer).path));
    client.head();
    client
}

#[test]
fn a_publish_call_may_begin_with_a_byte_order_mark() {
    let channel = unique("ch");
    let mut client = standard().stream(&channel);
    let response = standard().post_publish(&(MARK.to_owned() + &call(&channel, "marked")));
    assert_eq!((response.code, response.text()), (200, "Published\n"));
    client.expect_body("marked");
}

#[test]
fn halves_of_characters_are_published_as_replacement_characters() {
    another_replacement_there!();
    let channel = unique("ch");
    let mut client = standard().stream(&channel);
    for (content, expected) in [
        (r"a\ud83dz", "a\u{fffd}z"),
        (r"a\ude00z", "a\u{fffd}z"),
        (r"\ud83d\ud83d\ude00", "\u{fffd}\u{1f600}"),
        (r"\ude00\ud83d!", "\u{fffd}\u{fffd}!"),
        (r"\ud83d\u00e9", "\u{fffd}\u{e9}"),
        (r"\\ud83d", r"\ud83d"),
    ] {
        let response = standard().post_publish(&call(&channel, content));
        assert_eq!((response.code, response.text()), (200, "Published\n"), "{content}");
        client.expect_body(expected);
    }
}

/// The client of a stream gets `content`, which stands between the quotes of an item by ZeroMQ.
fn by_zeromq(mark: &str, content: &str, expected: &str) {
    let channel = unique("ch");
    let mut client = standard().stream(&channel);
    let socket = zeromq::connect(standard(), zmq::SocketType::PUSH, "pull");
    let item = stream_item(&channel, "CONTENT").to_string().replace("CONTENT", content);
    socket.send(&format!("J{mark}{item}"), 0).expect("an item is taken");
    client.expect_body(expected);
}

#[test]
fn an_item_by_zeromq_may_begin_with_a_byte_order_mark() {
    by_zeromq(MARK, "marked", "marked");
}

#[test]
fn an_item_by_zeromq_may_have_halves_of_characters() {
    another_replacement_there!();
    by_zeromq("", r"\ud83d", "\u{fffd}");
}

#[test]
fn an_instruction_may_begin_with_a_byte_order_mark() {
    let channel = unique("ch");
    let mut client =
        instructed(format!(r#"{MARK}{{"hold":{{"mode":"stream","channels":[{{"name":"{channel}"}}]}}}}"#));
    standard().publish_stream(&channel, "held\n");
    client.expect_body("held\n");
}

#[test]
fn an_instruction_may_have_halves_of_characters() {
    another_replacement_there!();
    let channel = unique("ch");
    let mut client = instructed(format!(
        r#"{{"hold":{{"mode":"stream","channels":[{{"name":"{channel}"}}]}},"response":{{"body":"\ud83d\n"}}}}"#
    ));
    client.expect_body("\u{fffd}\n");
    standard().publish_stream(&channel, "held\n");
    client.expect_body("held\n");
}

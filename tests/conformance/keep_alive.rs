//! Grip-Keep-Alive: content that a held stream gets of its own accord, so that nobody in between thinks it dead.
//!
//! These cases take as long as the timeouts they ask for. They await the content and never assert that it came early.
//! Pushpin shortens each wait by up to a second at random, hence timeouts of two seconds where a message must be first.

use std::thread;
use std::time::{Duration, Instant};

use crate::harness::client::Client;
use crate::harness::origin::{Answer, Page};
use crate::harness::patience;
use crate::harness::proxy::standard;
use crate::harness::request::get;
use crate::harness::unique;

/// A client of a stream with this keep-alive, and its channel.
fn kept_alive(keep_alive: &str) -> (Client, String) {
    let channel = unique("ch");
    let answer = Answer::text("[opened]\n")
        .header("Grip-Hold", "stream")
        .header("Grip-Channel", &channel)
        .header("Grip-Keep-Alive", keep_alive);
    let page = Page::answering(answer);
    let mut client = standard().ask(&get(&page.path));
    let head = client.head();
    assert!(!head.headers.has("Grip-Keep-Alive"));
    client.expect_body("[opened]\n");
    (client, channel)
}

#[test]
fn an_idle_stream_gets_its_keep_alive_again_and_again() {
    let (mut client, _) = kept_alive("beat; timeout=1");
    client.expect_body("beatbeatbeat");
}

#[test]
fn a_raw_keep_alive_is_sent_as_it_stands() {
    let (mut client, _) = kept_alive("a b\\n; format=raw; timeout=1");
    client.expect_body("a b\\n");
}

#[test]
fn a_cstring_keep_alive_is_unescaped() {
    let (mut client, _) = kept_alive(":\\r\\n\\x41\\\\; format=cstring; timeout=1");
    client.expect_body(":\r\nA\\");
}

#[test]
fn a_base64_keep_alive_is_decoded() {
    let (mut client, _) = kept_alive("AAH/Cg==; format=base64; timeout=1");
    client.expect_body([0, 1, 255, b'\n']);
}

#[test]
fn an_idle_keep_alive_waits_while_messages_come() {
    let (mut client, channel) = kept_alive("beat; timeout=4; mode=idle");
    let begun = Instant::now();
    let mut number = 0;
    // Longer than the timeout, with gaps far shorter than it: only a wait that starts over stays silent.
    while begun.elapsed() < Duration::from_millis(5_000) {
        let message = format!("message {number}\n");
        standard().publish_stream(&channel, &message);
        client.expect_body(&message);
        number += 1;
        thread::sleep(Duration::from_millis(200));
    }
    client.expect_body("beat");
}

#[test]
fn an_interval_keep_alive_comes_however_many_messages_come() {
    let (mut client, channel) = kept_alive("beat; timeout=2; mode=interval");
    let begun = Instant::now();
    let mut got = String::new();
    // The gaps are far shorter than the timeout, so a wait that starts over would never end.
    while !got.contains("beat") {
        assert!(begun.elapsed() < patience(), "no keep-alive in {got:?}");
        standard().publish_stream(&channel, "message ");
        got += &client.body_within(patience()).expect("the message");
        thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(got.replace("message ", "").replace("beat", ""), "");
}

#[test]
fn a_message_does_not_end_a_keep_alive() {
    let (mut client, channel) = kept_alive("beat; timeout=2");
    standard().publish_stream(&channel, "message\n");
    client.expect_body("message\nbeatbeat");
}

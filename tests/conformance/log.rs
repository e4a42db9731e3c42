//! What the log tells of requests, subscriptions and messages.

use crate::harness::origin::{Answer, Page};
use crate::harness::proxy::standard;
use crate::harness::publisher::stream_item;
use crate::harness::request::get;
use crate::harness::{pushpin_differs, unique};

/// Waits for a line of the log with all of `words`.
fn expect_line(words: &[&str]) {
    standard().log().await_words(words);
}

#[test]
fn a_request_its_subscription_and_its_messages_have_a_line_each() {
    pushpin_differs!("it tells the same in other words");
    let channel = unique("ch");
    let hold = Answer::text("[opened]\n").header("Grip-Hold", "stream").header("Grip-Channel", &channel);
    let page = Page::answering(hold);
    let request = get(&page.path).header("User-Agent", "some agent").header("X-Forwarded-For", "10.1.2.3");
    let mut client = standard().ask(&request);
    client.head();
    client.expect_body("[opened]\n");
    let quoted = format!("channel=\"{channel}\"");
    expect_line(&["accepted", &page.path, "from=127.0.0.1", "status=200"]);
    expect_line(&[&page.path, "forwarded_for=\"10.1.2.3\"", "user_agent=\"some agent\""]);
    expect_line(&["subscribed", &page.path, &quoted]);
    let mut item = stream_item(&channel, "x");
    item["id"] = "some-id".into();
    standard().publish(item);
    expect_line(&["published", &quoted, "id=\"some-id\"", "receivers=1"]);
    let nobody = unique("ch");
    standard().publish(stream_item(&nobody, "x"));
    expect_line(&["published", &format!("channel=\"{nobody}\""), "receivers=0"]);
}

//! What the log tells of requests, subscriptions and messages.

use crate::harness::client::Client;
use crate::harness::origin::{Answer, Page};
use crate::harness::proxy::{proxied, standard};
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

#[test]
fn lines_are_without_queries() {
    pushpin_differs!("its lines have queries");
    let page = Page::answering(Answer::text("x"));
    assert_eq!(standard().fetch(&get(format!("{}?token=of-{}", page.path, page.path))).code, 200);
    let down = unique("/down");
    let failed = get(format!("{down}?token=of-{down}")).host("down.test");
    assert_eq!(standard().fetch(&failed).code, 502);
    expect_line(&["answered", &format!("target=\"{}\"", page.path)]);
    expect_line(&["failed", &format!("target=\"{down}\"")]);
    assert!(!standard().log().has("token=of-"), "a query is in the log");
}

#[test]
fn the_client_behind_a_trusted_proxy_is_named() {
    pushpin_differs!("it names the first address that a client says");
    let page = Page::answering(Answer::text("x"));
    let request = get(&page.path).header("X-Forwarded-For", "6.6.6.6, 203.0.113.9, 10.0.0.2");
    let mut client = Client::connect(proxied().http);
    client.send([b"PROXY TCP4 10.0.0.1 10.0.0.9 4711 80\r\n", &request.bytes()[..]].concat());
    assert_eq!(client.response().code, 200);
    proxied().log().await_words(&["answered", &page.path, "from=10.0.0.1", "client=203.0.113.9"]);
}

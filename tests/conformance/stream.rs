//! Stream holds: an answer that begins at once and grows with every message, until a message closes it.

use serde_json::json;

use crate::harness::client::{Client, Head};
use crate::harness::origin::{Answer, Page};
use crate::harness::proxy::standard;
use crate::harness::publisher::{response_item, stream_item};
use crate::harness::request::{get, request};
use crate::harness::unique;

/// An answer that opens a stream on `channel`.
fn streaming(channel: &str) -> Answer {
    Answer::text("[opened]\n").header("Grip-Hold", "stream").header("Grip-Channel", channel)
}

/// A client that has got the head and the first content of `answer`'s stream.
fn opened(answer: Answer) -> (Client, Head) {
    let page = Page::answering(answer);
    let mut client = standard().ask(&get(&page.path));
    let head = client.head();
    client.expect_body("[opened]\n");
    (client, head)
}

fn close_item(channel: &str) -> serde_json::Value {
    json!({"channel": channel, "formats": {"http-stream": {"action": "close"}}})
}

#[test]
fn a_stream_begins_with_the_origins_head_and_body() {
    let channel = unique("ch");
    let (_client, head) = opened(streaming(&channel).header("X-A", "1").header("Cache-Control", "no-cache"));
    assert_eq!((head.code, head.reason.as_str()), (200, "OK"));
    assert_eq!(head.headers.get("Content-Type"), Some("text/plain"));
    assert_eq!(head.headers.get("X-A"), Some("1"));
    assert_eq!(head.headers.get("Cache-Control"), Some("no-cache"));
    assert_eq!(head.headers.get("Transfer-Encoding"), Some("chunked"));
    assert!(!head.headers.has("Content-Length"), "nobody knows the length");
    assert!(head.headers.starting_with("Grip-").is_empty(), "{:?}", head.headers);
}

#[test]
fn messages_are_appended_in_the_order_of_publishing() {
    let channel = unique("ch");
    let (mut client, _) = opened(streaming(&channel));
    for number in 0..50 {
        standard().publish_stream(&channel, &format!("message {number}\n"));
    }
    for number in 0..50 {
        client.expect_body(format!("message {number}\n"));
    }
}

#[test]
fn items_of_one_call_are_appended_in_their_order() {
    let channel = unique("ch");
    let (mut client, _) = opened(streaming(&channel));
    let items: Vec<_> = (0..50).map(|number| stream_item(&channel, &format!("item {number}\n"))).collect();
    standard().publish(json!(items));
    for number in 0..50 {
        client.expect_body(format!("item {number}\n"));
    }
}

#[test]
fn a_stream_without_initial_content_sends_its_head_at_once() {
    let channel = unique("ch");
    let page = Page::answering(streaming(&channel).body(""));
    let mut client = standard().ask(&get(&page.path));
    assert_eq!(client.head().code, 200);
    standard().publish_stream(&channel, "first\n");
    client.expect_body("first\n");
}

#[test]
fn close_ends_a_stream_cleanly_and_the_connection_is_usable() {
    let channel = unique("ch");
    let (mut client, _) = opened(streaming(&channel));
    standard().publish(json!([stream_item(&channel, "last words\n"), close_item(&channel)]));
    client.expect_body("last words\n");
    client.expect_body_end();
    let next = Page::answering(Answer::text("next\n"));
    assert_eq!(client.send(get(&next.path).bytes()).response().text(), "next\n");
}

#[test]
fn a_message_reaches_every_stream_of_its_channel() {
    let channel = unique("ch");
    let mut clients: Vec<Client> = (0..5).map(|_| opened(streaming(&channel)).0).collect();
    standard().publish_stream(&channel, "for all\n");
    for client in &mut clients {
        client.expect_body("for all\n");
    }
}

#[test]
fn a_stream_gets_the_messages_of_all_its_channels_and_of_no_others() {
    let (one, two, three, foreign) = (unique("ch"), unique("ch"), unique("ch"), unique("ch"));
    let answer = streaming(&format!("{one}, {two}")).header("Grip-Channel", &three);
    let (mut client, _) = opened(answer);
    for channel in [&one, &two, &three] {
        standard().publish_stream(&foreign, "unwanted\n");
        standard().publish_stream(channel, &format!("on {channel}\n"));
        client.expect_body(format!("on {channel}\n"));
    }
}

#[test]
fn a_channel_named_twice_delivers_once() {
    let channel = unique("ch");
    let (mut client, _) = opened(streaming(&format!("{channel}, {channel}")));
    standard().publish_stream(&channel, "once\n");
    standard().publish_stream(&channel, "then this\n");
    client.expect_body("once\nthen this\n");
}

#[test]
fn a_channels_name_may_hold_any_printable_character() {
    let channel = format!("{}/a.b:c_d~(e)#é漢", unique("ch"));
    let (mut client, _) = opened(streaming(&channel));
    standard().publish_stream(&channel, "found\n");
    client.expect_body("found\n");
}

#[test]
fn a_message_for_long_polls_reaches_no_stream() {
    let channel = unique("ch");
    let (mut client, _) = opened(streaming(&channel));
    standard().publish(json!([
        response_item(&channel, "for long polls\n"),
        stream_item(&channel, "for streams\n")
    ]));
    client.expect_body("for streams\n");
}

#[test]
fn one_item_may_carry_both_formats() {
    let channel = unique("ch");
    let (mut stream, _) = opened(streaming(&channel));
    let held =
        Page::answering(Answer::text("x").header("Grip-Hold", "response").header("Grip-Channel", &channel));
    let mut long_poll = standard().ask(&get(&held.path));
    let formats = json!({"http-response": {"body": "body\n"}, "http-stream": {"content": "content\n"}});
    standard().publish_until_answered(&mut long_poll, json!({"channel": channel, "formats": formats}));
    assert_eq!(long_poll.response().text(), "body\n");
    stream.expect_body("content\n");
}

#[test]
fn a_message_published_before_the_stream_opened_is_not_in_it() {
    let channel = unique("ch");
    standard().publish_stream(&channel, "too early\n");
    let (mut client, _) = opened(streaming(&channel));
    standard().publish_stream(&channel, "in time\n");
    client.expect_body("in time\n");
}

#[test]
fn a_large_message_arrives_unchanged() {
    let channel = unique("ch");
    let (mut client, _) = opened(streaming(&channel));
    let content: String = (0..9_000).map(|number| format!("{number:06}.")).collect();
    standard().publish_stream(&channel, &content);
    client.expect_body(&content);
    standard().publish_stream(&channel, "after it\n");
    client.expect_body("after it\n");
}

#[test]
fn a_stream_to_an_http_1_0_client_ends_with_the_connection() {
    let channel = unique("ch");
    let page = Page::answering(streaming(&channel));
    let mut client = standard().ask(&get(&page.path).http_1_0());
    let head = client.head();
    assert!(!head.headers.has("Transfer-Encoding"), "HTTP/1.0 knows no chunks");
    assert!(!head.headers.has("Content-Length"));
    client.expect_body("[opened]\n");
    standard().publish_stream(&channel, "plain bytes\n");
    client.expect_body("plain bytes\n");
    standard().publish(close_item(&channel));
    client.expect_body_end();
}

#[test]
fn a_stream_with_connection_close_is_chunked_and_then_closed() {
    let channel = unique("ch");
    let page = Page::answering(streaming(&channel));
    let mut client = standard().ask(&get(&page.path).header("Connection", "close"));
    assert_eq!(client.head().headers.get("Transfer-Encoding"), Some("chunked"));
    client.expect_body("[opened]\n");
    standard().publish(close_item(&channel));
    client.expect_body_end();
    client.expect_closed();
}

#[test]
fn a_stream_may_answer_a_post() {
    let channel = unique("ch");
    let page = Page::answering(streaming(&channel));
    let mut client = standard().ask(&request("POST", &page.path).body("subscribe"));
    assert_eq!(client.head().code, 200);
    client.expect_body("[opened]\n");
    standard().publish_stream(&channel, "posted\n");
    client.expect_body("posted\n");
}

#[test]
fn server_sent_events_pass_byte_for_byte() {
    let channel = unique("ch");
    let answer = streaming(&channel).header("Cache-Control", "no-cache").body("[opened]\n");
    let page = Page::answering(answer);
    let mut client = standard().ask(&get(&page.path).header("Accept", "text/event-stream"));
    client.head();
    client.expect_body("[opened]\n");
    let event = "id: 7\nevent: update\ndata: {\"a\": 1}\ndata: zwölf\n\n";
    standard().publish_stream(&channel, event);
    client.expect_body(event);
    assert_eq!(page.request().headers.get("Accept"), Some("text/event-stream"));
}

#[test]
fn a_subscriber_that_left_disturbs_nobody() {
    let channel = unique("ch");
    let (leaver, _) = opened(streaming(&channel));
    let (mut client, _) = opened(streaming(&channel));
    drop(leaver);
    for number in 0..10 {
        standard().publish_stream(&channel, &format!("message {number}\n"));
        client.expect_body(format!("message {number}\n"));
    }
}

#[test]
fn a_hint_without_a_next_link_leaves_a_stream_as_it_is() {
    let channel = unique("ch");
    let (mut client, _) = opened(streaming(&channel));
    let hint = json!({"channel": channel, "formats": {"http-stream": {"action": "hint"}}});
    standard().publish(json!([hint, stream_item(&channel, "after the hint\n")]));
    client.expect_body("after the hint\n");
}

#[test]
fn a_connection_serves_plain_requests_before_a_stream() {
    let channel = unique("ch");
    let (plain, page) = (Page::answering(Answer::text("plain\n")), Page::answering(streaming(&channel)));
    let mut client = standard().connect();
    assert_eq!(client.send(get(&plain.path).bytes()).response().text(), "plain\n");
    assert_eq!(client.send(get(&page.path).bytes()).head().code, 200);
    client.expect_body("[opened]\n");
    standard().publish_stream(&channel, "streamed\n");
    client.expect_body("streamed\n");
}

#[test]
fn a_request_pipelined_behind_a_stream_is_answered_after_it() {
    let channel = unique("ch");
    let (page, behind) = (Page::answering(streaming(&channel)), Page::answering(Answer::text("behind\n")));
    let mut client = standard().ask(&get(&page.path));
    client.send(get(&behind.path).bytes());
    client.head();
    client.expect_body("[opened]\n");
    standard().publish(json!([stream_item(&channel, "streamed\n"), close_item(&channel)]));
    client.expect_body("streamed\n");
    client.expect_body_end();
    assert_eq!(client.response().text(), "behind\n");
}

#[test]
fn at_most_twenty_channels_are_subscribed() {
    let channels: Vec<String> = (0..21).map(|_| unique("ch")).collect();
    let (mut client, _) = opened(streaming(&channels.join(", ")));
    standard().publish_stream(&channels[20], "the twenty-first\n");
    standard().publish_stream(&channels[19], "the twentieth\n");
    client.expect_body("the twentieth\n");
}

#[test]
fn a_stream_may_begin_with_more_than_100_kilobytes() {
    let channel = unique("ch");
    let start = "x".repeat(150_000);
    let page = Page::answering(streaming(&channel).body(start.clone()));
    let mut client = standard().ask(&get(&page.path));
    assert_eq!(client.head().code, 200);
    client.expect_body(&start);
    standard().publish_until_streamed(&mut client, &channel, "after it\n");
}

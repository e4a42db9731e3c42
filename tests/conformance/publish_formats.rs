//! What a publication may carry, and what becomes of it at a held request: codes, headers, bodies, patches.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::client::Response;
use crate::harness::origin::{Answer, Page};
use crate::harness::proxy::standard;
use crate::harness::publisher::response_item;
use crate::harness::request::get;
use crate::harness::{pushpin_differs, unique};

/// The answer to a request held by `answer`, when `format` is published as http-response.
fn answered(answer: Answer, format: Value) -> Response {
    let channel = unique("ch");
    let page = Page::answering(answer.header("Grip-Hold", "response").header("Grip-Channel", &channel));
    let mut client = standard().ask(&get(&page.path));
    standard().publish_until_answered(
        &mut client,
        json!({"channel": channel, "formats": {"http-response": format}}),
    );
    client.response()
}

/// What a stream gets when `item`, less its channel, is published; a message follows so that the end shows.
fn streamed(item: Value, expected: impl AsRef<[u8]>) {
    let channel = unique("ch");
    let mut client = standard().stream(&channel);
    let mut item = item;
    item["channel"] = json!(channel);
    standard().publish(item);
    standard().publish_stream(&channel, "end");
    client.expect_body([expected.as_ref(), b"end"].concat());
}

#[test]
fn a_response_may_have_a_code_and_a_reason() {
    let response =
        answered(Answer::text("x"), json!({"code": 404, "reason": "Not Any More", "body": "gone\n"}));
    assert_eq!((response.code, response.reason.as_str(), response.text()), (404, "Not Any More", "gone\n"));
}

#[test]
fn a_responses_reason_is_the_standard_one_by_default() {
    let response = answered(Answer::text("x"), json!({"code": 503, "body": "later\n"}));
    assert_eq!((response.code, response.reason.as_str()), (503, "Service Unavailable"));
}

#[test]
fn a_response_is_a_200_by_default_whatever_the_origin_said() {
    let response = answered(Answer::new(304, "Not Modified"), json!({"body": "new\n"}));
    assert_eq!((response.code, response.reason.as_str(), response.text()), (200, "OK", "new\n"));
}

#[test]
fn published_headers_replace_those_of_the_origin_and_the_others_stay() {
    let origin = Answer::text("x").header("X-Same", "origin").header("X-A", "1").header("ETag", "\"v1\"");
    let headers = json!({"x-same": "published", "X-B": "2"});
    let response = answered(origin, json!({"headers": headers, "body": "pub\n"}));
    assert_eq!(response.headers.all("X-Same"), ["published"]);
    assert_eq!(response.headers.get("X-A"), Some("1"));
    assert_eq!(response.headers.get("X-B"), Some("2"));
    assert_eq!(response.headers.get("ETag"), Some("\"v1\""));
    assert_eq!(response.headers.get("Content-Type"), Some("text/plain"));
    assert_eq!(response.headers.get("Content-Length"), Some("4"), "that of the published body");
}

#[test]
fn published_headers_may_be_pairs_and_repeat() {
    let headers = json!([["Set-Cookie", "a=1"], ["Set-Cookie", "b=2"], ["Content-Type", "application/json"]]);
    let response =
        answered(Answer::text("x").header("Set-Cookie", "c=3"), json!({"headers": headers, "body": "{}"}));
    assert_eq!(response.headers.all("Set-Cookie"), ["a=1", "b=2"]);
    assert_eq!(response.headers.get("Content-Type"), Some("application/json"));
}

#[test]
fn a_published_content_length_does_not_misframe_the_answer() {
    let response = answered(Answer::text("x"), json!({"headers": {"Content-Length": "1"}, "body": "four"}));
    assert_eq!((response.headers.get("Content-Length"), response.text()), (Some("4"), "four"));
}

#[test]
fn a_response_may_be_empty() {
    let response = answered(Answer::text("not this\n"), json!({"body": ""}));
    assert_eq!((response.code, response.text()), (200, ""));
    assert_eq!(response.headers.get("Content-Length"), Some("0"));
}

#[test]
fn a_body_bin_is_decoded() {
    let response = answered(Answer::text("x"), json!({"body-bin": "AAH/Cg=="}));
    assert_eq!(response.body, [0, 1, 255, b'\n']);
    assert_eq!(response.headers.get("Content-Length"), Some("4"));
}

#[test]
fn a_body_is_sent_as_utf_8() {
    let response = answered(Answer::text("x"), json!({"body": "zwölf Boxkämpfer, 漢字, 🦀\n"}));
    assert_eq!(response.text(), "zwölf Boxkämpfer, 漢字, 🦀\n");
}

#[test]
fn a_large_body_arrives_unchanged() {
    let body: String = (0..40_000).map(|number| format!("{number:06}.")).collect();
    assert!(answered(Answer::text("x"), json!({"body": body})).text() == body, "the bodies differ");
}

#[test]
fn a_body_patch_is_applied_to_the_origins_body() {
    let origin = Answer::new(200, "OK").header("Content-Type", "application/json");
    let patch = json!([
        {"op": "test", "path": "/list/0", "value": 1},
        {"op": "add", "path": "/list/-", "value": 2},
        {"op": "replace", "path": "/name", "value": "new"},
        {"op": "copy", "from": "/name", "path": "/copied"},
        {"op": "move", "from": "/old", "path": "/moved"},
        {"op": "remove", "path": "/gone"}
    ]);
    let before = json!({"list": [1], "name": "then", "old": true, "gone": 0}).to_string();
    let response = answered(origin.body(before), json!({"body-patch": patch}));
    let after: Value = serde_json::from_slice(&response.body).expect("JSON");
    assert_eq!(after, json!({"list": [1, 2], "name": "new", "copied": "new", "moved": true}));
    assert_eq!(response.headers.get("Content-Length"), Some(response.body.len().to_string().as_str()));
    assert_eq!(response.headers.get("Content-Type"), Some("application/json"));
}

#[test]
fn a_patched_body_keeps_its_final_newline() {
    let origin = Answer::new(200, "OK").body("{\"a\": 1}\n");
    let response = answered(origin, json!({"body-patch": [{"op": "replace", "path": "/a", "value": 2}]}));
    let text = response.text();
    assert_eq!(serde_json::from_str::<Value>(text).expect("JSON"), json!({"a": 2}));
    assert!(text.ends_with("}\n"), "{text:?}");
}

#[test]
fn a_streams_content_is_appended_as_utf_8() {
    streamed(json!({"formats": {"http-stream": {"content": "zwölf 漢字\n"}}}), "zwölf 漢字\n");
}

#[test]
fn a_content_bin_is_decoded() {
    streamed(json!({"formats": {"http-stream": {"content-bin": "AAH/Cg=="}}}), [0, 1, 255, b'\n']);
}

#[test]
fn an_action_may_be_said_to_be_send() {
    streamed(json!({"formats": {"http-stream": {"action": "send", "content": "sent\n"}}}), "sent\n");
}

#[test]
fn an_empty_content_appends_nothing_and_ends_nothing() {
    streamed(json!({"formats": {"http-stream": {"content": ""}}}), "");
}

#[test]
fn formats_may_stand_at_the_item_itself() {
    streamed(json!({"http-stream": {"content": "legacy\n"}}), "legacy\n");
}

#[test]
fn unknown_fields_and_formats_are_ignored() {
    let formats = json!({"http-stream": {"content": "known\n", "unknown": 1}, "x-unheard-of": {"a": 1}});
    streamed(
        json!({"formats": formats, "user": "nobody", "meta": {"a": "1"}, "no-seq": true, "size": 5}),
        "known\n",
    );
}

#[test]
fn an_item_with_an_id_is_delivered() {
    streamed(
        json!({"id": unique("id"), "formats": {"http-stream": {"content": "with an id\n"}}}),
        "with an id\n",
    );
}

#[test]
fn a_message_of_close_for_streams_alone_spares_long_polls() {
    let channel = unique("ch");
    let page =
        Page::answering(Answer::text("x").header("Grip-Hold", "response").header("Grip-Channel", &channel));
    let mut client = standard().ask(&get(&page.path));
    let close = json!({"channel": channel, "formats": {"http-stream": {"action": "close"}}});
    let send = json!({"channel": channel, "formats": {"http-response": {"body": "spared\n"}}});
    standard().publish_until_answered(&mut client, json!([close, send]));
    assert_eq!(client.response().text(), "spared\n");
}

#[test]
fn a_header_with_a_line_end_in_it_cannot_split_the_answer() {
    pushpin_differs!("published header values are written as they are, line ends included");
    let channel = unique("ch");
    let page =
        Page::answering(Answer::text("x").header("Grip-Hold", "response").header("Grip-Channel", &channel));
    let mut client = standard().ask(&get(&page.path));
    let format = json!({"headers": {"X-Split": "a\r\nX-Injected: yes"}, "body": "whole\n"});
    let split = json!({"items": [{"channel": channel, "formats": {"http-response": format}}]}).to_string();
    // The publisher may be refused, or the value made harmless; the client must not see a header of its own.
    while standard().post_publish(&split).code == 200 {
        if client.answered_within(Duration::from_millis(50)) {
            let response = client.response();
            assert!(!response.headers.has("X-Injected"), "{:?}", response.headers);
            assert_eq!(response.text(), "whole\n");
            return;
        }
    }
    standard().publish_until_answered(&mut client, response_item(&channel, "unharmed\n"));
    assert_eq!(client.response().text(), "unharmed\n");
}

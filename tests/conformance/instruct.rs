//! Instructions: what an origin may say by Grip-* headers or by a body of `application/grip-instruct`, and what of
//! its answer the client sees.

use serde_json::{Value, json};

use crate::harness::origin::{Answer, Page};
use crate::harness::proxy::standard;
use crate::harness::publisher::response_item;
use crate::harness::request::{get, request};
use crate::harness::unique;

fn instruct(instruct: Value) -> Page {
    Page::answering(
        Answer::new(200, "OK").header("Content-Type", "application/grip-instruct").body(instruct.to_string()),
    )
}

#[test]
fn a_json_hold_is_for_a_response_unless_it_says_stream() {
    let channel = unique("ch");
    let page = instruct(json!({"hold": {"channels": [{"name": channel}]}}));
    let mut client = standard().ask(&get(&page.path));
    standard().publish_until_answered(&mut client, response_item(&channel, "published\n"));
    let response = client.response();
    assert_eq!((response.code, response.text()), (200, "published\n"));
    assert!(
        !response.headers.lists("Content-Type", "application/grip-instruct"),
        "that was not for the client"
    );
}

#[test]
fn a_json_hold_may_be_a_stream() {
    let channel = unique("ch");
    let page = instruct(json!({
        "hold": {"mode": "stream", "channels": [{"name": channel}]},
        "response": {"code": 201, "reason": "Opened", "headers": {"X-A": "1"}, "body": "[opened]\n"}
    }));
    let mut client = standard().ask(&get(&page.path));
    let head = client.head();
    assert_eq!((head.code, head.reason.as_str(), head.headers.get("X-A")), (201, "Opened", Some("1")));
    client.expect_body("[opened]\n");
    standard().publish_stream(&channel, "published\n");
    client.expect_body("published\n");
}

#[test]
fn a_json_hold_that_times_out_answers_with_its_response() {
    let page = instruct(json!({
        "hold": {"mode": "response", "channels": [{"name": unique("ch")}], "timeout": 5},
        "response": {"code": 201, "headers": {"X-Z": "1"}, "body": "t\n"}
    }));
    let response = standard().fetch(&get(&page.path));
    assert_eq!((response.code, response.reason.as_str(), response.text()), (201, "Created", "t\n"));
    assert_eq!(response.headers.get("X-Z"), Some("1"));
    assert_eq!(response.headers.get("Content-Length"), Some("2"));
}

#[test]
fn a_json_hold_may_name_several_channels() {
    let (one, two) = (unique("ch"), unique("ch"));
    let page = instruct(json!({"hold": {"mode": "stream", "channels": [{"name": one}, {"name": two}]}}));
    let mut client = standard().ask(&get(&page.path));
    assert_eq!(client.head().code, 200);
    for (channel, content) in [(&two, "two"), (&one, "one")] {
        standard().publish_stream(channel, content);
        client.expect_body(content);
    }
}

#[test]
fn a_json_response_may_list_headers_as_pairs_and_encode_its_body() {
    let page = instruct(json!({
        "hold": {"mode": "stream", "channels": [{"name": unique("ch")}]},
        "response": {"headers": [["X-Many", "1"], ["X-Many", "2"]], "body-bin": "AAH/Cg=="}
    }));
    let mut client = standard().ask(&get(&page.path));
    assert_eq!(client.head().headers.all("X-Many"), ["1", "2"]);
    client.expect_body([0, 1, 255, b'\n']);
}

#[test]
fn a_json_keep_alive_is_sent() {
    let page = instruct(json!({
        "hold": {
            "mode": "stream",
            "channels": [{"name": unique("ch")}],
            "keep-alive": {"content-bin": "OgoK", "timeout": 1}
        }
    }));
    let mut client = standard().ask(&get(&page.path));
    assert_eq!(client.head().code, 200);
    client.expect_body(":\n\n:\n\n");
}

#[test]
fn a_json_instruct_without_a_hold_is_answered_at_once() {
    let page = instruct(
        json!({"response": {"code": 404, "reason": "Nothing", "headers": {"X-A": "1"}, "body": "no\n"}}),
    );
    let response = standard().fetch(&get(&page.path));
    assert_eq!((response.code, response.reason.as_str(), response.text()), (404, "Nothing", "no\n"));
    assert_eq!(response.headers.get("X-A"), Some("1"));
}

#[test]
fn the_type_of_an_instruct_may_have_parameters() {
    let channel = unique("ch");
    let hold = json!({"hold": {"mode": "stream", "channels": [{"name": channel}]}}).to_string();
    let page = Page::answering(
        Answer::new(200, "OK").header("Content-Type", "application/grip-instruct; charset=utf-8").body(hold),
    );
    let mut client = standard().ask(&get(&page.path));
    assert_eq!(client.head().code, 200);
    standard().publish_stream(&channel, "held\n");
    client.expect_body("held\n");
}

#[test]
fn a_channel_of_the_headers_is_kept_beside_those_of_the_json() {
    let (in_header, in_json) = (unique("ch"), unique("ch"));
    let hold = json!({"hold": {"mode": "stream", "channels": [{"name": in_json}]}}).to_string();
    let page = Page::answering(
        Answer::new(200, "OK")
            .header("Content-Type", "application/grip-instruct")
            .header("Grip-Channel", &in_header)
            .body(hold),
    );
    let mut client = standard().ask(&get(&page.path));
    assert_eq!(client.head().code, 200);
    for (channel, content) in [(&in_header, "header"), (&in_json, "json")] {
        standard().publish_stream(channel, content);
        client.expect_body(content);
    }
}

#[test]
fn without_a_hold_the_answer_passes_at_once_and_without_instructions() {
    let page = Page::answering(
        Answer::text("passed\n")
            .header("Grip-Channel", &unique("ch"))
            .header("X-A", "1")
            .header("grip-made-up", "x"),
    );
    let mut client = standard().connect();
    for _ in 0..2 {
        let response = client.send(get(&page.path).bytes()).response();
        assert_eq!(
            (response.code, response.text(), response.headers.get("X-A")),
            (200, "passed\n", Some("1"))
        );
        assert!(response.headers.starting_with("Grip-").is_empty(), "{:?}", response.headers);
    }
}

#[test]
fn names_of_instructions_are_found_in_any_case() {
    let channel = unique("ch");
    let page = Page::answering(
        Answer::text("[opened]\n").header("grip-hold", "stream").header("GRIP-CHANNEL", &channel),
    );
    let mut client = standard().ask(&get(&page.path));
    assert!(client.head().headers.starting_with("Grip-").is_empty());
    client.expect_body("[opened]\n");
    standard().publish_stream(&channel, "found\n");
    client.expect_body("found\n");
}

#[test]
fn grip_status_replaces_the_status_of_a_plain_answer() {
    let page = Page::answering(Answer::text("no\n").header("Grip-Status", "404 Not Here"));
    let response = standard().fetch(&get(&page.path));
    assert_eq!((response.code, response.reason.as_str(), response.text()), (404, "Not Here", "no\n"));
}

#[test]
fn grip_status_without_a_reason_gets_the_standard_one() {
    let page = Page::answering(Answer::text("made\n").header("Grip-Status", "201"));
    let response = standard().fetch(&get(&page.path));
    assert_eq!((response.code, response.reason.as_str()), (201, "Created"));
}

#[test]
fn grip_status_replaces_the_status_of_a_stream() {
    let page = Page::answering(
        Answer::text("[opened]\n")
            .header("Grip-Hold", "stream")
            .header("Grip-Channel", &unique("ch"))
            .header("Grip-Status", "202 Streaming"),
    );
    let head = standard().ask(&get(&page.path)).head();
    assert_eq!((head.code, head.reason.as_str()), (202, "Streaming"));
}

#[test]
fn grip_expose_headers_lets_only_the_named_headers_through() {
    let page = Page::answering(
        Answer::text("[opened]\n")
            .header("Grip-Hold", "stream")
            .header("Grip-Channel", &unique("ch"))
            .header("Grip-Expose-Headers", "X-Shown")
            .header("Grip-Expose-Headers", "content-type")
            .header("X-Shown", "1")
            .header("X-Hidden", "2"),
    );
    let headers = standard().ask(&get(&page.path)).head().headers;
    assert_eq!((headers.get("X-Shown"), headers.get("Content-Type")), (Some("1"), Some("text/plain")));
    assert!(!headers.has("X-Hidden") && headers.starting_with("Grip-").is_empty(), "{headers:?}");
}

#[test]
fn grip_set_meta_is_not_for_the_client() {
    let channel = unique("ch");
    let page = Page::answering(
        Answer::text("[opened]\n")
            .header("Grip-Hold", "stream")
            .header("Grip-Channel", &channel)
            .header("Grip-Set-Meta", "user=\"alice\"")
            .header("Grip-Set-Meta", "room=\"1, 2\""),
    );
    let mut client = standard().ask(&get(&page.path));
    assert!(client.head().headers.starting_with("Grip-").is_empty());
    client.expect_body("[opened]\n");
    standard().publish_stream(&channel, "held\n");
    client.expect_body("held\n");
}

#[test]
fn an_unknown_instruction_and_an_unknown_filter_are_ignored() {
    let channel = unique("ch");
    let page = Page::answering(
        Answer::text("[opened]\n")
            .header("Grip-Hold", "stream")
            .header("Grip-Channel", &format!("{channel}; filter=unheard-of; other=param"))
            .header("Grip-Unheard-Of", "x"),
    );
    let mut client = standard().ask(&get(&page.path));
    assert!(client.head().headers.starting_with("Grip-").is_empty());
    client.expect_body("[opened]\n");
    standard().publish_stream(&channel, "held\n");
    client.expect_body("held\n");
}

#[test]
fn a_hold_without_a_channel_is_held_all_the_same() {
    let page = Page::answering(
        Answer::text("[opened]\n").header("Grip-Hold", "stream").header("Grip-Keep-Alive", "beat; timeout=1"),
    );
    let mut client = standard().ask(&get(&page.path));
    assert_eq!(client.head().code, 200);
    client.expect_body("[opened]\nbeat");
}

#[test]
fn instructions_of_a_route_without_grip_are_the_clients() {
    let channel = unique("ch");
    let page = Page::answering(
        Answer::text("passed\n").header("Grip-Hold", "stream").header("Grip-Channel", &channel),
    );
    let response = standard().fetch(&get(&page.path).host("unsigned.test"));
    assert_eq!((response.text(), response.headers.get("Grip-Hold")), ("passed\n", Some("stream")));
    assert_eq!(response.headers.get("Grip-Channel"), Some(channel.as_str()));
}

#[test]
fn an_answer_to_head_that_carries_instructions_has_no_body() {
    let channel = unique("ch");
    let page = Page::answering(Answer::text("passed\n").header("Grip-Channel", &channel));
    let next = Page::answering(Answer::text("next\n"));
    let mut client = standard().connect();
    assert_eq!(client.send(request("HEAD", &page.path).bytes()).response().code, 200);
    assert_eq!(client.send(get(&next.path).bytes()).response().text(), "next\n", "still in step");
}

#[test]
fn a_large_request_cannot_be_held() {
    let channel = unique("ch");
    let page =
        Page::answering(Answer::text("x").header("Grip-Hold", "response").header("Grip-Channel", &channel));
    let response = standard().fetch(&request("POST", &page.path).body(vec![b'x'; 150_000]));
    assert_eq!((response.code, response.text()), (400, "Request too large to accept GRIP instruct.\n"));
}

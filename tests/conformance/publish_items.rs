//! Items that are wrong: the control port says which rule the first bad one breaks, to the byte, and publishes none
//! of the call's items.

use serde_json::{Value, json};

use crate::harness::proxy::standard;
use crate::harness::publisher::stream_item;
use crate::harness::unique;

fn item_rejected(item: Value, why: &str) {
    let response = standard().post_publish(&json!({"items": [item]}).to_string());
    assert_eq!((response.code, response.text()), (400, format!("Invalid format: {why}\n").as_str()));
}

#[test]
fn an_item_without_a_channel_is_rejected() {
    item_rejected(
        json!({"formats": {"http-stream": {"content": "x"}}}),
        "publish item object does not contain 'channel'",
    );
}

#[test]
fn an_item_with_a_channel_that_is_no_text_is_rejected() {
    item_rejected(
        json!({"channel": 1, "formats": {"http-stream": {"content": "x"}}}),
        "publish item object contains 'channel' with wrong type",
    );
}

#[test]
fn an_item_without_formats_is_rejected() {
    item_rejected(json!({"channel": "x"}), "no formats specified");
    item_rejected(json!({"channel": "x", "formats": {}}), "no formats specified");
}

#[test]
fn a_stream_without_content_is_rejected() {
    item_rejected(
        json!({"channel": "x", "formats": {"http-stream": {}}}),
        "'http-stream' does not contain 'content' or 'content-bin'",
    );
}

#[test]
fn a_response_without_a_body_is_rejected() {
    item_rejected(
        json!({"channel": "x", "formats": {"http-response": {"code": 200}}}),
        "'http-response' does not contain 'body', 'body-bin', or 'body-patch'",
    );
}

#[test]
fn a_websocket_message_without_content_is_rejected() {
    item_rejected(
        json!({"channel": "x", "formats": {"ws-message": {}}}),
        "'ws-message' does not contain 'content' or 'content-bin'",
    );
}

#[test]
fn content_that_is_no_text_is_rejected() {
    item_rejected(
        json!({"channel": "x", "formats": {"http-stream": {"content": 1}}}),
        "'http-stream' contains 'content' with wrong type",
    );
}

#[test]
fn a_code_that_is_no_number_is_rejected() {
    item_rejected(
        json!({"channel": "x", "formats": {"http-response": {"code": [], "body": "x"}}}),
        "'http-response' contains 'code' with wrong type",
    );
}

#[test]
fn a_code_out_of_range_is_rejected() {
    for code in [-1, 1000] {
        item_rejected(
            json!({"channel": "x", "formats": {"http-response": {"code": code, "body": "x"}}}),
            "'http-response' contains 'code' with invalid value",
        );
    }
}

#[test]
fn an_item_that_is_no_object_is_rejected() {
    item_rejected(json!(1), "publish item object is not an object");
}

#[test]
fn formats_that_are_no_object_are_rejected() {
    item_rejected(
        json!({"channel": "x", "formats": []}),
        "publish item object contains 'formats' with wrong type",
    );
    item_rejected(json!({"channel": "x", "formats": {"http-stream": 1}}), "'http-stream' is not an object");
}

#[test]
fn an_id_that_is_no_text_is_rejected() {
    item_rejected(
        json!({"channel": "x", "id": 1, "formats": {"http-stream": {"content": "x"}}}),
        "publish item object contains 'id' with wrong type",
    );
}

#[test]
fn headers_of_a_wrong_type_are_rejected() {
    let with = |headers: Value| json!({"channel": "x", "formats": {"http-response": {"headers": headers, "body": "x"}}});
    item_rejected(with(json!(1)), "'http-response' contains 'headers' with wrong type");
    item_rejected(with(json!([1])), "headers contains element with wrong type");
}

#[test]
fn a_patch_of_a_wrong_type_is_rejected() {
    item_rejected(
        json!({"channel": "x", "formats": {"http-response": {"body-patch": 1}}}),
        "'http-response' contains 'body-patch' with wrong type",
    );
}

#[test]
fn an_action_that_is_no_text_is_rejected() {
    item_rejected(
        json!({"channel": "x", "formats": {"http-stream": {"action": 1, "content": "x"}}}),
        "'http-stream' contains 'action' with wrong type",
    );
}

#[test]
fn an_unknown_action_is_rejected() {
    let item = json!({"channel": "x", "formats": {"http-stream": {"action": "explode", "content": "x"}}});
    let response = standard().post_publish(&json!({"items": [item]}).to_string());
    assert_eq!(response.code, 400);
    assert!(response.text().starts_with("Invalid format: "), "{:?}", response.text());
}

#[test]
fn one_bad_item_rejects_the_whole_publication() {
    let channel = unique("ch");
    let mut client = standard().stream(&channel);
    let items = json!({"items": [stream_item(&channel, "must not arrive\n"), {"channel": channel}]});
    assert_eq!(standard().post_publish(&items.to_string()).code, 400);
    standard().publish_stream(&channel, "may arrive\n");
    client.expect_body("may arrive\n");
}

//! What a publisher can say and learn beyond what Pushpin's control port knows: one item for several channels, and
//! receipts, which tell whom it reached.

use std::time::Instant;

use serde_json::{Value, json};

use crate::harness::client::Client;
use crate::harness::origin::{Answer, Page};
use crate::harness::proxy::standard;
use crate::harness::publisher::{response_item, stream_item};
use crate::harness::request::{get, request};
use crate::harness::websocket::{Application, control_event, text_event};
use crate::harness::{patience, pushpin_differs, unique};

/// A client of a stream on `channels`, which has begun.
fn streaming(channels: &[&str]) -> Client {
    let answer = Answer::text("[opened]\n").header("Grip-Hold", "stream");
    let page = Page::answering(answer.header("Grip-Channel", &channels.join(", ")));
    let mut client = standard().ask(&get(&page.path));
    client.head();
    client.expect_body("[opened]\n");
    client
}

#[test]
fn an_item_with_several_channels_goes_to_each_of_them() {
    pushpin_differs!("an item has one channel");
    let (one, two) = (unique("ch"), unique("ch"));
    let mut clients = [streaming(&[&one]), streaming(&[&two]), streaming(&[&one, &two])];
    let expect_from_each = |clients: &mut [Client; 3], content: &str| {
        for (client, count) in clients.iter_mut().zip([1, 1, 2]) {
            client.expect_body(content.repeat(count));
        }
    };
    standard().publish(json!({"channels": [one, two], "formats": {"http-stream": {"content": "x\n"}}}));
    // Each channel has an order, and several channels have none among them.
    expect_from_each(&mut clients, "x\n");
    standard().publish(json!({"channels": [two, one, two], "formats": {"http-stream": {"content": "y\n"}}}));
    expect_from_each(&mut clients, "y\n");
}

/// The receipt for `items`.
fn receipt(items: Value, query: &str) -> Value {
    let body = json!({"items": items}).to_string();
    let response = standard().control(&request("POST", format!("/publish/?receipt=true{query}")).body(body));
    assert_eq!(response.headers.get("Content-Type"), Some("application/json"));
    assert_eq!(response.code, 200, "{}", response.text());
    serde_json::from_str(response.text()).expect("JSON")
}

fn of_transports(responses: usize, streams: usize, sockets: usize) -> Value {
    json!({"http-response": responses, "http-stream": streams, "ws-message": sockets})
}

#[test]
fn a_receipt_tells_whom_each_item_reached_by_transport() {
    pushpin_differs!("there are no receipts");
    let (channel, nobody) = (unique("ch"), unique("ch"));
    let mut clients: Vec<Client> = (0..40).map(|_| streaming(&[&channel])).collect();
    let stream = stream_item(&channel, "x\n");
    let told = receipt(json!([stream, response_item(&channel, "y"), stream_item(&nobody, "z")]), "");
    let item = |channel: &str, streams| {
        let receivers = of_transports(0, streams, 0);
        json!({"channel": channel, "id": null, "state": "delivered", "receivers": receivers, "dropped": 0})
    };
    let expected = json!({
        "message": "Published", "timed_out": false, "receivers": 40, "dropped": 0,
        "items": [item(&channel, 40), item(&channel, 0), item(&nobody, 0)],
    });
    assert_eq!(told, expected);
    clients.iter_mut().for_each(|client| client.expect_body("x\n"));
}

#[test]
fn a_receipt_counts_long_polls_and_web_sockets() {
    pushpin_differs!("there are no receipts");
    let channel = unique("ch");
    let subscribe = control_event(json!({"type": "subscribe", "channel": channel}));
    let welcome = text_event("m:welcome");
    let application = Application::answering(move |events| match events {
        "OPEN\r\n" => format!("OPEN\r\n{subscribe}{welcome}"),
        _ => String::new(),
    });
    let mut socket = standard().open("sockets.test", &application.page.path);
    socket.expect_text("welcome");
    let page = Page::answering(
        Answer::text("late").header("Grip-Hold", "response").header("Grip-Channel", &channel),
    );
    let mut poll = standard().ask(&get(&page.path));
    await_subscribers(&channel, &of_transports(1, 0, 1));
    let item = json!({"channel": channel, "id": "1", "formats": {
        "http-response": {"body": "answer"}, "ws-message": {"content": "hello"},
    }});
    let told = receipt(json!([item]), "");
    assert_eq!((&told["receivers"], &told["items"][0]["receivers"]), (&json!(2), &of_transports(1, 0, 1)));
    assert_eq!(poll.response().text(), "answer");
    socket.expect_text("hello");
    let again = receipt(json!([item]), "");
    assert_eq!((&again["receivers"], &again["items"][0]["state"]), (&json!(0), &json!("repeated")));
}

/// Waits until the control port shows these subscribers.
fn await_subscribers(channel: &str, expected: &Value) {
    let deadline = Instant::now() + patience();
    loop {
        let response = standard().control(&get(format!("/channels/{channel}")));
        let state: Value = serde_json::from_str(response.text()).expect("JSON");
        if state["subscribers"] == *expected {
            return;
        }
        assert!(Instant::now() < deadline, "{state}");
    }
}

#[test]
fn a_receipt_waits_no_longer_than_it_is_told_to() {
    pushpin_differs!("there are no receipts");
    let channel = unique("ch");
    let mut client = streaming(&[&channel]);
    let item = |id: &str, prev_id: &str| {
        json!({"channel": channel, "id": id, "prev-id": prev_id,
               "formats": {"http-stream": {"content": format!("{id}\n")}}})
    };
    receipt(json!([item("1", "0")]), "");
    let told = receipt(json!([item("3", "2")]), "&wait_ms=1");
    assert_eq!((&told["timed_out"], &told["items"][0]["state"]), (&json!(true), &json!("waiting")));
    let told = receipt(json!([item("2", "1")]), "");
    assert_eq!((&told["timed_out"], &told["receivers"]), (&json!(false), &json!(1)));
    client.expect_body("1\n2\n3\n");
    let bad = standard().control(&request("POST", "/publish?receipt=1&wait_ms=x").body("{\"items\":[]}"));
    assert_eq!((bad.code, bad.text()), (400, "Invalid query: 'wait_ms' has an invalid value.\n"));
}

#[test]
fn too_many_receipts_at_once_are_refused_and_nothing_is_published() {
    pushpin_differs!("there are no receipts");
    let items: Vec<Value> = (0..10_001).map(|_| stream_item("nobody", "x")).collect();
    let body = json!({"items": items}).to_string();
    let response = standard().control(&request("POST", "/publish/?receipt=true").body(body));
    assert_eq!((response.code, response.headers.get("Retry-After")), (503, Some("1")));
}

#[test]
fn a_receipt_counts_those_who_did_not_take_what_came_before() {
    pushpin_differs!("there are no receipts");
    let channel = unique("ch");
    let (_never_reads, mut reads) = (streaming(&[&channel]), streaming(&[&channel]));
    let content = "x".repeat(900_000);
    // What the kernel takes for a client is its own affair; with the backlog it is less than this.
    let dropped = (0..100).find_map(|_| {
        let told = receipt(json!([stream_item(&channel, &content)]), "");
        reads.expect_body(&content);
        (told["dropped"] != 0).then_some(told)
    });
    let told = dropped.expect("a client that never reads is dropped in the end");
    assert_eq!((&told["dropped"], &told["receivers"]), (&json!(1), &json!(1)));
}

//! The command socket: what operators and applications ask, and what they are answered.

use serde_json::{Value, json};
use zmq::SocketType;

use crate::harness::proxy::{recovering, standard};
use crate::harness::publisher::stream_item;
use crate::harness::websocket::{Application, AwaitSubscription, Socket, control_event, text_event};
use crate::harness::zeromq::{command, connect, value};
use crate::harness::{pushpin_differs, unique};

fn done() -> Value {
    json!({"success": true, "value": null})
}

#[test]
fn publish_delivers_its_items() {
    let channel = unique("ch");
    let mut client = standard().stream(&channel);
    let items = json!({"items": [stream_item(&channel, "one\n"), stream_item(&channel, "two\n")]});
    assert_eq!(command(standard(), "publish", items), done());
    client.expect_body("one\ntwo\n");
}

#[test]
fn publish_says_what_is_wrong() {
    let refused = |args: Value, why: &str| {
        let answer = command(standard(), "publish", args);
        assert_eq!(answer, json!({"success": false, "condition": "bad-request", "value": why}));
    };
    refused(json!({}), "Invalid format: object does not contain 'items'");
    refused(json!({"items": 1}), "Invalid format: object contains 'items' with wrong type");
    refused(json!({"items": [{}]}), "Invalid format: publish item object does not contain 'channel'");
    refused(json!({"items": [{"channel": "c"}]}), "Invalid format: no formats specified");
}

#[test]
fn an_unknown_method_is_said_to_be_one() {
    let answer = command(standard(), "explode", json!({}));
    assert_eq!(answer, json!({"success": false, "condition": "method-not-found"}));
}

#[test]
fn the_sockets_are_named() {
    let answer = command(standard(), "get-zmq-uris", json!({}));
    let uri = |name| standard().zeromq(name);
    let uris = json!({"command": uri("command"), "publish-pull": uri("pull"), "publish-sub": uri("sub")});
    assert_eq!(answer, json!({"success": true, "value": uris}));
}

#[test]
fn recover_is_done() {
    assert_eq!(command(recovering(), "recover", json!({})), done());
}

/// A WebSocket on `channel`, what its application knows it by, and the application, which answers a request without
/// events with `refreshed`.
fn open(channel: &str) -> (Socket, String, Application) {
    let subscribe = control_event(json!({"type": "subscribe", "channel": channel}));
    let opening = format!("OPEN\r\n{subscribe}{}", text_event("m:welcome"));
    let application = Application::answering(move |events| match events {
        "OPEN\r\n" => opening.clone(),
        "" => text_event("m:refreshed"),
        _ => String::new(),
    });
    let mut socket = standard().open("sockets.test", &application.page.path);
    socket.expect_text("welcome");
    let id = application.request().0.get("Connection-Id").expect("a Connection-Id").to_owned();
    socket.await_subscription(standard(), channel);
    (socket, id, application)
}

#[test]
fn conncheck_tells_which_connections_are_there() {
    let (_socket, id, _application) = open(&unique("ch"));
    let nobody = "00000000-0000-4000-8000-000000000000";
    let answer = command(standard(), "conncheck", json!({"ids": [nobody, id, "x"]}));
    assert_eq!(answer, json!({"success": true, "value": [id]}));
    let answer = command(standard(), "conncheck", json!({"ids": []}));
    assert_eq!(answer, json!({"success": true, "value": []}));
    let answer = command(standard(), "conncheck", json!({}));
    assert_eq!((&answer["success"], &answer["condition"]), (&json!(false), &json!("bad-request")));
}

#[test]
fn refresh_asks_the_application_of_one_connection_or_of_a_channel() {
    let channel = unique("ch");
    let (mut socket, id, _application) = open(&channel);
    assert_eq!(command(standard(), "refresh", json!({"cid": id})), done());
    socket.expect_text("refreshed");
    assert_eq!(command(standard(), "refresh", json!({"channel": channel})), done());
    socket.expect_text("refreshed");
    assert_eq!(command(standard(), "refresh", json!({"channel": unique("nobody")})), done());
    let answer = command(standard(), "refresh", json!({"cid": "nobody"}));
    assert_eq!((&answer["success"], &answer["condition"]), (&json!(false), &json!("item-not-found")));
    let answer = command(standard(), "refresh", json!({}));
    assert_eq!((&answer["success"], &answer["condition"]), (&json!(false), &json!("bad-request")));
}

#[test]
fn what_is_no_call_is_answered_too() {
    pushpin_differs!("it drops such calls, and their senders wait for ever");
    let socket = connect(standard(), SocketType::REQ, "command");
    for garbage in [&b"garbage"[..], b"", b"0:}", b"2:0:]"] {
        socket.send(garbage, 0).unwrap();
        let answer = value(&socket.recv_bytes(0).unwrap());
        assert_eq!(answer, json!({"success": false, "condition": "bad-request"}));
    }
}

//! What operators see of channels and clients, and what they do with one of them. None of it is Pushpin's.

use std::time::Instant;

use serde_json::{Value, json};
use tungstenite::Message;

use crate::harness::client::{Client, Response};
use crate::harness::origin::{Answer, Page};
use crate::harness::proxy::standard;
use crate::harness::request::{get, request};
use crate::harness::websocket::{Application, Socket, control_event, text_event};
use crate::harness::websocket_origin::{Sockets, subscribe};
use crate::harness::{patience, pushpin_differs, unique};

const WHY: &str = "its control port only publishes";

fn holding(hold: &str, channel: &str) -> Answer {
    Answer::text("[opened]\n").header("Grip-Hold", hold).header("Grip-Channel", channel)
}

/// A client of a stream that has begun.
fn streaming(channel: &str) -> Client {
    let page = Page::answering(holding("stream", channel));
    let mut client = standard().ask(&get(&page.path));
    client.head();
    client.expect_body("[opened]\n");
    client
}

/// A WebSocket on `channel`, and its application, which answers a request for events with a message.
fn socket(channel: &str) -> (Socket, Application) {
    let subscribe = control_event(json!({"type": "subscribe", "channel": channel}));
    let (welcome, asked) = (text_event("m:welcome"), text_event("m:asked"));
    let application = Application::answering(move |events| match events {
        "OPEN\r\n" => format!("OPEN\r\n{subscribe}{welcome}"),
        "" => asked.clone(),
        _ => String::new(),
    });
    let mut socket = standard().open("sockets.test", &application.page.path);
    socket.expect_text("welcome");
    (socket, application)
}

fn json_of(response: &Response) -> Value {
    assert_eq!(response.code, 200, "{}", response.text());
    assert_eq!(response.headers.get("Content-Type"), Some("application/json"));
    serde_json::from_str(response.text()).expect("JSON")
}

fn shown(path: &str) -> Value {
    json_of(&standard().control(&get(path)))
}

fn subscribers(responses: usize, streams: usize, sockets: usize) -> Value {
    json!({"http-response": responses, "http-stream": streams, "ws-message": sockets})
}

/// The id of the one subscriber of `channel`, once there is one.
fn only_connection(channel: &str) -> String {
    let deadline = Instant::now() + patience();
    loop {
        let state = shown(&format!("/channels/{channel}"));
        if let [connection] = &state["connections"].as_array().expect("a list")[..] {
            return connection["id"].as_str().expect("an id").to_owned();
        }
        assert!(Instant::now() < deadline, "{state}");
    }
}

fn close(id: &str) -> Response {
    standard().control(&request("DELETE", format!("/connections/{id}")))
}

#[test]
fn channels_are_listed_in_pages() {
    pushpin_differs!(WHY);
    let prefix = unique("list/");
    let mut expected: Vec<String> = (0..7).map(|number| format!("{prefix}-{number}")).collect();
    let _clients: Vec<Client> =
        (0..3).flat_map(|_| expected.iter().map(|channel| streaming(channel))).collect();
    let (mut listed, mut after) = (Vec::new(), String::new());
    loop {
        let page = shown(&format!("/channels/?limit=2&prefix={}{after}", prefix.replace('/', "%2F")));
        for channel in page["channels"].as_array().expect("a list") {
            assert_eq!(channel["subscribers"], subscribers(0, 3, 0));
            listed.push(channel["channel"].as_str().expect("a name").to_owned());
        }
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    listed.sort();
    expected.sort();
    assert_eq!(listed, expected);
}

#[test]
fn a_channel_shows_its_subscribers_by_core_and_its_last_id() {
    pushpin_differs!(WHY);
    let channel = unique("a channel/");
    let path = format!("/channels/{}", channel.replace(' ', "%20"));
    let clients: Vec<Client> = (0..20).map(|_| streaming(&channel)).collect();
    standard().publish(json!({"channel": channel, "id": "7", "formats": {"http-stream": {"content": "x"}}}));
    let state = shown(&path);
    assert_eq!((&state["channel"], &state["last_id"]), (&json!(channel), &json!("7")));
    assert_eq!(state["subscribers"], subscribers(0, clients.len(), 0));
    let of_cores = state["cores"].as_array().expect("a list").iter();
    let sum: u64 = of_cores.filter_map(|core| core["subscribers"]["http-stream"].as_u64()).sum();
    assert_eq!(sum, 20);
    let (mut ids, mut after) = (Vec::new(), String::new());
    loop {
        let page = shown(&format!("{path}?limit=3{after}"));
        let connections = page["connections"].as_array().expect("a list").iter();
        ids.extend(connections.map(|it| it["id"].as_str().expect("an id").to_owned()));
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 20);
}

#[test]
fn a_channel_nobody_is_subscribed_to_has_no_subscribers() {
    pushpin_differs!(WHY);
    let state = shown(&format!("/channels/{}/", unique("ch")));
    assert_eq!((&state["subscribers"], &state["cores"]), (&subscribers(0, 0, 0), &json!([])));
    assert_eq!(state["last_id"], Value::Null);
}

#[test]
fn a_stream_is_shown_and_closed_with_its_end() {
    pushpin_differs!(WHY);
    let channel = unique("ch");
    let mut client = streaming(&channel);
    let id = only_connection(&channel);
    let state = shown(&format!("/connections/{id}"));
    assert_eq!((&state["id"], &state["transport"]), (&json!(id), &json!("http-stream")));
    assert_eq!((&state["channels"], &state["connection_id"]), (&json!([channel]), &Value::Null));
    assert!(state["peer"].as_str().is_some_and(|peer| peer.starts_with("127.0.0.1:")), "{state}");
    assert_eq!(json_of(&close(&id)), json!({"message": "Closed"}));
    client.expect_body_end();
    client.expect_closed();
    assert_eq!(close(&id).code, 404);
    assert_eq!(standard().control(&get(format!("/connections/{id}"))).code, 404);
}

#[test]
fn a_long_poll_is_closed() {
    pushpin_differs!(WHY);
    let channel = unique("ch");
    let page = Page::answering(holding("response", &channel));
    let mut client = standard().ask(&get(&page.path));
    let id = only_connection(&channel);
    assert_eq!(shown(&format!("/connections/{id}/"))["transport"], "http-response");
    assert_eq!(close(&id).code, 200);
    assert!(client.try_head().is_err());
}

#[test]
fn a_web_socket_is_found_by_the_id_its_application_knows_and_closed_with_a_close() {
    pushpin_differs!(WHY);
    let channel = unique("ch");
    let (mut client, application) = socket(&channel);
    let (_, mut other) = (socket(&channel), streaming(&channel));
    let id = application.request().0.get("Connection-Id").expect("an id").to_owned();
    let state = shown(&format!("/connections/{id}"));
    assert_eq!((&state["connection_id"], &state["transport"]), (&json!(id), &json!("ws-message")));
    assert_eq!(json_of(&close(&id)), json!({"message": "Closed"}));
    let closed = client.next_message();
    assert!(matches!(&closed, Message::Close(Some(frame)) if u16::from(frame.code) == 1000), "{closed:?}");
    client.socket.flush().expect("its answer is sent");
    assert!(application.request().1.starts_with("CLOSE 2\r\n"));
    standard().publish_stream(&channel, "still here\n");
    other.expect_body("still here\n");
}

#[test]
fn a_web_socket_that_passes_through_is_closed_with_a_close() {
    pushpin_differs!(WHY);
    let channel = unique("ch");
    let (mut client, mut server) = Sockets::speaking_grip().open(standard(), "pass.test");
    subscribe(&mut client, &mut server, &channel);
    let id = only_connection(&channel);
    let state = shown(&format!("/connections/{id}"));
    assert_eq!((&state["transport"], &state["connection_id"]), (&json!("ws-message"), &Value::Null));
    assert_eq!(close(&id).code, 200);
    client.expect_close(1000, "");
}

#[test]
fn a_cursor_that_leads_nowhere_is_refused() {
    pushpin_differs!(WHY);
    for path in
        ["/channels/?after=x", "/channels/?after=60000.0", "/channels/c?after=-1.0", "/channels/?limit=x"]
    {
        let refused = standard().control(&get(path));
        assert!(refused.code == 400 && refused.text().starts_with("Invalid query: '"), "{path}");
    }
}

#[test]
fn names_of_nobody_are_not_found() {
    pushpin_differs!(WHY);
    let nobody = "00000000-0000-4000-8000-000000000000";
    for name in ["0-999999-1", "60000-1-1", "x", nobody, "0-0"] {
        let answers = [standard().control(&get(format!("/connections/{name}"))), close(name)];
        for answer in answers {
            assert_eq!((answer.code, answer.text()), (404, "Not Found\n"), "{name}");
        }
    }
    let response = standard().control(&request("POST", "/connections/x").body(""));
    assert_eq!((response.code, response.headers.get("Allow")), (405, Some("GET, DELETE")));
}

fn refresh(body: Value) -> Response {
    standard().control(&request("POST", "/refresh/").body(body.to_string()))
}

#[test]
fn a_refresh_of_a_web_socket_asks_its_application() {
    pushpin_differs!(WHY);
    let (mut client, application) = socket(&unique("ch"));
    let id = application.request().0.get("Connection-Id").expect("an id").to_owned();
    assert_eq!(json_of(&refresh(json!({"cid": id}))), json!({"message": "Refreshed", "connections": 1}));
    client.expect_text("asked");
}

#[test]
fn a_refresh_of_a_channel_asks_for_each_of_its_subscribers() {
    pushpin_differs!(WHY);
    let channel = unique("ch");
    let (mut client, _application) = socket(&channel);
    let page = Page::answering(holding("response", &channel));
    let _poll = standard().ask(&get(&page.path));
    let deadline = Instant::now() + patience();
    while shown(&format!("/channels/{channel}"))["subscribers"] != subscribers(1, 0, 1) {
        assert!(Instant::now() < deadline, "the long poll is not subscribed");
    }
    page.request();
    assert_eq!(json_of(&refresh(json!({"channel": channel})))["connections"], 2);
    client.expect_text("asked");
    page.request();
}

#[test]
fn a_refresh_says_what_cannot_be() {
    pushpin_differs!(WHY);
    let channel = unique("ch");
    let _stream = streaming(&channel);
    let answer = refresh(json!({"cid": only_connection(&channel)}));
    let nothing = "This connection has no request that could be made again.\n";
    assert_eq!((answer.code, answer.text()), (409, nothing));
    assert_eq!(refresh(json!({"channel": unique("ch")})).code, 404);
    assert_eq!(refresh(json!({"cid": "0-999999-1"})).code, 404);
    for body in [json!({}), json!([]), json!({"cid": 1}), json!({"cid": "x", "channel": "y"})] {
        assert_eq!(refresh(body).code, 400);
    }
}

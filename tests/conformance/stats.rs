//! The stats socket: what it says of clients, of their subscriptions and of messages. Each case listens for what is
//! about itself, as all share one server.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::time::Instant;

use serde_json::{Value, json};
use zmq::SocketType;

use crate::harness::client::Client;
use crate::harness::origin::{Answer, Page};
use crate::harness::proxy::counting_blocks;
use crate::harness::publisher::response_item;
use crate::harness::request::{get, request};
use crate::harness::tls::EXACT;
use crate::harness::websocket::{Application, Socket, control_event, text_event};
use crate::harness::zeromq::{connect, value};
use gripwire_harness::tunnel::tunnel;

use crate::harness::websocket_origin::Sockets;
use crate::harness::{patience, pushpin_differs, unique};

/// Hears everything that the server says from now on.
struct Stats {
    socket: zmq::Socket,
    /// Messages that came before the one that was awaited: which kind comes first depends on when the server's second
    /// is over.
    passed: RefCell<VecDeque<(String, Value)>>,
}

impl Stats {
    /// Requests are made until the server is heard to say something: then nothing is missed any more.
    fn listen() -> Stats {
        let socket = connect(counting_blocks(), SocketType::SUB, "stats");
        socket.set_rcvtimeo(50).unwrap();
        let deadline = Instant::now() + patience();
        while socket.recv_bytes(0).is_err() {
            assert!(Instant::now() < deadline, "nothing is heard");
            counting_blocks().fetch(&get("/nothing-here"));
        }
        socket.set_rcvtimeo(patience().as_millis() as i32).unwrap();
        Stats { socket, passed: RefCell::default() }
    }

    /// The next message of this kind that has all of `members`; `null` is none.
    fn expect(&self, kind: &str, members: &Value) -> Value {
        let deadline = Instant::now() + patience();
        let wanted = members.as_object().expect("members");
        loop {
            assert!(Instant::now() < deadline, "no {kind} with {members}");
            let said = self.next(kind);
            if wanted.iter().all(|(name, value)| said[name] == *value) {
                return said;
            }
        }
    }

    /// Adds up the reports about `route` until their sums are at least `figures`; then they must be just these.
    fn expect_sums(&self, route: &str, figures: &[(&str, u64)]) {
        let (deadline, mut sums) = (Instant::now() + patience(), vec![0; figures.len()]);
        while figures.iter().zip(&sums).any(|((_, figure), sum)| sum < figure) {
            assert!(Instant::now() < deadline, "{figures:?} of {route}: {sums:?}");
            let report = self.next("report");
            if report["route"] == route {
                let numbers = figures.iter().map(|(name, _)| report[*name].as_u64().unwrap_or_default());
                sums.iter_mut().zip(numbers).for_each(|(sum, number)| *sum += number);
            }
        }
        let sums: Vec<_> = figures.iter().zip(sums).map(|((name, _), sum)| (*name, sum)).collect();
        assert_eq!(sums, figures);
    }

    /// The next message of this kind.
    fn next(&self, kind: &str) -> Value {
        let mut passed = self.passed.borrow_mut();
        let earlier = passed.iter().position(|(other, _)| other == kind).and_then(|at| passed.remove(at));
        if let Some((_, said)) = earlier {
            return said;
        }
        loop {
            let message = self.socket.recv_bytes(0).unwrap_or_else(|_| panic!("no {kind}"));
            let end = message.iter().position(|byte| *byte == b' ').expect("a word");
            assert_eq!(message[end + 1], b'T');
            let said = value(&message[end + 2..]);
            assert!(said["from"].is_string(), "{said}");
            if message[..end] == *kind.as_bytes() {
                return said;
            }
            passed.push_back((String::from_utf8_lossy(&message[..end]).into_owned(), said));
        }
    }
}

fn opened(channel: &str) -> Client {
    counting_blocks().stream(channel)
}

#[test]
fn subscriptions_are_told_of_as_they_come_and_go() {
    let (stats, channel) = (Stats::listen(), unique("ch"));
    let sub = |more: Value| {
        let mut members = json!({"mode": "stream", "channel": channel});
        members.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        members
    };
    let first = opened(&channel);
    stats.expect("sub", &sub(json!({"ttl": 60, "subscribers": 1})));
    let second = opened(&channel);
    stats.expect("sub", &sub(json!({"subscribers": 2})));
    drop(first);
    stats.expect("sub", &sub(json!({"subscribers": 1})));
    drop(second);
    let last = stats.expect("sub", &sub(json!({"unavailable": true})));
    assert!(last.get("subscribers").is_none() && last.get("ttl").is_none(), "{last}");
}

#[test]
fn a_message_is_told_of_with_its_receivers() {
    let (stats, channel) = (Stats::listen(), unique("ch"));
    let clients = [opened(&channel), opened(&channel), opened(&channel)];
    let formats = json!({"http-stream": {"content": "x\n"}, "ws-message": {"content": "x"}});
    counting_blocks().publish(json!({"channel": channel, "id": "some-id", "formats": formats}));
    let message = stats.expect("message", &json!({"channel": channel}));
    assert_eq!((&message["item-id"], &message["count"]), (&json!("some-id"), &json!(3)));
    assert_eq!((&message["transport"], message.get("route")), (&json!("http-stream"), None));
    assert_eq!(message["blocks"], 3, "one for each receiver");
    drop(clients);
}

#[test]
fn a_long_poll_is_told_of_with_the_message_that_answers_it() {
    let (stats, channel) = (Stats::listen(), unique("ch"));
    let hold = Answer::text("nothing\n").header("Grip-Hold", "response").header("Grip-Channel", &channel);
    let page = Page::answering(hold);
    let mut client = counting_blocks().ask(&get(&page.path));
    stats.expect("sub", &json!({"mode": "response", "channel": channel, "subscribers": 1}));
    counting_blocks().publish_until_answered(&mut client, response_item(&channel, "x"));
    stats.expect("message", &json!({"channel": channel, "transport": "http-response", "count": 1}));
}

#[test]
fn a_held_stream_is_a_connection_until_it_is_over() {
    let stats = Stats::listen();
    let client = opened(&unique("ch"));
    let members = json!({"type": "http", "peer-address": "127.0.0.1", "ttl": 120});
    // Others come and go meanwhile: whichever is said to be over when this client has left is one of them, or this one.
    stats.expect("conn", &members);
    drop(client);
    stats.expect("conn", &json!({"unavailable": true}));
}

#[test]
fn a_websocket_is_a_connection_by_the_id_that_its_application_knows() {
    let (stats, channel) = (Stats::listen(), unique("ch"));
    let subscribe = control_event(json!({"type": "subscribe", "channel": channel}));
    let opening = format!("OPEN\r\n{subscribe}{}", text_event("m:welcome"));
    let application = Application::answering(move |events| match events {
        "OPEN\r\n" => opening.clone(),
        _ => String::new(),
    });
    let mut socket = counting_blocks().open("sockets.test", &application.page.path);
    socket.expect_text("welcome");
    let id = application.request().0.get("Connection-Id").expect("a Connection-Id").to_owned();
    let conn = stats.expect("conn", &json!({"id": id}));
    assert_eq!((&conn["type"], &conn["peer-address"]), (&json!("ws"), &json!("127.0.0.1")));
    assert_eq!((&conn["ttl"], conn.get("ssl")), (&json!(120), None));
    stats.expect("sub", &json!({"mode": "ws", "channel": channel, "subscribers": 1}));
    drop(socket);
    stats.expect("conn", &json!({"id": id, "unavailable": true}));
}

#[test]
fn a_client_by_tls_is_said_to_be_one() {
    let stats = Stats::listen();
    let application = Application::answering(|_| "OPEN\r\n".into());
    let stream = tunnel(counting_blocks().https, EXACT);
    let _socket = Socket::over(stream, "sockets.test", &application.page.path, &[]);
    let id = application.request().0.get("Connection-Id").expect("a Connection-Id").to_owned();
    assert_eq!(stats.expect("conn", &json!({"id": id}))["ssl"], json!(true));
}

#[test]
fn requests_are_counted() {
    let stats = Stats::listen();
    counting_blocks().fetch(&get("/nothing-here"));
    assert!(stats.expect("counts", &json!({}))["requests-received"].as_u64() >= Some(1));
    counting_blocks().fetch(&get("/nothing-here"));
    assert!(stats.expect("activity", &json!({}))["count"].as_u64() >= Some(1));
}

#[test]
fn sums_are_reported() {
    let stats = Stats::listen();
    let _client = opened(&unique("ch"));
    let report = stats.expect("report", &json!({}));
    for name in ["connections", "minutes", "received", "sent", "http-response-sent", "duration"] {
        assert!(report[name].is_u64(), "{name} in {report}");
    }
}

#[test]
fn what_happens_on_a_route_with_an_id_is_told_with_it() {
    let stats = Stats::listen();
    let page = Page::answering(Answer::text("x"));
    counting_blocks().fetch(&get(&page.path).host("counted-request.test"));
    let route = json!({"route": "counted-request"});
    let there = stats.expect("conn", &route);
    assert_eq!(there["type"], "http");
    let gone = stats.expect("conn", &json!({"route": "counted-request", "unavailable": true}));
    assert_eq!(gone["id"], there["id"]);
    assert_eq!(stats.expect("activity", &route)["count"], 1);
    let report = stats.expect("report", &route);
    assert_eq!((&report["connections"], &report["minutes"]), (&json!(1), &json!(1)));
    assert_eq!((&report["received"], &report["sent"]), (&json!(0), &json!(0)));
}

#[test]
fn what_happens_on_routes_without_ids_is_told_without_one() {
    let stats = Stats::listen();
    let _client = opened(&unique("ch"));
    for kind in ["conn", "activity", "report"] {
        let mut said = stats.next(kind);
        while said["route"].as_str().is_some() {
            said = stats.next(kind);
        }
    }
}

#[test]
fn messages_are_counted_for_the_route_of_those_who_get_them() {
    let (stats, reports, channel) = (Stats::listen(), Stats::listen(), unique("ch"));
    let application = Application::answering(welcoming(&channel));
    let mut socket = counting_blocks().open("counted-socket.test", &application.page.path);
    socket.expect_text("welcome");
    let item = json!({"channel": channel, "formats": {"ws-message": {"content": "0123456789abcdefghij"}}});
    stats.expect("sub", &json!({"mode": "ws", "channel": channel, "subscribers": 1}));
    counting_blocks().publish(item);
    let message = stats.expect("message", &json!({"channel": channel}));
    assert_eq!((&message["count"], &message["blocks"]), (&json!(1), &json!(2)));
    reports.expect_sums("counted-socket", &[("sent", 1), ("blocks-sent", 2), ("received", 0)]);
}

/// Welcomes its client, and subscribes it to `channel`.
fn welcoming(channel: &str) -> impl Fn(&str) -> String + Send + Sync + 'static {
    let subscribe = control_event(json!({"type": "subscribe", "channel": channel}));
    move |events| match events {
        "OPEN\r\n" => format!("OPEN\r\n{subscribe}{}", text_event("m:welcome")),
        "CLOSE\r\n" => "CLOSE\r\n".to_owned(),
        _ => text_event("m:you said"),
    }
}

#[test]
fn bytes_of_a_request_and_of_its_answer_are_counted_on_both_sides() {
    let stats = Stats::listen();
    let page = Page::answering(Answer::text("hello world"));
    let asked = request("POST", &page.path).host("counted-bytes.test").header("X-A", "b").body("abcde");
    counting_blocks().fetch(&asked);
    // Content-Type and Content-Length are the answer's only fields; those of the requests are each server's own.
    let head = "200OKContent-Typetext/plainContent-Length11".len() as u64;
    stats.expect_sums(
        "counted-bytes",
        &[
            ("client-content-bytes-received", 5),
            ("client-content-bytes-sent", 11),
            ("client-header-bytes-sent", head),
            ("client-messages-received", 0),
            ("server-content-bytes-received", 11),
            ("server-content-bytes-sent", 5),
            ("server-header-bytes-received", head),
        ],
    );
}

#[test]
fn heads_of_requests_are_counted_on_both_sides() {
    let stats = Stats::listen();
    let page = Page::answering(Answer::text("x"));
    counting_blocks().fetch(&get(&page.path).host("counted-heads.test"));
    let figures = |report: &Value| {
        let figure = |name: &str| report[name].as_u64().unwrap_or_default();
        (figure("client-header-bytes-received"), figure("server-header-bytes-sent"))
    };
    let route = json!({"route": "counted-heads"});
    let mut counted = figures(&stats.expect("report", &route));
    while counted == (0, 0) {
        counted = figures(&stats.expect("report", &route));
    }
    let (received, sent) = counted;
    let head = format!("GET{}Hostcounted-heads.test", page.path).len() as u64;
    // The server asks with Grip-Sig and more.
    assert!(received >= head && sent > received, "{received} {sent}");
}

#[test]
fn what_is_held_is_counted_for_its_route_too() {
    pushpin_differs!("what it holds is counted for no route");
    let (stats, channel) = (Stats::listen(), unique("ch"));
    let hold = Answer::text("[opened]\n").header("Grip-Hold", "stream").header("Grip-Channel", &channel);
    let page = Page::answering(hold);
    let mut client = counting_blocks().ask(&get(&page.path).host("counted-stream.test"));
    client.head();
    client.expect_body("[opened]\n");
    counting_blocks().publish_stream(&channel, "0123456789abcdefghij");
    client.expect_body("0123456789abcdefghij");
    let figures = [
        ("client-content-bytes-sent", 29),
        ("server-content-bytes-received", 9),
        ("sent", 1),
        ("blocks-sent", 2),
    ];
    stats.expect_sums("counted-stream", &figures);
}

#[test]
fn an_answered_long_poll_is_counted_for_its_route_too() {
    pushpin_differs!("what it holds is counted for no route");
    let (stats, channel) = (Stats::listen(), unique("ch"));
    let hold = Answer::text("nothing\n").header("Grip-Hold", "response").header("Grip-Channel", &channel);
    let page = Page::answering(hold);
    let mut client = counting_blocks().ask(&get(&page.path).host("counted-poll.test"));
    counting_blocks().publish_until_answered(&mut client, response_item(&channel, "answer"));
    stats.expect_sums(
        "counted-poll",
        &[("client-content-bytes-sent", 6), ("http-response-sent", 1), ("sent", 1)],
    );
}

#[test]
fn messages_of_a_websocket_over_http_are_counted_on_both_sides() {
    let (stats, channel) = (Stats::listen(), unique("ch"));
    let application = Application::answering(welcoming(&channel));
    let mut socket = counting_blocks().open("counted-talk.test", &application.page.path);
    socket.expect_text("welcome");
    socket.text("hello");
    socket.expect_text("you said");
    let said =
        format!("c:{}m:welcomem:you said", json!({"type": "subscribe", "channel": channel})).len() as u64;
    stats.expect_sums(
        "counted-talk",
        &[
            ("client-messages-received", 1),
            ("client-content-bytes-received", 5),
            ("client-messages-sent", 2),
            ("client-content-bytes-sent", 15),
            ("server-messages-received", 3),
            ("server-content-bytes-received", said),
            ("server-messages-sent", 1),
            ("server-content-bytes-sent", 5),
        ],
    );
}

#[test]
fn messages_of_a_websocket_that_passes_through_are_counted_on_both_sides() {
    let stats = Stats::listen();
    let (mut client, mut server) = Sockets::speaking_grip().open(counting_blocks(), "counted-pass.test");
    client.text("hello");
    server.expect_text("hello");
    server.text("m:hi");
    client.expect_text("hi");
    stats.expect_sums(
        "counted-pass",
        &[
            ("client-messages-received", 1),
            ("client-content-bytes-received", 5),
            ("client-messages-sent", 1),
            ("client-content-bytes-sent", 2),
            ("server-messages-received", 1),
            ("server-content-bytes-received", 4),
            ("server-messages-sent", 1),
            ("server-content-bytes-sent", 5),
        ],
    );
}

//! What Prometheus is answered.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::harness::client::{Client, Response};
use crate::harness::origin::{Answer, Page};
use crate::harness::proxy::standard;
use crate::harness::publisher::stream_item;
use crate::harness::request::{get, request};
use crate::harness::{patience, pushpin_differs, unique};

fn ask(method: &str, path: &str) -> Response {
    let request = request(method, path).header("Connection", "close");
    Client::connect(standard().metrics).send(request.bytes()).response()
}

/// The values, by name.
fn metrics() -> BTreeMap<String, u64> {
    let response = ask("GET", "/metrics");
    let lines = response.text().lines().filter(|line| !line.starts_with('#'));
    let value = |line: &str| {
        let (name, value) = line.split_once(' ').expect("a name and a value");
        (name.to_owned(), value.parse().expect("a number"))
    };
    lines.map(value).collect()
}

#[test]
fn any_request_is_answered_with_the_metrics() {
    for (method, path) in [("GET", "/metrics"), ("GET", "/"), ("GET", "/what/ever?it=is"), ("DELETE", "/")] {
        let response = ask(method, path);
        assert_eq!(response.code, 200);
        assert_eq!(response.headers.get("Content-Type"), Some("text/plain"));
        let wanted = "# HELP some_request_received Number of requests received\n\
                      # TYPE some_request_received counter\nsome_request_received ";
        assert!(response.text().starts_with(wanted), "{}", response.text());
        for (name, kind) in [
            ("connection_connected", "gauge"),
            ("connection_minute", "counter"),
            ("message_received", "counter"),
            ("message_sent", "counter"),
        ] {
            assert!(response.text().contains(&format!("# TYPE some_{name} {kind}\nsome_{name} ")));
        }
    }
}

#[test]
fn requests_connections_and_messages_are_counted() {
    let channel = unique("ch");
    let before = metrics();
    let hold = Answer::text("[opened]\n").header("Grip-Hold", "stream").header("Grip-Channel", &channel);
    let page = Page::answering(hold);
    let mut clients: Vec<Client> = (0..3).map(|_| standard().ask(&get(&page.path))).collect();
    for client in &mut clients {
        client.head();
        client.expect_body("[opened]\n");
    }
    standard().publish(stream_item(&channel, "x"));
    let grown = |now: &BTreeMap<String, u64>, name: &str| now[name].saturating_sub(before[name]);
    let deadline = Instant::now() + patience();
    loop {
        let now = metrics();
        let sent = grown(&now, "some_message_sent") >= 3 && grown(&now, "some_message_received") >= 1;
        let asked = grown(&now, "some_request_received") >= 3 && grown(&now, "some_connection_minute") >= 3;
        if sent && asked && now["some_connection_connected"] >= 3 {
            return;
        }
        assert!(Instant::now() < deadline, "{before:?}, and then {now:?}");
    }
}

#[test]
fn everything_that_the_server_counts_is_there_by_its_own_name() {
    pushpin_differs!("it has five figures");
    let metrics = metrics();
    for name in ["connections", "channels", "publications_total", "overflows_total"] {
        assert!(metrics.contains_key(&format!("gripwire_{name}")), "{name}");
    }
}

//! Clients of this machine, by a file.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::time::Instant;

use serde_json::json;

use crate::harness::origin::{Answer, Page};
use crate::harness::proxy::{Proxy, appending_forwarded_for, standard};
use crate::harness::request::{Request, get};
use crate::harness::{patience, pushpin_differs, unique};

fn connect(proxy: &Proxy) -> UnixStream {
    let socket = UnixStream::connect(&proxy.local).expect("the server under test accepts a connection");
    socket.set_read_timeout(Some(patience())).expect("a timeout");
    socket
}

/// The whole answer to `request`, after which the connection is closed.
fn fetch(proxy: &Proxy, request: &Request) -> String {
    let mut socket = connect(proxy);
    socket.write_all(&request.clone().header("Connection", "close").bytes()).expect("a request is sent");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("an answer");
    answer
}

/// Reads up to and with `end`.
fn read_until(socket: &mut UnixStream, end: &str) {
    let mut seen = Vec::new();
    while !seen.ends_with(end.as_bytes()) {
        let mut byte = [0];
        socket.read_exact(&mut byte).unwrap_or_else(|error| panic!("{error} after {seen:?}"));
        seen.push(byte[0]);
    }
}

/// A stream on `channel`, whose beginning has come.
fn stream(channel: &str) -> UnixStream {
    let hold = Answer::text("[opened]\n").header("Grip-Hold", "stream").header("Grip-Channel", channel);
    let page = Page::answering(hold);
    let mut socket = connect(standard());
    socket.write_all(&get(&page.path).bytes()).expect("a request is sent");
    read_until(&mut socket, "[opened]\n\r\n");
    socket
}

#[test]
fn a_request_is_answered_as_one_by_tcp() {
    let page = Page::answering(Answer::text("ok"));
    let answer = fetch(standard(), &get(&page.path).host("plain.test"));
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nok"), "{answer}");
    let headers = page.request().headers;
    assert_eq!(headers.get("X-Route"), Some("plain"), "it is not by TLS");
    assert!(!headers.has("X-Forwarded-Proto"));
}

#[test]
fn a_client_without_an_address_is_given_none() {
    pushpin_differs!("Pushpin appends a hop without a name");
    let page = Page::answering(Answer::text("ok"));
    fetch(appending_forwarded_for(), &get(&page.path).header("X-Forwarded-For", "10.1.1.1"));
    assert_eq!(page.request().headers.get("X-Forwarded-For"), Some("10.1.1.1"));
    fetch(appending_forwarded_for(), &get(&page.path));
    assert_eq!(page.request().headers.get("X-Forwarded-For"), None);
}

#[test]
fn a_stream_gets_what_is_published() {
    let channel = unique("ch");
    let mut socket = stream(&channel);
    standard().publish_stream(&channel, "one\n");
    standard().publish(json!({"channel": channel, "formats": {"http-stream": {"action": "close"}}}));
    read_until(&mut socket, "one\n\r\n0\r\n\r\n");
}

#[test]
fn many_come_and_go() {
    let page = Page::answering(Answer::text("ok"));
    let mut sockets: Vec<UnixStream> = (0..100).map(|_| connect(standard())).collect();
    for socket in &mut sockets {
        socket.write_all(&get(&page.path).bytes()).expect("a request is sent");
    }
    for socket in &mut sockets {
        read_until(socket, "\r\n\r\nok");
        socket.shutdown(Shutdown::Both).expect("an end");
    }
    assert!(fetch(standard(), &get(&page.path)).ends_with("ok"));
}

#[test]
fn the_file_has_the_mode_it_was_given() {
    pushpin_differs!("1.36 takes no mode");
    let mode = std::fs::metadata(&standard().local).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
}

#[test]
fn operators_see_that_it_has_no_address() {
    pushpin_differs!("Pushpin shows no clients");
    let channel = unique("ch");
    let _socket = stream(&channel);
    let look = |path: String| -> serde_json::Value {
        let answer = standard().control(&get(path));
        serde_json::from_str(answer.text()).expect("JSON")
    };
    let deadline = Instant::now() + patience();
    loop {
        let seen = look(format!("/channels/{channel}"));
        if let Some(id) = seen["connections"][0]["id"].as_str() {
            assert_eq!(look(format!("/connections/{id}"))["peer"], serde_json::Value::Null);
            return;
        }
        assert!(Instant::now() < deadline, "{seen}");
    }
}

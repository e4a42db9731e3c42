//! Clients that speak no TLS where they should, or stop within it, cost nobody else anything.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use rustls::pki_types::ServerName;

use crate::harness::origin::{Answer, Page};
use crate::harness::proxy::{Proxy, recovering, standard};
use crate::harness::request::get;
use crate::harness::tls::{EXACT, config, handshake};
use crate::harness::{patience, pushpin_differs, unique};

/// A ClientHello.
fn hello() -> Vec<u8> {
    let name = ServerName::try_from(EXACT).expect("a name");
    let mut client = rustls::ClientConnection::new(std::sync::Arc::new(config()), name).expect("a client");
    let mut hello = Vec::new();
    client.write_tls(&mut hello).expect("a ClientHello");
    hello
}

/// What the server says to `bytes` before it ends the connection.
fn said_to(proxy: &Proxy, bytes: &[u8]) -> Vec<u8> {
    let mut socket = TcpStream::connect(proxy.https).expect("a connection");
    socket.set_read_timeout(Some(patience())).expect("a timeout");
    socket.write_all(bytes).expect("bytes are sent");
    let mut said = Vec::new();
    match socket.read_to_end(&mut said) {
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => panic!("the connection stays open"),
        _ => said,
    }
}

/// A stream by TLS still gets what is published.
fn expect_service(proxy: &Proxy) {
    let channel = unique("ch");
    let hold = Answer::text("[opened]\n").header("Grip-Hold", "stream").header("Grip-Channel", &channel);
    let page = Page::answering(hold);
    let mut client = proxy.connect_tls(EXACT);
    client.send(get(&page.path).bytes());
    client.head();
    client.expect_body("[opened]\n");
    proxy.publish_stream(&channel, "news\n");
    client.expect_body("news\n");
}

#[test]
fn what_is_no_tls_ends_the_connection() {
    let mut long = vec![0x16, 3, 1, 0x40, 0];
    long.resize(100_000, 0xff);
    for bytes in [&b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..], &[0xff; 1000], &long] {
        let said = said_to(standard(), bytes);
        assert!(said.len() < 100, "{said:?}");
    }
    expect_service(standard());
}

#[test]
fn a_hello_that_is_changed_at_any_byte_costs_nobody_else_anything() {
    let hello = hello();
    let changed = (0..hello.len()).step_by(7).map(|at| {
        let mut changed = hello.clone();
        changed[at] ^= 0x55;
        changed
    });
    for changed in changed {
        let mut socket = TcpStream::connect(standard().https).expect("a connection");
        socket.write_all(&changed).expect("bytes are sent");
    }
    expect_service(standard());
}

#[test]
fn clients_that_vanish_in_the_handshake_cost_nobody_else_anything() {
    let hello = hello();
    for length in (0..=hello.len()).step_by(9) {
        let mut socket = TcpStream::connect(standard().https).expect("a connection");
        socket.write_all(&hello[..length]).expect("bytes are sent");
    }
    for _ in 0..5 {
        let mut socket = TcpStream::connect(standard().https).expect("a connection");
        socket.write_all(&hello).expect("bytes are sent");
        let _ = socket.read(&mut [0; 100]);
    }
    expect_service(standard());
}

/// What the server counts under `name`.
fn counted(proxy: &Proxy, name: &str) -> u64 {
    let response = proxy.control(&get("/stats"));
    let stats: serde_json::Value = serde_json::from_str(response.text()).expect("JSON");
    stats[name].as_u64().unwrap_or_else(|| panic!("no {name} in {stats}"))
}

fn await_counted(proxy: &Proxy, name: &str, least: u64) {
    let deadline = Instant::now() + patience();
    while counted(proxy, name) < least {
        assert!(Instant::now() < deadline, "{name} stays at {}", counted(proxy, name));
    }
}

#[test]
fn failures_are_counted() {
    pushpin_differs!("Pushpin counts none");
    let before = counted(standard(), "tls_failures_total");
    said_to(standard(), b"no TLS at all");
    handshake(standard().https, "no.such.test").expect_err("a certificate for anything");
    await_counted(standard(), "tls_failures_total", before + 2);
}

#[test]
fn a_client_that_does_not_read_is_closed_and_others_get_everything() {
    pushpin_differs!("Pushpin drops messages instead");
    let (proxy, channel) = (recovering(), unique("ch"));
    let hold = Answer::text("[opened]\n").header("Grip-Hold", "stream").header("Grip-Channel", &channel);
    let page = Page::answering(hold);
    let mut reads = proxy.connect_tls(EXACT);
    reads.send(get(&page.path).bytes());
    reads.head();
    reads.expect_body("[opened]\n");
    let mut stalls = handshake(proxy.https, EXACT).expect("a handshake");
    stalls.write_all(&get(&page.path).bytes()).expect("a request");
    let mut seen = Vec::new();
    while !seen.ends_with(b"[opened]\n\r\n") {
        let mut byte = [0];
        stalls.read_exact(&mut byte).expect("the beginning of a stream");
        seen.push(byte[0]);
    }
    let before = counted(proxy, "overflows_total");
    let content = "x".repeat(500_000);
    let deadline = Instant::now() + patience();
    while counted(proxy, "overflows_total") == before {
        assert!(Instant::now() < deadline, "the backlog never ends");
        proxy.publish_stream(&channel, &content);
        reads.expect_body(&content);
    }
    let mut rest = Vec::new();
    let cut = stalls.read_to_end(&mut rest).expect_err("a stream that is cut");
    assert!(!rest.is_empty(), "nothing of the stream, then {cut}");
    proxy.publish_stream(&channel, "still here\n");
    reads.expect_body("still here\n");
}

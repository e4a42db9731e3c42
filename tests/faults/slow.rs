//! Clients that do not take what they are sent, and clients that are slow to say what they want.

use gripwire_harness::deadline::patience;
use gripwire_harness::server::Server;
use gripwire_harness::socket::patient;
use gripwire_harness::subscriber::Subscriber;
use socket2::{Domain, Socket, Type};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

#[test]
fn a_subscriber_that_stops_reading_is_closed_and_counted_and_the_others_miss_nothing() {
    let server = Server::start("* demo", "[limits]\nbacklog_bytes = 200000");
    let mut reading = subscribe(&server, server.connect());
    let stalled = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    stalled.set_recv_buffer_size(4096).unwrap();
    stalled.connect(&server.clients.into()).unwrap();
    let stalled = subscribe(&server, stalled.into());
    let message = "m".repeat(60_000);
    let deadline = Instant::now() + patience();
    while server.stats()["overflows_total"] == 0 {
        server.publish("c", &message);
        reading.expect_chunk(&message);
        assert!(Instant::now() < deadline, "nobody was closed: {:?}", server.stats());
    }
    let stats = server.await_stats(|stats| stats["subscriptions"] == 1 && stats["backlog_bytes"] == 0);
    assert_eq!(stats["overflows_total"], 1);
    drop(stalled);
}

#[test]
fn a_slow_head_is_told_so_and_the_connection_ends() {
    let server = Server::start("* demo", "[http]\nhead_timeout_ms = 300");
    let mut client = server.connect();
    client.write_all(b"GET / HTTP/1.1\r\nHost:").unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
}

#[test]
fn a_connection_that_says_nothing_ends() {
    let server = Server::start("* demo", "[http]\nhead_timeout_ms = 300");
    let mut answer = Vec::new();
    server.connect().read_to_end(&mut answer).unwrap();
    assert_eq!(answer, b"");
    server.await_empty();
}

/// Holds a stream on the channel `c`, with its opening read.
fn subscribe(server: &Server, client: TcpStream) -> Subscriber {
    let before = server.stats()["holds_total"];
    let subscriber = Subscriber::stream_over(patient(client), "c");
    server.await_stats(|stats| stats["holds_total"] > before);
    subscriber
}

//! Clients that do not take what they are sent, and clients that are slow to say what they want.

use crate::server::{PATIENCE, Server, patient, read_head};
use socket2::{Domain, Socket, Type};
use std::io::{BufReader, Read, Write};
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
    let chunk = format!("{:x}\r\n{message}\r\n", message.len());
    let deadline = Instant::now() + PATIENCE;
    while server.stats()["overflows_total"] == 0 {
        server.publish("c", &message);
        let mut got = vec![0; chunk.len()];
        reading.read_exact(&mut got).unwrap();
        assert!(got == chunk.as_bytes(), "a message that is not the one published");
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
fn subscribe(server: &Server, client: TcpStream) -> BufReader<TcpStream> {
    let before = server.stats()["holds_total"];
    let mut client = patient(client);
    client.write_all(b"GET /hold?channel=c HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut reader = BufReader::new(client);
    read_head(&mut reader);
    let mut opening = [0; b"5\r\nheld\n\r\n".len()];
    reader.read_exact(&mut opening).unwrap();
    server.await_stats(|stats| stats["holds_total"] > before);
    reader
}

//! A server that is stopped for longer than its timeouts (SIGSTOP, a machine that sleeps or is busy) while what it
//! waits for arrives. When it goes on, it reads that before it judges anybody: nobody is cut.

use crate::bodies::discarding_origin;
use gripwire_harness::deadline::patience;
use gripwire_harness::origin::Origin;
use gripwire_harness::server::Server;
use gripwire_harness::socket::read_head;
use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::channel;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::sleep;
use std::time::Duration;

const CLIENTS: usize = 200;
const TIMEOUT_MS: u64 = 3_000;
/// Longer than the timeout, and so is what follows the arrival.
const PAUSE: Duration = Duration::from_millis(TIMEOUT_MS + 1_000);

#[test]
fn request_heads_that_arrive_while_the_server_is_stopped_are_answered() {
    let server = Server::start("* demo", &format!("[http]\nhead_timeout_ms = {TIMEOUT_MS}"));
    let clients = begin(&server, "GET / HTTP/1.1\r\nHost:");
    let clients =
        pause(&server, clients, |client| client.write_all(b" x\r\nConnection: close\r\n\r\n").unwrap());
    assert_answered(clients);
}

#[test]
fn bodies_that_arrive_while_the_server_is_stopped_reach_the_application() {
    // The first is read whole before the application is asked, the second is passed on as it comes.
    // Of that more comes than the server has buffers for.
    for length in [4_000, 100_000] {
        let origin = discarding_origin();
        let server = Server::start(&origin.route(), &format!("[http]\nidle_timeout_ms = {TIMEOUT_MS}"));
        let head =
            format!("POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
        let half = "b".repeat(length / 2);
        let clients = begin(&server, &(head + &half));
        let clients = pause(&server, clients, |client| client.write_all(half.as_bytes()).unwrap());
        for answer in assert_answered(clients) {
            assert!(answer.ends_with(&format!("\r\n\r\n{length}")), "{answer}");
        }
    }
}

#[test]
fn answers_that_arrive_while_the_server_is_stopped_reach_their_clients() {
    let (asked, all_asked) = channel();
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let opened = gate.clone();
    let application = Origin::raw(move |mut server| {
        read_head(&mut BufReader::new(&server));
        asked.send(()).unwrap();
        let is_closed = opened.0.lock().unwrap();
        drop(opened.1.wait_while(is_closed, |is_open| !*is_open).unwrap());
        server.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok").unwrap();
    });
    let server = Server::start(&application.route(), &format!("origin_idle_timeout_ms = {TIMEOUT_MS}"));
    let clients: Vec<TcpStream> = (0..CLIENTS)
        .map(|_| {
            let mut client = server.connect();
            client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
            client
        })
        .collect();
    (0..CLIENTS).for_each(|_| all_asked.recv_timeout(patience()).unwrap());
    server.stop();
    *gate.0.lock().unwrap() = true;
    gate.1.notify_all();
    sleep(PAUSE);
    server.go_on();
    assert_answered(clients);
}

#[test]
fn pongs_that_arrive_while_the_server_is_stopped_are_heard() {
    let server = server_that_pings(1_000);
    let mut clients = open_sockets(&server);
    clients.iter_mut().for_each(await_ping);
    let clients = pause(&server, clients, pong);
    // Whoever is cut gets no other ping.
    clients.into_iter().for_each(|mut client| await_ping(&mut client));
}

#[test]
fn who_could_not_be_pinged_in_time_is_pinged_late_and_has_time_to_answer() {
    let server = server_that_pings(2_000);
    let mut clients = open_sockets(&server);
    server.stop();
    // Longer than a ping and its pong would take.
    sleep(Duration::from_millis(2_000 + TIMEOUT_MS) + Duration::from_secs(1));
    server.go_on();
    clients.iter_mut().for_each(await_ping);
    sleep(Duration::from_millis(TIMEOUT_MS / 3));
    clients.iter_mut().for_each(pong);
    clients.iter_mut().for_each(await_ping);
}

/// Clients that have sent `start`, which the server has read.
fn begin(server: &Server, start: &str) -> Vec<TcpStream> {
    let clients = (0..CLIENTS).map(|_| {
        let mut client = server.connect();
        client.write_all(start.as_bytes()).unwrap();
        client
    });
    let clients: Vec<TcpStream> = clients.collect();
    server.await_stats(|stats| stats["connections"] >= CLIENTS as u64);
    clients
}

/// Has each client do `what` while the server is stopped, which it stays for longer than its timeout.
fn pause(server: &Server, mut clients: Vec<TcpStream>, what: impl Fn(&mut TcpStream)) -> Vec<TcpStream> {
    server.stop();
    clients.iter_mut().for_each(what);
    sleep(PAUSE);
    server.go_on();
    clients
}

fn assert_answered(clients: Vec<TcpStream>) -> Vec<String> {
    let answers = clients.into_iter().map(|mut client| {
        let mut answer = Vec::new();
        let _ = client.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    });
    let answers: Vec<String> = answers.collect();
    let cut = answers.iter().filter(|answer| !answer.starts_with("HTTP/1.1 200 ")).count();
    assert_eq!(cut, 0, "of {CLIENTS} clients; the first has {:?}", answers.first());
    answers
}

fn server_that_pings(interval_ms: u64) -> Server {
    let settings = format!("[websocket]\nping_interval_ms = {interval_ms}\npong_timeout_ms = {TIMEOUT_MS}");
    Server::start("* demo,over_http", &settings)
}

/// WebSockets that are open, with what their application says first read.
fn open_sockets(server: &Server) -> Vec<TcpStream> {
    let sockets = (0..CLIENTS).map(|_| {
        let mut client = server.connect();
        client.write_all(HANDSHAKE).unwrap();
        client
    });
    let mut sockets: Vec<TcpStream> = sockets.collect();
    for socket in &mut sockets {
        let mut head = Vec::new();
        while !head.ends_with(HELD) {
            let mut byte = [0];
            socket.read_exact(&mut byte).unwrap();
            head.extend(byte);
        }
        assert!(head.starts_with(b"HTTP/1.1 101 "));
    }
    sockets
}

/// Reads the frame of a ping that is the server's own.
fn await_ping(client: &mut TcpStream) {
    let mut frame = [0; PING.len()];
    client.read_exact(&mut frame).expect("a ping");
    assert_eq!(&frame, PING);
}

/// Answers it, masked with zeros.
fn pong(client: &mut TcpStream) {
    client.write_all(b"\x8a\x88\0\0\0\0gripwire").unwrap();
}

const PING: &[u8; 10] = b"\x89\x08gripwire";
/// The end of the head, and the first message.
const HELD: &[u8] = b"\r\n\r\n\x81\x04held";
const HANDSHAKE: &[u8] = b"GET /socket?channel=c HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

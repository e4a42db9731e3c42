//! Clients that begin one conversation of SockJS after the other, and clients that do not take what they are told.

use crate::DEADLINE;
use gripwire_harness::client::Client;
use gripwire_harness::deadline::patience;
use gripwire_harness::frames::{Peer, TEXT};
use gripwire_harness::innocent::Innocent;
use gripwire_harness::origin::{Origin, Received, Then};
use gripwire_harness::request::{Request, request};
use gripwire_harness::server::{Launch, Server};
use gripwire_harness::socket::patient;
use socket2::{Domain, Socket, Type};
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use tungstenite::handshake::derive_accept_key;

/// How many conversations there may be.
const CONVERSATIONS: usize = 320;
/// How many one client begins.
const ATTEMPTS: usize = 1_000;
/// How many one connection begins where there may be more.
const MANY: usize = 2_000;
/// Descriptors for something else: connections to an application, and those of innocent clients.
const FILES: usize = 60;
/// The channels of the innocent client are given up soon.
const SOON_EMPTY: &str = "[channels]\nlinger_ms = 500";
/// Messages of an application, and their length.
const MESSAGES: usize = 100;
const MESSAGE_BYTES: usize = 100_000;
/// Lists of its client, and their length. They may wait together.
const LISTS: usize = 9;
const LIST_BYTES: usize = 90_000;

/// Begins a conversation, or asks what has come in it.
fn poll(number: usize) -> Request {
    request("POST", format!("/sockjs/000/conversation-{number}/xhr")).host("any.test").body("")
}

fn client_from(host: u8, server: &Server) -> Client {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from(([127, 0, 0, host], 0)).into()).expect("an address");
    socket.connect(&server.clients.into()).expect("a connection");
    Client::over(patient(socket.into()))
}

#[test]
fn one_client_does_not_begin_all_conversations_that_there_may_be() {
    let application = Origin::events(|events| events.replace("DISCONNECT\r\n", ""));
    let server = Launch::route(&format!("*,sockjs=/sockjs {},over_http", application.address()))
        .and_route(Innocent::ROUTE)
        .settings(&format!("[limits]\nsockjs_conversations = {CONVERSATIONS}\nexempt = []\n{SOON_EMPTY}"))
        .start();
    let innocent = Innocent::beside(&server);
    let files = server.files();
    let mut attacker = server.client();
    let codes: Vec<u16> =
        (0..ATTEMPTS).map(|number| attacker.send(poll(number).bytes()).response().code).collect();
    let begun = codes.iter().filter(|code| **code == 200).count();
    assert!(codes.iter().all(|code| [200, 503].contains(code)));
    // Some may have ended meanwhile, and made room; all at once they never were.
    assert!(codes.contains(&503) && begun >= CONVERSATIONS / 8 * 7, "{begun} of {ATTEMPTS}");
    let grown = server.files().saturating_sub(files);
    assert!(grown < FILES, "{grown} descriptors");
    let mut other = client_from(2, &server);
    assert_eq!(other.send(poll(ATTEMPTS).bytes()).response().code, 200);
    innocent.expect_unharmed(DEADLINE);
    drop((attacker, other));
    server.await_empty();
}

#[test]
fn clients_of_a_believed_proxy_have_places_of_their_own() {
    let server = Launch::route("*,sockjs=/sockjs,sockjs_as_path=/ws test")
        .and_route(Innocent::ROUTE)
        .settings(&format!(
            "[http]\ntrusted_proxies = [\"127.0.0.1\"]\n[limits]\nsockjs_conversations = 64\n{SOON_EMPTY}"
        ))
        .start();
    let innocent = Innocent::beside(&server);
    let mut proxy = server.client();
    let mut begin = |number, client| {
        let poll = poll(number).header("X-Forwarded-For", client);
        proxy.send(poll.bytes()).response().code
    };
    let refused = (0..ATTEMPTS).find(|number| begin(*number, "192.0.2.1") == 503);
    assert!(refused.is_some_and(|number| number >= 56), "{refused:?}");
    assert_eq!(begin(ATTEMPTS, "192.0.2.2"), 200, "by the same connection");
    innocent.expect_unharmed(DEADLINE);
    drop(proxy);
    server.await_empty();
}

#[test]
fn conversations_take_no_descriptors_and_no_connections() {
    let server = Launch::route("*,sockjs=/sockjs,sockjs_as_path=/ws test")
        .and_route(Innocent::ROUTE)
        .settings(&format!(
            "[limits]\nconnections_per_core = {FILES}\nsockjs_conversations = {}\n{SOON_EMPTY}",
            2 * MANY
        ))
        .start();
    let innocent = Innocent::beside(&server);
    let (files, memory) = (server.files(), server.memory_bytes("VmHWM"));
    let mut attacker = server.client();
    let (mut most_files, mut most_conversations) = (0, 0);
    for number in 0..MANY {
        assert_eq!(attacker.send(poll(number).bytes()).response().text(), "o\n");
        if number % 100 == 99 {
            most_files = most_files.max(server.files());
            let stats = server.stats();
            most_conversations = most_conversations.max(stats["sockjs_conversations"]);
            assert!(stats["connections"] < FILES as u64, "{} connections", stats["connections"]);
        }
    }
    let grown = most_files.saturating_sub(files);
    assert!(grown < FILES && most_conversations > 4 * FILES as u64, "{grown} for {most_conversations}");
    let grown = server.memory_bytes("VmHWM") - memory;
    assert!(grown < 40_000_000, "{grown} bytes for {most_conversations} conversations");
    // The last ones go on.
    let said = request("POST", format!("/sockjs/000/conversation-{}/xhr_send", MANY - 1)).host("any.test");
    assert_eq!(attacker.send(said.body("[\"still here\"]").bytes()).response().code, 204);
    assert_eq!(attacker.send(poll(MANY - 1).bytes()).response().text(), "a[\"still here\"]\n");
    innocent.expect_unharmed(DEADLINE);
    drop(attacker);
    server.await_empty();
}

/// Accepts every WebSocket, and hands it to the test.
fn application() -> (Origin, Receiver<TcpStream>) {
    let (report, accepted) = channel();
    let application = Origin::handling(move |request, socket| {
        let _ = socket.write_all(acceptance(request).as_bytes());
        let _ = report.send(socket.try_clone().expect("a second handle"));
        Then::Close
    });
    (application, accepted)
}

fn acceptance(request: &Received) -> String {
    let key = request.headers.get("Sec-WebSocket-Key").expect("a WebSocket has a key");
    let accept = derive_accept_key(key.as_bytes());
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    )
}

/// A message of `bytes` that tells its number.
fn message(number: usize, bytes: usize) -> String {
    format!("{}{number:03}", "0".repeat(bytes - 3))
}

#[test]
fn an_application_waits_for_a_client_that_does_not_read_and_the_client_for_it() {
    let (application, accepted) = application();
    let server = Launch::route(&format!("*,sockjs=/sockjs {}", application.address()))
        .and_route(Innocent::ROUTE)
        .settings(SOON_EMPTY)
        .start();
    let innocent = Innocent::beside(&server);
    let memory = server.memory_bytes("VmHWM");
    let mut socket = server.websocket("any.test", "/sockjs/000/large/websocket");
    socket.expect_text("o");
    let mut client = Peer::client(&socket);
    let stream = accepted.recv_timeout(patience()).expect("a WebSocket reaches the application");
    let mut teller = Peer::server(stream.try_clone().expect("a second handle"));
    let mut application = Peer::server(stream);
    let telling = thread::spawn(move || {
        (0..MESSAGES).for_each(|number| teller.text(&message(number, MESSAGE_BYTES)));
    });
    for number in 0..LISTS {
        client.text(&format!("[\"{}\"]", message(number, LIST_BYTES)));
    }
    // Meanwhile neither side reads.
    (0..3).for_each(|_| innocent.await_round());
    for number in 0..LISTS {
        application.expect_text(&message(number, LIST_BYTES));
    }
    let mut told = 0;
    while told < MESSAGES {
        let frame = client.next_frame();
        assert_eq!(frame.kind, TEXT);
        let list = frame.payload.strip_prefix(b"a").expect("a list of messages");
        for text in serde_json::from_slice::<Vec<String>>(list).expect("JSON") {
            assert_eq!(text.len(), MESSAGE_BYTES);
            assert_eq!(text.parse(), Ok(told));
            told += 1;
        }
    }
    telling.join().expect("the application could tell everything");
    let grown = server.memory_bytes("VmHWM") - memory;
    assert!(grown < MESSAGES as u64 * MESSAGE_BYTES as u64 / 2, "{grown} bytes for what waits");
    innocent.expect_unharmed(DEADLINE);
    drop((client, socket, application));
    server.await_empty();
}

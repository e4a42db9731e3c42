//! Clients that begin one conversation of SockJS after the other.

use crate::DEADLINE;
use gripwire_harness::client::Client;
use gripwire_harness::innocent::Innocent;
use gripwire_harness::origin::Origin;
use gripwire_harness::request::{Request, request};
use gripwire_harness::server::{Launch, Server};
use gripwire_harness::socket::patient;
use socket2::{Domain, Socket, Type};
use std::net::SocketAddr;

/// How many conversations there may be.
const CONVERSATIONS: usize = 320;
/// How many one client begins.
const ATTEMPTS: usize = 1_000;

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
        .settings(&format!("[limits]\nsockjs_conversations = {CONVERSATIONS}\nexempt = []"))
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
    assert!(grown < 2 * CONVERSATIONS + 100, "{grown} descriptors");
    let mut other = client_from(2, &server);
    assert_eq!(other.send(poll(ATTEMPTS).bytes()).response().code, 200);
    innocent.expect_unharmed(DEADLINE);
    drop((attacker, other));
    server.await_empty();
}

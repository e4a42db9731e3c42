//! Clients and applications that let go of no request: uploads that do not go on, applications that hang.

use crate::DEADLINE;
use gripwire_harness::client::Client;
use gripwire_harness::deadline::await_some;
use gripwire_harness::innocent::Innocent;
use gripwire_harness::origin::{Answer, Origin, Then};
use gripwire_harness::request::{Request, get, request};
use gripwire_harness::server::{Launch, Server};
use gripwire_harness::socket::patient;
use socket2::{Domain, Socket, Type};
use std::net::SocketAddr;
use std::time::Duration;

/// Requests that may be open.
const OPEN: u64 = 64;
/// Those of them that whoever is alone may have.
const UNRESERVED: u64 = 56;
/// Requests that an attack makes.
const ATTACK: u64 = 80;
/// How long a client that waits is looked at.
const GLANCE: Duration = Duration::from_millis(1);
/// Larger than what a core reads before it asks the application.
const UPLOAD_BYTES: usize = 20_000;

/// A server with one core before the applications of `routes`.
fn server(routes: &[String], settings: &str) -> Server {
    let launch = Launch::route(Innocent::ROUTE).cores(1);
    let launch = routes.iter().fold(launch, |launch, route| launch.and_route(route));
    launch.settings(&format!("open_requests_per_core = {OPEN}\n{settings}")).start()
}

fn client_at(address: [u8; 4], server: &Server) -> Client {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from((address, 0)).into()).expect("an address");
    socket.connect(&server.clients.into()).expect("a connection");
    Client::over(patient(socket.into()))
}

/// So many clients that each send `bytes`, at the addresses that `address` gives.
fn attack(server: &Server, address: impl Fn(u8) -> [u8; 4], bytes: &[u8]) -> Vec<Client> {
    let attackers = (0..ATTACK as u8).map(|number| {
        let mut attacker = client_at(address(number), server);
        attacker.send(bytes);
        attacker
    });
    attackers.collect()
}

/// An upload without its last byte.
fn upload() -> Vec<u8> {
    let mut upload =
        request("POST", "/").header("X-Forwarded-For", "192.0.2.1").body([b'1'; UPLOAD_BYTES]).bytes();
    upload.pop();
    upload
}

fn serving() -> Origin {
    Origin::answering(Answer::text("served"))
}

fn hanging() -> Origin {
    Origin::handling(|_, _| Then::KeepOpen)
}

fn await_requests(server: &Server, open: u64, queued: u64) {
    await_some("so many requests are open, and so many wait", || {
        let stats = server.stats();
        (stats["open_requests"] == open && stats["queued_requests"] == queued).then_some(())
    });
}

#[track_caller]
fn expect_served(mut client: Client, request: &Request) {
    client.send(request.bytes());
    assert!(client.answered_within(DEADLINE), "it waits");
    assert_eq!(client.response().text(), "served");
}

#[track_caller]
fn expect_refusal(client: &mut Client) {
    let refusal = client.response();
    assert_eq!((refusal.code, refusal.headers.get("Retry-After")), (503, Some("5")));
    assert_eq!(refusal.text(), "Too many requests wait for the application.\n");
}

#[test]
fn an_application_that_hangs_leaves_room_for_others() {
    let (hangs, serves) = (hanging(), serving());
    let routes = [format!("hangs.test {}", hangs.address()), serves.route()];
    let server = server(&routes, "queue_timeout_ms = 0");
    let innocent = Innocent::beside(&server);
    let attackers = attack(&server, |number| [127, 0, 1, number], &get("/").host("hangs.test").bytes());
    // Each of its clients has less than its share, so the application is let into half of the reserve.
    await_requests(&server, OPEN - OPEN / 16, ATTACK - OPEN + OPEN / 16);
    for host in [2, 3] {
        expect_served(client_at([127, 0, 0, host], &server), &get("/"));
    }
    innocent.expect_unharmed(DEADLINE);
    drop(attackers);
    await_requests(&server, 0, 0);
    server.await_empty();
}

#[test]
fn one_client_that_never_ends_its_uploads_leaves_room_for_others_at_the_same_application() {
    let serves = serving();
    let server = server(&[serves.route()], "queue_timeout_ms = 0");
    let innocent = Innocent::beside(&server);
    let mut attackers = attack(&server, |_| [127, 0, 0, 1], &upload());
    await_requests(&server, UNRESERVED, ATTACK - UNRESERVED);
    for host in [2, 3] {
        expect_served(client_at([127, 0, 0, host], &server), &get("/"));
    }
    // Its own requests wait for one another.
    let mut another = client_at([127, 0, 0, 1], &server);
    another.send(get("/").bytes());
    await_requests(&server, UNRESERVED, ATTACK - UNRESERVED + 1);
    for attacker in &mut attackers {
        attacker.send("1");
    }
    assert_eq!(another.response().text(), "served");
    for mut attacker in attackers {
        assert_eq!(attacker.response().text(), "served");
    }
    innocent.expect_unharmed(DEADLINE);
    await_requests(&server, 0, 0);
}

#[test]
fn whoever_waits_for_too_long_is_told_when_to_try_again() {
    let hangs = hanging();
    let server = server(&[hangs.route()], "queue_timeout_ms = 200");
    let attackers = attack(&server, |_| [127, 0, 0, 1], &get("/").bytes());
    let mut waiting = attackers;
    await_some("those that wait are refused", || {
        waiting.retain_mut(|attacker| {
            let is_refused = attacker.await_answer(GLANCE);
            if is_refused {
                expect_refusal(attacker);
            }
            !is_refused
        });
        (waiting.len() as u64 == UNRESERVED).then_some(())
    });
    let websocket = get("/")
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    expect_refusal(client_at([127, 0, 0, 1], &server).send(websocket.bytes()));
    await_requests(&server, UNRESERVED, 0);
    assert_eq!(server.stats()["queue_timeouts_total"], ATTACK - UNRESERVED + 1);
    drop(waiting);
    await_requests(&server, 0, 0);
}

#[test]
fn a_client_behind_a_trusted_proxy_is_the_one_that_the_proxy_names() {
    let serves = serving();
    let settings = "queue_timeout_ms = 200\n[http]\ntrusted_proxies = [\"127.0.0.1\"]";
    let server = server(&[serves.route()], settings);
    let attackers = attack(&server, |_| [127, 0, 0, 1], &upload());
    await_requests(&server, UNRESERVED, 0);
    let of = |client: &str| get("/").header("X-Forwarded-For", client);
    expect_served(client_at([127, 0, 0, 1], &server), &of("192.0.2.2"));
    let mut same = client_at([127, 0, 0, 1], &server);
    assert_eq!(same.send(of("192.0.2.1").bytes()).response().code, 503);
    // What anybody else names is not believed.
    expect_served(client_at([127, 0, 0, 2], &server), &of("192.0.2.1"));
    drop(attackers);
    await_requests(&server, 0, 0);
}

//! Clients that have the server keep as much as it will.

use crate::DEADLINE;
use gripwire_harness::deadline::await_some;
use gripwire_harness::innocent::Innocent;
use gripwire_harness::origin::{Origin, Then};
use gripwire_harness::request::request;
use gripwire_harness::server::{Launch, Server};
use std::io::Write;
use std::net::TcpStream;

const CEILING_BYTES: u64 = 144_000_000;
/// Resident memory may exceed the ceiling by this: what comes within a tick, and what the allocator has not given back.
const ALLOWANCE_BYTES: u64 = 64_000_000;

fn limited(route: &str) -> Server {
    let settings = format!("[limits]\nmemory_bytes = {CEILING_BYTES}\n");
    Launch::route(route).and_route(Innocent::ROUTE).settings(&settings).start()
}

/// Has clients send `bytes` each until the server has closed some, beside an innocent client that is served all the while.
fn flood(server: &Server, clients: usize, bytes: &[u8]) {
    let innocent = Innocent::beside(server);
    let mut open: Vec<TcpStream> = Vec::new();
    for _ in 0..clients {
        let mut client = server.connect();
        client.set_nonblocking(true).expect("a socket");
        // What does not fit is not sent: a client that is not read waits, and one that was closed has lost.
        let _ = client.write(bytes);
        open.push(client);
    }
    server.await_stats(|stats| stats["memory_closed_total"] > 0);
    let resident = server.memory_bytes("VmHWM");
    assert!(resident < CEILING_BYTES + ALLOWANCE_BYTES, "{resident} bytes");
    innocent.expect_unharmed(DEADLINE);
    drop(open);
    let stats = server.await_empty();
    assert_eq!(stats["memory_refused_total"], 0, "closing the largest was enough");
}

#[test]
fn heads_that_never_end_are_closed_before_memory_is_short() {
    let server = limited("unused.test test");
    let head = format!("GET / HTTP/1.1\r\nHost: unused.test\r\nX-Long: {}", "x".repeat(60_000));
    flood(&server, 2_000, head.as_bytes());
}

#[test]
fn bodies_that_wait_for_a_hung_application_are_closed_before_memory_is_short() {
    let application = Origin::handling(|_, _| {
        std::thread::park();
        Then::Close
    });
    let server = limited(&application.route());
    let head = "POST / HTTP/1.1\r\nHost: any.test\r\nContent-Length: 10000000\r\n\r\n";
    flood(&server, 700, &[head.as_bytes(), &[b'x'; 200_000]].concat());
}

/// The code that an innocent client is answered, which uploads 8 kB, and so keeps more than an idle one.
fn upload(server: &Server) -> Option<u16> {
    let mut client = server.client();
    client.send(request("POST", "/nothing").host("innocent.test").body("x".repeat(8_000)).bytes());
    client.try_head().ok().map(|head| head.code)
}

#[test]
fn idle_clients_that_fill_most_of_it_do_not_have_others_reset() {
    // Between 14/16 and 15/16 with so many idle clients, that new ones are refused.
    let settings = format!("[limits]\nmemory_bytes = {SMALL_CEILING_BYTES}\n");
    let server = Launch::route(Innocent::ROUTE).settings(&settings).start();
    let mut kept = server.client();
    let (mut held, crowded) = (Vec::new(), SMALL_CEILING_BYTES / 16 * 14);
    while server.stats()["kept_bytes"] < crowded + CLIENT_BYTES * 50 {
        held.extend((0..50).map(|_| server.connect()));
    }
    let stats = server.await_stats(|stats| stats["kept_bytes"] >= crowded);
    assert_eq!(stats["memory_closed_total"], 0, "{stats:?}");
    kept.send(request("POST", "/nothing").host("innocent.test").body("x".repeat(8_000)).bytes());
    let code = kept.response().code;
    assert!(code == 404 || code == 503, "it is answered, though not served: {code}");
    drop(held);
    server.await_stats(|stats| stats["kept_bytes"] < crowded);
    await_some("clients are served again", || (upload(&server) == Some(404)).then_some(()));
    assert_eq!(server.stats()["memory_closed_total"], 0);
}

/// What an idle client counts.
const CLIENT_BYTES: u64 = 4_800;
/// Two cores take 32 MiB of it before anybody comes.
const SMALL_CEILING_BYTES: u64 = 42_000_000;

#[test]
fn idle_clients_are_never_closed_and_new_ones_are_refused_when_memory_is_full() {
    let settings = format!("[limits]\nmemory_bytes = {SMALL_CEILING_BYTES}\n");
    let server = Launch::route("any.test demo").settings(&settings).start();
    let mut held: Vec<TcpStream> = Vec::new();
    while server.stats()["memory_refused_total"] == 0 {
        assert!(held.len() < 15_000, "{} bytes are kept", server.stats()["kept_bytes"]);
        held.extend((0..100).map(|_| server.connect()));
    }
    let stats = server.stats();
    assert!(stats["connections"] > 0 && stats["memory_closed_total"] == 0, "{stats:?}");
    drop(held);
    server.await_empty();
    server.await_stats(|stats| stats["kept_bytes"] < SMALL_CEILING_BYTES / 16 * 14);
    // Each core sees that at its next tick.
    await_some("clients are served again", || {
        let mut client = server.client();
        client.send("GET /text HTTP/1.1\r\nHost: any.test\r\n\r\n");
        client.try_head().is_ok_and(|head| head.code != 503).then_some(())
    });
}

#[test]
fn the_log_names_the_address_whose_many_small_clients_fill_it() {
    let application = Origin::handling(|_, _| {
        std::thread::park();
        Then::Close
    });
    let settings = format!(
        "[limits]\nmemory_bytes = {SMALL_CEILING_BYTES}\n[http]\ntrusted_proxies = [\"127.0.0.1\"]\n"
    );
    let server = Launch::route(&application.route()).settings(&settings).options(&["--log", "warn"]).start();
    let mut waiting = Vec::new();
    while server.stats()["memory_refused_total"] == 0 {
        assert!(waiting.len() < 5_000, "{} bytes are kept", server.stats()["kept_bytes"]);
        for _ in 0..50 {
            let mut client = server.connect();
            // A client that is refused has its connection reset.
            let _ =
                client.write_all(b"GET / HTTP/1.1\r\nHost: any.test\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n");
            waiting.push(client);
        }
    }
    server.log().await_words(&["memory is short", "203.0.113.9"]);
    let stats = server.stats();
    assert_eq!(stats["memory_closed_total"], 0, "each keeps little");
    assert!(stats["booked_bytes"] > 0, "{stats:?}");
    drop(waiting);
    assert_eq!(server.await_empty()["booked_bytes"], 0);
}

//! Long polls that are large.

use crate::DEADLINE;
use gripwire_harness::client::Client;
use gripwire_harness::innocent::Innocent;
use gripwire_harness::origin::{Answer, Origin};
use gripwire_harness::request::request;
use gripwire_harness::server::{Launch, Stats};
use std::time::Duration;

/// So many long polls have 90 kB of a request and as much of an answer: 108 MB.
const POLLS: usize = 600;
const BODY_BYTES: usize = 90_000;
const AT_A_TIME: usize = 20;

/// Subscriptions beside those of the innocent.
fn held(stats: &Stats) -> u64 {
    stats["subscriptions"].saturating_sub(2)
}

#[test]
fn large_long_polls_have_a_bound_and_small_ones_are_held_beside_them() {
    let body = "x".repeat(BODY_BYTES);
    let application = Origin::http(move |asked| match asked.body.is_empty() {
        true => Answer::poll("small", 60, "nothing\n"),
        false => Answer::poll("large", 60, &body),
    });
    let server = Launch::route(&application.route())
        .and_route(Innocent::ROUTE)
        .settings("[limits]\nheld_bytes_per_core = 10000000")
        .start();
    let innocent = Innocent::beside(&server);
    let before = server.memory_bytes("VmHWM");
    let large = request("POST", "/large").host("any.test").body("x".repeat(BODY_BYTES)).bytes();
    let mut clients: Vec<Client> = Vec::new();
    while clients.len() < POLLS {
        // Few at a time: a request that is being answered has bounds of its own.
        clients.extend((0..AT_A_TIME).map(|_| server.client()));
        let asked = clients.len() as u64;
        for client in &mut clients[asked as usize - AT_A_TIME..] {
            client.send(&large);
        }
        server.await_stats(|stats| held(stats) + stats["refused_holds_total"] >= asked);
    }
    // Two cores hold 20 MB of 180 kB each.
    let refused = server.stats()["refused_holds_total"];
    assert!(refused >= POLLS as u64 - 20_000_000 / (2 * BODY_BYTES as u64), "{refused} refused");
    let grown = server.memory_bytes("VmHWM") - before;
    assert!(grown < 80_000_000, "{grown} bytes for long polls");
    let mut small = server.client();
    small.send(request("GET", "/small").host("any.test").bytes());
    assert!(!small.answered_within(Duration::from_millis(200)), "it is held");
    innocent.expect_unharmed(DEADLINE);
    drop((clients, small));
    server.await_empty();
}

//! Clients that try one secret after the other on the control port.

use crate::DEADLINE;
use gripwire_harness::client::Client;
use gripwire_harness::innocent::Innocent;
use gripwire_harness::request::get;
use gripwire_harness::server::Launch;

const GUESSERS: usize = 400;

#[test]
fn who_guesses_secrets_delays_nobody_who_knows_one() {
    let server = Launch::route(Innocent::ROUTE).settings("[control]\nbearer_token = \"secret\"").start();
    let innocent = Innocent::beside(&server);
    let guess = |number: usize| {
        get("/stats").host("localhost").header("Authorization", &format!("Bearer {number}")).bytes()
    };
    let mut guessers: Vec<Client> = (0..GUESSERS).map(|_| Client::connect(server.control)).collect();
    for (number, guesser) in guessers.iter_mut().enumerate() {
        guesser.send(guess(number));
    }
    innocent.await_round();
    for guesser in &mut guessers {
        let code = guesser.response().code;
        assert!([401, 429].contains(&code), "{code}");
    }
    let stats = server.stats();
    assert_eq!(stats["wrong_secrets_total"], GUESSERS as u64);
    innocent.expect_unharmed(DEADLINE);
    drop(guessers);
    server.await_empty();
}

#[test]
fn a_guesser_that_leaves_makes_room_for_the_next() {
    let server = Launch::demo().settings("[control]\nbearer_token = \"secret\"").start();
    let guess = get("/stats").host("localhost").header("Authorization", "Bearer guess").bytes();
    for _ in 0..GUESSERS {
        Client::connect(server.control).send(&guess);
    }
    server.await_empty();
    // Those who left are forgotten, so that this one is made to wait as ever.
    assert_eq!(Client::connect(server.control).send(&guess).response().code, 401);
    server.await_empty();
}

//! Whole cores in a simulation: the real loop, rows, wire, mesh and pool, on a simulated kernel, network and clock.
//! Clients connect, subscribe, stall and vanish, applications answer, fail and take their time, publishers publish, and
//! cores are stopped for a while. `deliveries` holds what each subscriber got against what was published.
//!
//! `cluster` starts the cores; `application`, `client` and `publisher` are those around them, who speak by `http`;
//! `scenario` decides by the seed who does what. `draining` ends servers among their clients. `first_frame` is about the
//! beginning of WebSockets. `nodes` are two servers, with a backplane in `memory` between them. A failure prints its
//! seed: `GRIPWIRE_SIMULATION_SEED=SEED` runs that
//! one alone. `GRIPWIRE_SIMULATION_SECONDS` says how long seeds are tried (15).

mod application;
mod client;
mod cluster;
mod deliveries;
mod draining;
mod first_frame;
mod http;
mod memory;
mod nodes;
mod publisher;
mod scenario;

use cluster::Cluster;
use gripwire::config::Config;
use gripwire::runtime;
use gripwire::simulation::{Host, Simulation};
use scenario::Scenario;
use std::hash::{BuildHasher, RandomState};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

/// How long seeds are tried, unless the environment says otherwise.
const SECONDS: u64 = 15;

/// Tells of the seed when its scenario fails.
fn with_seed<T>(seed: u64, run: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|failure| {
        eprintln!("failed with GRIPWIRE_SIMULATION_SEED={seed}");
        resume_unwind(failure)
    })
}

fn number_from(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect(variable))
}

#[test]
fn nobody_loses_doubles_or_reorders_and_nothing_is_left() {
    if let Some(seed) = number_from("GRIPWIRE_SIMULATION_SEED") {
        let outcome = with_seed(seed, || Scenario::of(seed).run());
        return println!("{outcome:?}");
    }
    let time = Duration::from_secs(number_from("GRIPWIRE_SIMULATION_SECONDS").unwrap_or(SECONDS));
    let (begun, first) = (Instant::now(), RandomState::new().hash_one(0));
    let (mut scenarios, mut delivered) = (0, 0);
    while begun.elapsed() < time {
        let seed = scenarios ^ first;
        delivered += with_seed(seed, || Scenario::of(seed).run()).delivered;
        scenarios += 1;
    }
    println!("{scenarios} scenarios from {first} on, {delivered} deliveries");
}

#[test]
fn a_seed_leads_to_the_same_world_each_time() {
    for seed in [1, 2, 3] {
        let [first, second] = [(); 2].map(|()| with_seed(seed, || Scenario::of(seed).run()));
        assert_eq!(first, second, "seed {seed}");
    }
}

/// A core that gets no CPU for a while must not take the time that passed for the silence of its clients.
#[test]
fn a_core_that_was_stopped_reads_what_has_come_before_it_judges_who_was_late() {
    for seed in 0..20 {
        with_seed(seed, || {
            let simulation = Simulation::new(seed);
            let settings = Config::default();
            let timeout = Duration::from_millis(settings.http.head_timeout_ms);
            Cluster::start(&simulation, 1, settings, "* test");
            let asked = simulation.run(async move {
                let mut clients = Vec::new();
                for _ in 0..20 {
                    let mut client = http::Connection::open(cluster::CLIENTS).await.expect("a connection");
                    client.send(b"GET / HTTP/1.1\r\n").await.expect("the first half of a head");
                    clients.push(client);
                }
                runtime::sleep(timeout - Duration::from_secs(1)).await;
                clients
            });
            let mut clients = asked.expect("clients can connect");
            simulation.pause(Host(0), Duration::from_secs(3));
            let answered = simulation.run(async move {
                for client in &mut clients {
                    client.send(b"Host: a\r\n\r\n").await.expect("the second half");
                }
                for client in &mut clients {
                    let head = client.head().await.expect("an answer");
                    assert_eq!(head.status, 200, "a client whose request was there in time");
                }
            });
            answered.expect("clients are answered");
        });
    }
}

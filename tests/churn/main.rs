//! Clients connect and disconnect while messages are published in every way, on 1, 2, 4 and 8 cores. Every subscriber gets each
//! message once, in the order of its channel: from the first message that was published after its subscription came into
//! force, to the last message that was acknowledged before it left. It gets no message that was acknowledged before it
//! subscribed.
//!
//! [`ledger`] records when each event happened and judges the run, [`publishers`] publish, [`subscribers`] connect and
//! disconnect, and [`application`] answers the requests for holds. [`burst`] tests publishers that all publish at once.
//!
//! `GRIPWIRE_CHURN_SECONDS` is the length of the whole suite (120), `GRIPWIRE_CHURN_BURSTS` the number of bursts (3), and
//! `GRIPWIRE_CHURN_SEED` repeats the random choices of a failed run.

mod application;
mod burst;
mod ledger;
mod publishers;
mod subscribers;

use gripwire_harness::deadline::number;
use gripwire_harness::random::Random;
use gripwire_harness::server::Launch;
use ledger::Ledger;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// One run: who takes part ends when time is up, or at once when somebody has failed.
struct Run {
    ledger: Ledger,
    seed: u64,
    end: Instant,
    /// Subscribers come and go until all publishers have ended and the witnesses have everything.
    is_over: AtomicBool,
    has_failed: AtomicBool,
}

impl Run {
    fn new() -> Run {
        // A quarter for each number of cores.
        let time = Duration::from_secs(number("GRIPWIRE_CHURN_SECONDS").unwrap_or(120)) / 4;
        let now = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_nanos() as u64);
        Run {
            ledger: Ledger::new(),
            seed: number("GRIPWIRE_CHURN_SEED").unwrap_or(now % 1_000_000_000),
            end: Instant::now() + time,
            is_over: AtomicBool::new(false),
            has_failed: AtomicBool::new(false),
        }
    }

    fn publishing_goes_on(&self) -> bool {
        Instant::now() < self.end && !self.has_failed()
    }

    fn subscribing_goes_on(&self) -> bool {
        !self.is_over.load(Ordering::Acquire) && !self.has_failed()
    }

    fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::Acquire)
    }

    /// The choices of the participant `number`.
    fn random(&self, number: usize) -> Random {
        Random::new(self.seed.wrapping_mul(1000) + number as u64)
    }

    /// Does a participant's part. If it panics, all others end.
    fn take_part(&self, part: impl FnOnce()) {
        let guard = FailureGuard(self);
        part();
        drop(guard);
    }
}

struct FailureGuard<'a>(&'a Run);

impl Drop for FailureGuard<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() && !self.0.has_failed.swap(true, Ordering::AcqRel) {
            eprintln!("failed with GRIPWIRE_CHURN_SEED={}", self.0.seed);
        }
    }
}

fn churn(cores: usize) {
    let application = application::start();
    let settings = "[ingest]\nunix_stream = \"s\"\nunix_datagram = \"d\"\n\
                    [zeromq]\npull = \"ipc://pull\"\ncommand = \"ipc://command\"\n\
                    [channels]\nlinger_ms = 100\n";
    let route = format!("{},over_http", application.route());
    let server = Launch::route(&route).settings(settings).cores(cores).udp().start();
    let run = Run::new();
    std::thread::scope(|scope| {
        let witnesses = subscribers::open_witnesses(&run, &server);
        for witness in witnesses {
            scope.spawn(|| run.take_part(|| witness.watch(&run)));
        }
        for place in 0..subscribers::COUNT {
            let (run, server) = (&run, &server);
            scope.spawn(move || run.take_part(|| subscribers::come_and_go(run, server, run.random(place))));
        }
        let publishers: Vec<_> = publishers::all(&server)
            .into_iter()
            .enumerate()
            .map(|(place, publisher)| {
                let run = &run;
                scope.spawn(move || run.take_part(|| publisher.publish(run, run.random(1000 + place))))
            })
            .collect();
        let has_published = publishers.into_iter().all(|publisher| publisher.join().is_ok());
        run.take_part(|| {
            if has_published {
                run.ledger.await_witnesses(&run);
            }
        });
        run.is_over.store(true, Ordering::Release);
    });
    run.take_part(|| {
        run.ledger.judge();
        let stats = server.await_empty();
        for lost in ["dropped_datagrams_total", "kernel_dropped_datagrams_total", "bad_datagrams_total"] {
            assert_eq!(stats[lost], 0, "{lost}");
        }
    });
    eprintln!("{cores} cores: {}", run.ledger.summary());
}

#[test]
fn nothing_is_lost_repeated_or_out_of_order_on_one_core() {
    churn(1);
}

#[test]
fn nothing_is_lost_repeated_or_out_of_order_on_two_cores() {
    churn(2);
}

#[test]
fn nothing_is_lost_repeated_or_out_of_order_on_four_cores() {
    churn(4);
}

#[test]
fn nothing_is_lost_repeated_or_out_of_order_on_eight_cores() {
    churn(8);
}

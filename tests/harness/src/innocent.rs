//! Whoever must not notice what a test does to the server: a client that uses it all the time, in every way.
//!
//! Three threads ask, poll, and publish to a stream that they hold. Each measures how long its answers took, and
//! complains of any that is wrong, lost, or repeated. [`Innocent::expect_unharmed`] ends them and judges.

use crate::client::Client;
use crate::deadline::{await_some, patience};
use crate::request::get;
use crate::server::Server;
use crate::socket;
use crate::unique;
use serde_json::json;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// A client that runs beside a test.
pub struct Innocent {
    seen: Arc<Seen>,
    threads: Vec<JoinHandle<()>>,
}

/// The slowest of each kind so far, and how many there were.
#[derive(Clone, Debug, Default)]
pub struct Experience {
    /// Answers to plain requests, on connections that are new and on one that is kept.
    pub asked: Slowest,
    /// Long polls, from the request to the message, with messages coming all the time.
    pub polled: Slowest,
    /// Answers to publish calls.
    pub published: Slowest,
    /// Messages, from the publish call to the subscriber's stream.
    pub delivered: Slowest,
}

/// How long the slowest took.
#[derive(Clone, Debug, Default)]
pub struct Slowest {
    /// How many there were.
    pub count: u64,
    /// The slowest of them.
    pub time: Duration,
}

impl Innocent {
    /// The line of routes that the innocent needs beside those of the test.
    pub const ROUTE: &str = "innocent.test demo";

    /// Begins to use `server`; every kind of answer has come once when this returns.
    pub fn beside(server: &Server) -> Innocent {
        let seen = Arc::new(Seen::default());
        let (stream, poll) = (unique("innocent-stream"), unique("innocent-poll"));
        let (clients, control) = (server.clients, server.control);
        let call = {
            let poll = json!({"channel": poll, "formats": {"http-response": {"body": "polled"}}});
            let stream = json!({"channel": stream, "formats": {"http-stream": {"content": "NUMBER\n"}}});
            String::from_utf8(server.publish_request(&json!({"items": [poll, stream]}).to_string()))
                .expect("a request of UTF-8")
        };
        let threads = vec![
            seen.run(move |seen| ask(seen, clients)),
            seen.run(move |seen| poll_on(seen, clients, &poll)),
            seen.run(move |seen| publish(seen, clients, control, &stream, &call)),
        ];
        let innocent = Innocent { seen, threads };
        await_some("every kind of answer comes once", || innocent.has_seen_everything().then_some(()));
        innocent.seen.forget();
        innocent
    }

    /// What it has seen so far.
    pub fn experience(&self) -> Experience {
        self.seen.state().experience.clone()
    }

    /// Waits until it has had at least one more answer of every kind.
    pub fn await_round(&self) {
        let counts = |seen: Experience| seen.all().map(|(_, slowest)| slowest.count);
        let before = counts(self.experience());
        await_some("one more answer of every kind", || {
            let is_over = self.seen.has_complaint()
                || counts(self.experience()).iter().zip(before).all(|(now, before)| *now > before);
            is_over.then_some(())
        });
    }

    /// Ends it. It must have seen every kind of answer, none of them wrong, and none later than `deadline`.
    pub fn expect_unharmed(self, deadline: Duration) -> Experience {
        self.await_round();
        let experience = self.experience();
        let complaint = self.seen.state().complaint.clone();
        drop(self);
        if let Some(complaint) = complaint {
            panic!("an innocent client was harmed: {complaint}");
        }
        for (kind, slowest) in experience.all() {
            assert!(slowest.time <= deadline, "an innocent client waited {:?} when it {kind}", slowest.time);
        }
        experience
    }

    fn has_seen_everything(&self) -> bool {
        self.seen.has_complaint() || self.experience().all().iter().all(|(_, slowest)| slowest.count > 0)
    }
}

impl Drop for Innocent {
    fn drop(&mut self) {
        self.seen.has_ended.store(true, Ordering::Release);
        self.threads.drain(..).for_each(|thread| drop(thread.join()));
    }
}

impl Experience {
    /// All kinds with their names.
    pub fn all(&self) -> [(&'static str, &Slowest); 4] {
        [
            ("asked", &self.asked),
            ("polled", &self.polled),
            ("published", &self.published),
            ("awaited a message", &self.delivered),
        ]
    }
}

#[derive(Default)]
struct Seen {
    has_ended: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    experience: Experience,
    complaint: Option<String>,
}

impl Seen {
    /// Runs `work` on a thread; what makes it panic is its complaint.
    fn run(self: &Arc<Seen>, work: impl FnOnce(&Seen) + Send + 'static) -> JoinHandle<()> {
        let seen = self.clone();
        thread::spawn(move || {
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| work(&seen))) {
                let text = panic.downcast_ref::<String>().cloned();
                let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                seen.state().complaint.get_or_insert(text.unwrap_or_default());
            }
        })
    }

    fn goes_on(&self) -> bool {
        !self.has_ended.load(Ordering::Acquire)
    }

    fn note(&self, kind: impl FnOnce(&mut Experience) -> &mut Slowest, begun: Instant) {
        let mut state = self.state();
        let slowest = kind(&mut state.experience);
        slowest.count += 1;
        slowest.time = slowest.time.max(begun.elapsed());
    }

    fn has_complaint(&self) -> bool {
        self.state().complaint.is_some()
    }

    fn forget(&self) {
        self.state().experience = Experience::default();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

fn ask(seen: &Seen, clients: SocketAddr) {
    let page = get("/nothing").host(HOST).bytes();
    let mut kept = Client::connect(clients);
    while seen.goes_on() {
        let begun = Instant::now();
        let mut fresh = Client::connect(clients);
        for client in [&mut fresh, &mut kept] {
            assert_eq!(client.send(&page).response().code, 404, "the demo has no such page");
        }
        seen.note(|experience| &mut experience.asked, begun);
        thread::sleep(PAUSE);
    }
}

fn poll_on(seen: &Seen, clients: SocketAddr, channel: &str) {
    let poll = get(format!("/poll?channel={channel}")).host(HOST).bytes();
    let mut client = Client::connect(clients);
    while seen.goes_on() {
        let begun = Instant::now();
        client.send(&poll);
        // Nobody publishes any more when it is over.
        while seen.goes_on() && !client.answered_within(LOOK) {
            assert!(
                begun.elapsed() < patience(),
                "a poll was not answered though messages came all the time"
            );
        }
        if !seen.goes_on() {
            return;
        }
        let answer = client.response();
        assert_eq!((answer.code, answer.text()), (200, "polled"), "the answer to a poll");
        seen.note(|experience| &mut experience.polled, begun);
    }
}

fn publish(seen: &Seen, clients: SocketAddr, control: SocketAddr, channel: &str, call: &str) {
    let mut stream = Client::connect(clients);
    stream.send(get(format!("/hold?channel={channel}")).host(HOST).bytes()).head();
    stream.expect_body("held\n");
    let mut publisher = Client::over(socket::connect(control));
    let mut number = 0_u64;
    while seen.goes_on() {
        number += 1;
        // All numbers are as long, so that the length of the call is right.
        let text = format!("{:06}", number % 1_000_000);
        let begun = Instant::now();
        let answer = publisher.send(call.replace("NUMBER", &text)).response();
        assert_eq!((answer.code, answer.text()), (200, "Published\n"), "the answer to a publish call");
        seen.note(|experience| &mut experience.published, begun);
        stream.expect_body(format!("{text}\n"));
        seen.note(|experience| &mut experience.delivered, begun);
        thread::sleep(PAUSE);
    }
}

/// The host of [`Innocent::ROUTE`].
const HOST: &str = "innocent.test";
/// Between the rounds of a thread: an innocent is no load.
const PAUSE: Duration = Duration::from_millis(5);
/// How often a poll that waits looks whether all is over.
const LOOK: Duration = Duration::from_millis(100);

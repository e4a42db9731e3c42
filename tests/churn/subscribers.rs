//! Subscribers that come, listen for a while, and go, by every transport; and witnesses that stay.

use crate::Run;
use crate::application::OPENING;
use crate::ledger::Subscription;
use crate::publishers::{CHANNELS, WITNESSED, name};
use gripwire_harness::client::Client;
use gripwire_harness::deadline::patience;
use gripwire_harness::random::Random;
use gripwire_harness::request::get;
use gripwire_harness::server::Server;
use gripwire_harness::websocket::Socket;
use std::collections::HashSet;
use std::io::ErrorKind;
use std::time::{Duration, Instant};
use tungstenite::Message;

/// How many come and go at once.
pub const COUNT: usize = 32;

/// Whoever is subscribed to a channel all the time.
pub struct Witness {
    channel: usize,
    stream: Stream,
}

/// One for each channel that has some, subscribed before anything is published.
pub fn open_witnesses(run: &Run, server: &Server) -> Vec<Witness> {
    let witness = |channel| Witness { channel, stream: Stream::open(run, server, "stream", &[channel]).0 };
    (0..WITNESSED).map(witness).collect()
}

impl Witness {
    /// Notes all that comes, in its order, until all is over.
    pub fn watch(mut self, run: &Run) {
        while run.subscribing_goes_on() {
            for number in self.stream.numbers(LOOK) {
                run.ledger.witness(self.channel, number);
            }
        }
    }
}

/// Subscribes in one way after the other until all is over.
pub fn come_and_go(run: &Run, server: &Server, mut random: Random) {
    while run.subscribing_goes_on() {
        match random.below(4) {
            0 => stream(run, server, "stream", &mut random),
            1 => stream(run, server, "events", &mut random),
            2 => polls(run, server, &mut random),
            _ => websocket(run, server, &mut random),
        }
    }
}

/// A held stream, and what of its body has come and is not whole yet.
struct Stream {
    client: Client,
    rest: String,
}

impl Stream {
    fn open(
        run: &Run,
        server: &Server,
        kind: &'static str,
        channels: &[usize],
    ) -> (Stream, Vec<Subscription>) {
        let names: Vec<String> = channels.iter().map(|channel| name(*channel)).collect();
        let mut subscriptions: Vec<_> =
            channels.iter().map(|channel| run.ledger.ask(*channel, kind)).collect();
        let mut client = server.client();
        let head = client.send(get(format!("/{kind}/{}", names.join(","))).bytes()).head();
        assert_eq!(head.code, 200, "a stream is held");
        client.expect_body(OPENING);
        subscriptions.iter_mut().for_each(|subscription| run.ledger.open(subscription));
        (Stream { client, rest: String::new() }, subscriptions)
    }

    /// The messages that come in time.
    fn numbers(&mut self, time: Duration) -> Vec<u64> {
        self.rest += &self.client.body_within(time).unwrap_or_default();
        let mut numbers = Vec::new();
        while let Some((event, rest)) = self.rest.split_once("\n\n") {
            let number = event.strip_prefix("data: ").and_then(|number| number.parse().ok());
            numbers.push(number.unwrap_or_else(|| panic!("no message: {event:?}")));
            self.rest = rest.to_owned();
        }
        numbers
    }
}

fn stream(run: &Run, server: &Server, kind: &'static str, random: &mut Random) {
    let channels = some_channels(random);
    let (mut stream, mut subscriptions) = Stream::open(run, server, kind, &channels);
    let end = Instant::now() + stay(random);
    while Instant::now() < end && run.subscribing_goes_on() {
        stream.numbers(SHORT_LOOK).into_iter().for_each(|number| note(run, &mut subscriptions, number));
    }
    // Some vanish; the others wait for what they are owed.
    if !random.one_in(4) {
        drain(run, &mut subscriptions, None, |time| stream.numbers(time));
    }
    subscriptions.into_iter().for_each(|subscription| run.ledger.leave(subscription));
}

/// Long polls in a row, each of which is a subscription that one message ends.
fn polls(run: &Run, server: &Server, random: &mut Random) {
    let channel = random.below(CHANNELS);
    let mut client = server.client();
    let mut last = None;
    for _ in 0..1 + random.below(20) {
        let mut subscription = run.ledger.ask(channel, "poll");
        client.send(get(format!("/poll/{}", name(channel))).bytes());
        let end = Instant::now() + patience();
        while !client.answered_within(LOOK) {
            if !run.subscribing_goes_on() {
                return;
            }
            assert!(Instant::now() < end, "a poll on channel {channel} gets no answer");
        }
        let answer = client.response();
        let number: u64 = answer.text().parse().unwrap_or_else(|_| panic!("{:?} for a poll", answer.text()));
        assert_ne!(Some(number), last, "two polls in a row get the same message");
        last = Some(number);
        subscription.received.push(number);
        run.ledger.leave(subscription);
    }
}

/// A WebSocket that joins channels and leaves them again.
fn websocket(run: &Run, server: &Server, random: &mut Random) {
    let mut talk = Talk { socket: server.websocket("any.test", "/socket") };
    let mut subscriptions: Vec<Subscription> = Vec::new();
    let end = Instant::now() + stay(random);
    while Instant::now() < end && run.subscribing_goes_on() {
        let channel = random.below(CHANNELS);
        if subscriptions.iter().any(|subscription| subscription.channel == channel) {
            drain(run, &mut subscriptions, Some(channel), |time| talk.numbers(time));
            talk.ask(
                run,
                &mut subscriptions,
                &format!("leave {}", name(channel)),
                &format!("left {}", name(channel)),
            );
            let place = subscriptions.iter().position(|subscription| subscription.channel == channel);
            run.ledger.leave(subscriptions.swap_remove(place.expect("the subscription")));
        } else {
            // What comes before the answer may be of the new channel already.
            subscriptions.push(run.ledger.ask(channel, "WebSocket"));
            talk.ask(
                run,
                &mut subscriptions,
                &format!("join {}", name(channel)),
                &format!("joined {}", name(channel)),
            );
            run.ledger.open(subscriptions.last_mut().expect("the new one"));
        }
        let pause = Instant::now() + Duration::from_millis(random.below(50) as u64);
        while Instant::now() < pause {
            talk.numbers(SHORT_LOOK).into_iter().for_each(|number| note(run, &mut subscriptions, number));
        }
    }
    if !random.one_in(4) {
        drain(run, &mut subscriptions, None, |time| talk.numbers(time));
    }
    subscriptions.into_iter().for_each(|subscription| run.ledger.leave(subscription));
}

/// A WebSocket, on which the application answers between the messages.
struct Talk {
    socket: Socket,
}

impl Talk {
    /// Says something to the application, and notes what comes until it has answered.
    fn ask(&mut self, run: &Run, subscriptions: &mut [Subscription], text: &str, answer: &str) {
        self.socket.text(text);
        let deadline = Instant::now() + patience();
        loop {
            match self.next(LOOK) {
                Some(text) if text == answer => return,
                Some(text) => note(run, subscriptions, number_of(&text)),
                None => assert!(Instant::now() < deadline, "no {answer:?} from the application"),
            }
            if run.has_failed() {
                return;
            }
        }
    }

    /// The messages that come in time.
    fn numbers(&mut self, time: Duration) -> Vec<u64> {
        self.next(time).iter().map(|text| number_of(text)).collect()
    }

    fn next(&mut self, time: Duration) -> Option<String> {
        self.socket.socket.get_ref().set_read_timeout(Some(time)).expect("a timeout");
        match self.socket.socket.read() {
            Ok(Message::Text(text)) => Some(text.to_string()),
            Ok(Message::Ping(_)) => None,
            Err(tungstenite::Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => None,
            other => panic!("not a text: {other:?}"),
        }
    }
}

fn number_of(text: &str) -> u64 {
    text.parse().unwrap_or_else(|_| panic!("no message: {text:?}"))
}

/// Waits for what the subscriptions, or the one to `channel`, are owed now.
fn drain(
    run: &Run,
    subscriptions: &mut [Subscription],
    channel: Option<usize>,
    mut next: impl FnMut(Duration) -> Vec<u64>,
) {
    let wanted = subscriptions.iter().filter(|one| channel.is_none_or(|channel| one.channel == channel));
    let mut owed: HashSet<u64> = wanted.flat_map(|subscription| run.ledger.owed(subscription)).collect();
    let deadline = Instant::now() + patience();
    while !owed.is_empty() && !run.has_failed() {
        assert!(Instant::now() < deadline, "a {} lacks {owed:?}", subscriptions[0].kind);
        for number in next(SHORT_LOOK) {
            note(run, subscriptions, number);
            owed.remove(&number);
        }
    }
}

/// Notes a message at the subscription to its channel.
fn note(run: &Run, subscriptions: &mut [Subscription], number: u64) {
    let channel = run.ledger.channel_of(number);
    let subscription = subscriptions.iter_mut().find(|subscription| subscription.channel == channel);
    let subscription =
        subscription.unwrap_or_else(|| panic!("{number} comes from channel {channel}, which was left"));
    assert!(!subscription.received.contains(&number), "a {} gets {number} twice", subscription.kind);
    subscription.received.push(number);
}

fn some_channels(random: &mut Random) -> Vec<usize> {
    let first = random.below(CHANNELS);
    (0..1 + random.below(3)).map(|place| (first + place * 5) % CHANNELS).collect()
}

fn stay(random: &mut Random) -> Duration {
    Duration::from_millis(random.below(400) as u64)
}

/// How long a thread reads before it looks whether something else is to be done.
const LOOK: Duration = Duration::from_millis(100);
const SHORT_LOOK: Duration = Duration::from_millis(10);

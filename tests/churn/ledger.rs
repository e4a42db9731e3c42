//! Who sent what, who was subscribed when, and what came: noted while it happens, judged at the end.
//!
//! All events have a place in one sequence, which a lock gives out. A message *began* before it was sent, and was
//! *acked* when its publisher had an answer, or, where none is given, when the witness of its channel had it. A witness
//! is subscribed all the time, so what it got is the order of its channel.

use crate::Run;
use gripwire_harness::deadline::patience;
use std::collections::{HashMap, HashSet};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// The place of an event in the sequence of all.
pub type Place = u64;

#[derive(Default)]
pub struct Ledger {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    next: Place,
    messages: HashMap<u64, Message>,
    channels: HashMap<usize, Channel>,
    subscriptions: Vec<Subscription>,
}

struct Message {
    channel: usize,
    sender: usize,
    /// Whether its way has answers.
    is_answered: bool,
    began: Place,
    acked: Option<Place>,
}

#[derive(Default)]
struct Channel {
    /// Messages as they were acked.
    acked: Vec<u64>,
    /// What its witness got, in that order, and the place of each; nobody witnesses some channels.
    order: Vec<u64>,
    index: HashMap<u64, usize>,
    /// How many messages have begun.
    begun: usize,
}

/// What a client has of one channel, from when it asked until it left.
pub struct Subscription {
    pub channel: usize,
    pub kind: &'static str,
    pub asked: Place,
    /// When it was in force; nothing shows that of a poll.
    pub opened: Option<Place>,
    /// How many messages of the channel had been acked then.
    acked_before: usize,
    pub received: Vec<u64>,
}

impl Ledger {
    pub fn new() -> Ledger {
        Ledger::default()
    }

    /// A message is about to be sent; its number.
    pub fn begin(&self, channel: usize, sender: usize, is_answered: bool) -> u64 {
        let mut state = self.state();
        let began = state.place();
        // The place is also the number: both are in the order of beginning.
        state.messages.insert(began, Message { channel, sender, is_answered, began, acked: None });
        state.channels.entry(channel).or_default().begun += 1;
        began
    }

    /// Its publisher has been told that it is published.
    pub fn ack(&self, number: u64) {
        let mut state = self.state();
        state.ack(number);
        self.changed.notify_all();
    }

    /// The witness of a channel has got it.
    pub fn witness(&self, channel: usize, number: u64) {
        let mut state = self.state();
        let is_answered =
            state.messages.get(&number).unwrap_or_else(|| panic!("nobody sent {number}")).is_answered;
        let known = state.channels.entry(channel).or_default();
        let index = known.order.len();
        assert_eq!(
            known.index.insert(number, index),
            None,
            "the witness of channel {channel} has {number} twice"
        );
        known.order.push(number);
        if !is_answered {
            state.ack(number);
        }
        self.changed.notify_all();
    }

    /// Waits until a message that has no answer is acked.
    pub fn await_ack(&self, run: &Run, number: u64) {
        self.wait(run, &format!("an ack of {number}"), |state| state.messages[&number].acked.is_some());
    }

    /// Waits until witnesses have everything that has begun on their channels.
    pub fn await_witnesses(&self, run: &Run) {
        self.wait(run, "everything reaches the witnesses", |state| {
            state
                .channels
                .values()
                .all(|channel| channel.order.is_empty() || channel.order.len() == channel.begun)
        });
    }

    /// Somebody asks for a channel.
    pub fn ask(&self, channel: usize, kind: &'static str) -> Subscription {
        let asked = self.state().place();
        Subscription { channel, kind, asked, opened: None, acked_before: 0, received: Vec::new() }
    }

    /// It is in force.
    pub fn open(&self, subscription: &mut Subscription) {
        let mut state = self.state();
        subscription.opened = Some(state.place());
        subscription.acked_before = state.channels.entry(subscription.channel).or_default().acked.len();
    }

    /// What a subscription must still get before its client leaves now.
    pub fn owed(&self, subscription: &Subscription) -> HashSet<u64> {
        let state = self.state();
        let Some(opened) = subscription.opened else { return HashSet::new() };
        let acked = &state.channels[&subscription.channel].acked[subscription.acked_before..];
        let since = acked.iter().copied().filter(|number| state.messages[number].began > opened);
        let mut owed: HashSet<u64> = since.collect();
        owed.retain(|number| !subscription.received.contains(number));
        owed
    }

    /// Somebody has left; what it got is judged at the end.
    pub fn leave(&self, subscription: Subscription) {
        self.state().subscriptions.push(subscription);
    }

    /// The channel that a message was sent to.
    pub fn channel_of(&self, number: u64) -> usize {
        self.state().messages.get(&number).unwrap_or_else(|| panic!("nobody sent {number}")).channel
    }

    /// Judges all subscriptions.
    pub fn judge(&self) {
        let state = self.state();
        for channel in state.channels.values() {
            state.judge_order(&channel.order, "the witness");
        }
        state.subscriptions.iter().for_each(|subscription| state.judge(subscription));
    }

    pub fn summary(&self) -> String {
        let state = self.state();
        let received: usize =
            state.subscriptions.iter().map(|subscription| subscription.received.len()).sum();
        let witnessed: usize = state.channels.values().map(|channel| channel.order.len()).sum();
        let (messages, subscriptions) = (state.messages.len(), state.subscriptions.len());
        format!("{messages} messages, {subscriptions} subscriptions, {received} + {witnessed} deliveries")
    }

    fn wait(&self, run: &Run, what: &str, condition: impl Fn(&State) -> bool) {
        let deadline = Instant::now() + patience();
        let mut state = self.state();
        while !condition(&state) && !run.has_failed() {
            assert!(Instant::now() < deadline, "not in {:?}: {what}; {}", patience(), state.missing());
            let look = Duration::from_millis(200);
            state = self.changed.wait_timeout(state, look).unwrap_or_else(|poisoned| poisoned.into_inner()).0;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl State {
    fn place(&mut self) -> Place {
        self.next += 1;
        self.next
    }

    fn ack(&mut self, number: u64) {
        let place = self.place();
        let message = self.messages.get_mut(&number).unwrap_or_else(|| panic!("nobody sent {number}"));
        message.acked = Some(place);
        let channel = message.channel;
        self.channels.entry(channel).or_default().acked.push(number);
    }

    /// Messages that witnesses lack, for a failure.
    fn missing(&self) -> String {
        let missing = self.messages.iter().filter(|(number, message)| {
            let channel = &self.channels[&message.channel];
            !channel.order.is_empty() && !channel.index.contains_key(number)
        });
        let missing: Vec<String> = missing
            .take(10)
            .map(|(number, message)| format!("{number} of sender {} on {}", message.sender, message.channel))
            .collect();
        format!("lacking: {missing:?}")
    }

    fn judge(&self, subscription: &Subscription) {
        let Subscription { channel, kind, asked, received, .. } = subscription;
        let who = format!("a {kind} on channel {channel} that asked at {asked}");
        for number in received {
            let message = &self.messages[number];
            assert_eq!(message.channel, *channel, "{who} got {number}, which is another channel's");
            if let Some(acked) = message.acked {
                assert!(acked > *asked, "{who} got {number}, which was acked at {acked} already");
            }
        }
        self.judge_order(received, &who);
        let order = &self.channels[channel];
        let Some(first) = received.first().filter(|_| !order.order.is_empty()) else { return };
        // What came is a part of what the witness got, with nothing left out. A poll is one message.
        let start = order.index[first];
        let expected = &order.order[start..order.order.len().min(start + received.len())];
        assert_eq!(received, expected, "{who} got other messages than the witness, from {first} on");
        let Some(opened) = subscription.opened else { return };
        let skipped = order.order[..start].iter().find(|number| self.messages[number].began > opened);
        assert_eq!(skipped, None, "{who}, in force since {opened}, began with {first}");
    }

    /// What was acked before another began comes before it, and each sender's messages are in their order.
    fn judge_order(&self, received: &[u64], who: &str) {
        let mut first_acked = Place::MAX;
        let mut last_of_sender: HashMap<usize, u64> = HashMap::new();
        for number in received.iter().rev() {
            let message = &self.messages[number];
            assert!(
                message.began < first_acked,
                "{who} got {number}, began at {}, before one that was acked at {first_acked}",
                message.began
            );
            first_acked = first_acked.min(message.acked.unwrap_or(Place::MAX));
            let later = last_of_sender.insert(message.sender, *number).unwrap_or(u64::MAX);
            assert!(*number < later, "{who} got {number} before {later}, both of sender {}", message.sender);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A channel whose witness got `count` messages, each acked before the next began.
    fn published(count: usize) -> (Ledger, Vec<u64>) {
        let ledger = Ledger::new();
        let numbers = (0..count).map(|_| publish(&ledger)).collect();
        (ledger, numbers)
    }

    fn publish(ledger: &Ledger) -> u64 {
        let number = ledger.begin(0, 0, true);
        ledger.ack(number);
        ledger.witness(0, number);
        number
    }

    /// Whether the judge lets pass what somebody received of seven messages who asked after the first of them.
    fn passes(received: impl FnOnce(&[u64]) -> Vec<u64>) -> bool {
        let (ledger, mut numbers) = published(1);
        let mut subscription = ledger.ask(0, "stream");
        ledger.open(&mut subscription);
        numbers.extend((0..6).map(|_| publish(&ledger)));
        subscription.received = received(&numbers);
        ledger.leave(subscription);
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| ledger.judge())).is_ok()
    }

    #[test]
    fn the_judge_lets_pass_what_begins_with_the_subscription() {
        assert!(passes(|numbers| numbers[1..6].to_vec()));
        assert!(passes(|_| Vec::new()));
    }

    #[test]
    fn the_judge_finds_what_was_acked_before_left_out_repeated_or_swapped() {
        assert!(!passes(|numbers| numbers[..6].to_vec()));
        assert!(!passes(|numbers| numbers[2..6].to_vec()));
        assert!(!passes(|numbers| vec![numbers[1], numbers[3]]));
        assert!(!passes(|numbers| vec![numbers[1], numbers[1]]));
        assert!(!passes(|numbers| vec![numbers[2], numbers[1]]));
    }

    #[test]
    fn a_subscription_is_owed_what_was_acked_since_it_was_in_force() {
        let (ledger, _) = published(1);
        let mut subscription = ledger.ask(0, "stream");
        let before = ledger.begin(0, 0, true);
        ledger.open(&mut subscription);
        ledger.ack(before);
        let first = publish(&ledger);
        let second = publish(&ledger);
        ledger.begin(0, 0, true);
        assert_eq!(ledger.owed(&subscription), HashSet::from([first, second]));
        subscription.received.push(first);
        assert_eq!(ledger.owed(&subscription), HashSet::from([second]));
    }
}

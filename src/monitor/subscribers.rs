//! Counts the subscribers of each channel in each of Pushpin's modes, over all cores. A channel's first subscriber and the
//! loss of its last one are reported at once, other changes once a second, and all numbers again before they expire. A
//! long poll's client usually comes back after each item, so the end of its subscription is reported with a delay. Times
//! are milliseconds of any clock.

use super::packet::Packet;
use crate::channel::Audience;
use crate::ids::{CoreId, NameMap};
use crate::slack::Slack;
use smallvec::SmallVec;
use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;

/// Interval of reports about changed numbers, ms.
const SECOND_MS: u64 = 1000;
/// The tick in which `Slack` measures time, ms.
const TICK_MS: u64 = 100;

/// Pushpin's modes of subscribers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Mode {
    Response,
    Stream,
    Socket,
}

/// The numbers of subscribers of all channels.
pub struct Subscribers {
    ttl_ms: u64,
    linger_ms: u64,
    known: NameMap<Key, Known>,
    /// When each known number is reported again, in order.
    refreshes: VecDeque<(u64, Key, u64)>,
    /// When the end of long polls' subscriptions is reported if no long poll comes back, in order; each channel at most
    /// once.
    endings: VecDeque<(u64, Key)>,
    /// Keys whose number has changed since it was reported.
    changed: Vec<Key>,
    changes_said_ms: u64,
    /// The last number that was given to an entry of `known`.
    numbers: u64,
    slack: Slack,
}

type Key = (Mode, Arc<str>);

struct Known {
    /// Distinguishes this entry from earlier entries with the same key.
    number: u64,
    by_core: SmallVec<[(CoreId, usize); 2]>,
    said: usize,
    /// The time since which there is no subscriber.
    none_since_ms: Option<u64>,
    ends: bool,
}

impl Subscribers {
    /// Reports are valid for `ttl_s`. The end of long polls' subscriptions is reported after `linger_ms`.
    pub fn new(ttl_s: u32, linger_ms: u64) -> Subscribers {
        Subscribers {
            ttl_ms: u64::from(ttl_s) * 1000,
            linger_ms,
            known: NameMap::default(),
            refreshes: VecDeque::new(),
            endings: VecDeque::new(),
            changed: Vec::new(),
            changes_said_ms: 0,
            numbers: 0,
            slack: Slack::default(),
        }
    }

    /// Sets the number of a channel's subscribers on `core`.
    pub fn are(
        &mut self,
        core: CoreId,
        channel: &Arc<str>,
        now: Audience,
        now_ms: u64,
        out: &mut Vec<Packet>,
    ) {
        let modes =
            [(Mode::Response, now.responses), (Mode::Stream, now.streams), (Mode::Socket, now.sockets)];
        for (mode, count) in modes {
            self.is(core, (mode, channel.clone()), count, now_ms, out);
        }
    }

    /// Makes the messages that are due.
    pub fn tick(&mut self, now_ms: u64, out: &mut Vec<Packet>) {
        if now_ms.saturating_sub(self.changes_said_ms) >= SECOND_MS {
            self.changes_said_ms = now_ms;
            for key in mem::take(&mut self.changed) {
                let known = self.known.get_mut(&key);
                let known = known.filter(|known| known.total() != known.said && known.total() > 0);
                out.extend(known.map(|known| known.say(&key, self.ttl_ms)));
            }
        }
        while let Some((_, key, number)) = self.refreshes.pop_front_if(|(due_ms, ..)| *due_ms <= now_ms) {
            self.refresh(key, number, now_ms, out);
        }
        while let Some((_, key)) = self.endings.pop_front_if(|(due_ms, _)| *due_ms <= now_ms) {
            self.maybe_end(key, now_ms, out);
        }
        let mut look = self.slack.look((now_ms / TICK_MS) as u32);
        look.at(&mut self.known);
        look.at(&mut self.refreshes);
        look.at(&mut self.endings);
        look.at(&mut self.changed);
    }

    fn is(&mut self, core: CoreId, key: Key, count: usize, now_ms: u64, out: &mut Vec<Packet>) {
        let Some(known) = self.known.get_mut(&key) else {
            if count > 0 {
                self.begin(core, key, count, now_ms, out);
            }
            return;
        };
        known.set(core, count);
        let total = known.total();
        if total == 0 && key.0 != Mode::Response {
            self.end(&key, out);
        } else if total == 0 {
            known.none_since_ms.get_or_insert(now_ms);
            if !mem::replace(&mut known.ends, true) {
                self.endings.push_back((now_ms + self.linger_ms, key));
            }
        } else if known.none_since_ms.take().is_some() {
            out.push(known.say(&key, self.ttl_ms));
        } else if known.said != total {
            self.changed.push(key);
        }
    }

    fn begin(&mut self, core: CoreId, key: Key, count: usize, now_ms: u64, out: &mut Vec<Packet>) {
        self.numbers += 1;
        let by_core = SmallVec::from_iter([(core, count)]);
        let mut known = Known { number: self.numbers, by_core, said: 0, none_since_ms: None, ends: false };
        out.push(known.say(&key, self.ttl_ms));
        self.refreshes.push_back((now_ms + refresh_ms(self.ttl_ms), key.clone(), self.numbers));
        self.known.insert(key, known);
    }

    fn refresh(&mut self, key: Key, number: u64, now_ms: u64, out: &mut Vec<Packet>) {
        let known = self.known.get_mut(&key).filter(|known| known.number == number);
        let Some(known) = known else { return };
        if known.none_since_ms.is_none() {
            out.push(known.say(&key, self.ttl_ms));
        }
        self.refreshes.push_back((now_ms + refresh_ms(self.ttl_ms), key, number));
    }

    fn maybe_end(&mut self, key: Key, now_ms: u64, out: &mut Vec<Packet>) {
        let Some(known) = self.known.get_mut(&key) else { return };
        known.ends = false;
        let Some(since_ms) = known.none_since_ms else { return };
        if now_ms >= since_ms + self.linger_ms {
            return self.end(&key, out);
        }
        known.ends = true;
        self.endings.push_back((since_ms + self.linger_ms, key));
    }

    fn end(&mut self, key: &Key, out: &mut Vec<Packet>) {
        self.known.remove(key);
        out.push(packet(key).unavailable());
    }
}

impl Known {
    fn set(&mut self, core: CoreId, count: usize) {
        match self.by_core.iter_mut().find(|(known, _)| *known == core) {
            Some((_, known)) => *known = count,
            None => self.by_core.push((core, count)),
        }
    }

    fn total(&self) -> usize {
        self.by_core.iter().map(|(_, count)| count).sum()
    }

    fn say(&mut self, key: &Key, ttl_ms: u64) -> Packet {
        self.said = self.total();
        packet(key).number("ttl", ttl_ms / 1000).number("subscribers", self.said)
    }
}

/// The time after which a number is reported again, as by Pushpin.
fn refresh_ms(ttl_ms: u64) -> u64 {
    ttl_ms / 4 * 3
}

fn packet((mode, channel): &Key) -> Packet {
    let mode = match mode {
        Mode::Response => "response",
        Mode::Stream => "stream",
        Mode::Socket => "ws",
    };
    Packet::of("sub").text("mode", mode).text("channel", &**channel)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The messages after `core` reports `now` on the channel `c` at `now_ms`.
    fn told(all: &mut Subscribers, core: u16, now: Audience, now_ms: u64) -> Vec<Packet> {
        let mut out = Vec::new();
        all.are(CoreId(core), &"c".into(), now, now_ms, &mut out);
        out
    }

    fn ticked(all: &mut Subscribers, now_ms: u64) -> Vec<Packet> {
        let mut out = Vec::new();
        all.tick(now_ms, &mut out);
        out
    }

    fn there(mode: Mode, subscribers: usize) -> Packet {
        packet(&(mode, "c".into())).number("ttl", 60u64).number("subscribers", subscribers)
    }

    fn gone(mode: Mode) -> Packet {
        packet(&(mode, "c".into())).unavailable()
    }

    fn streams(stream: usize) -> Audience {
        Audience { streams: stream, ..Audience::default() }
    }

    #[test]
    fn the_first_and_the_last_are_said_at_once_and_changes_with_the_second() {
        let mut all = Subscribers::new(60, 10_000);
        assert_eq!(ticked(&mut all, 5_000), []);
        assert_eq!(told(&mut all, 0, streams(1), 5_000), [there(Mode::Stream, 1)]);
        assert_eq!(told(&mut all, 1, streams(2), 5_100), []);
        assert_eq!(told(&mut all, 0, streams(5), 5_200), []);
        assert_eq!(ticked(&mut all, 5_900), []);
        assert_eq!(ticked(&mut all, 6_000), [there(Mode::Stream, 7)]);
        assert_eq!(ticked(&mut all, 49_999), []);
        assert_eq!(ticked(&mut all, 50_000), [there(Mode::Stream, 7)]);
        assert_eq!(told(&mut all, 0, streams(0), 51_000), []);
        assert_eq!(told(&mut all, 1, streams(0), 51_000), [gone(Mode::Stream)]);
        assert_eq!(ticked(&mut all, 200_000), []);
        assert!(all.known.is_empty() && all.refreshes.is_empty() && all.endings.is_empty());
    }

    #[test]
    fn the_end_of_long_polls_is_said_after_a_while_and_once() {
        let mut all = Subscribers::new(60, 10_000);
        let polls = |response| Audience { responses: response, ..Audience::default() };
        assert_eq!(told(&mut all, 0, polls(1), 0), [there(Mode::Response, 1)]);
        assert_eq!(told(&mut all, 0, polls(0), 1_000), []);
        assert_eq!(told(&mut all, 0, polls(1), 2_000), [there(Mode::Response, 1)]);
        assert_eq!(told(&mut all, 0, polls(0), 3_000), []);
        assert_eq!((ticked(&mut all, 12_000), all.endings.len()), (vec![], 1));
        assert_eq!(ticked(&mut all, 13_000), [gone(Mode::Response)]);
        assert_eq!(ticked(&mut all, 100_000), []);
        assert!(all.known.is_empty() && all.refreshes.is_empty() && all.endings.is_empty());
    }
}

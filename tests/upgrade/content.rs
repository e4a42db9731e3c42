//! The items of the test: every channel has a group, which says how its items are published and who follows it, and every
//! item has a number in its channel, from 1 on, and a text that the channel and the number alone decide. So a client that
//! knows which number comes next knows the next text to the byte.

use serde_json::{Value, json};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

/// How a channel's items are published, and what is special about them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// By calls on the control port.
    Http,
    /// By calls on a Unix socket.
    UnixStream,
    /// By datagrams.
    Udp,
    /// By datagrams on a Unix socket.
    UnixDatagram,
    /// By a PUSH socket of ZeroMQ, of which items may be lost when it is bound anew.
    Push,
    /// By calls; items have ids, and say which id they follow.
    Ids,
    /// By calls; the clients' filters decide what each of them gets.
    Filtered,
    /// By calls; items are so large that slow clients have a backlog.
    Large,
}

/// A channel, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Channel(pub usize);

impl Group {
    /// All groups.
    pub const ALL: [Group; 8] = [
        Group::Http,
        Group::UnixStream,
        Group::Udp,
        Group::UnixDatagram,
        Group::Push,
        Group::Ids,
        Group::Filtered,
        Group::Large,
    ];

    /// The channel of this group that the client or the item `number` has.
    pub fn channel(self, number: usize) -> Channel {
        let place = Group::ALL.iter().position(|group| *group == self).expect("all groups");
        Channel(place * CHANNELS + number % CHANNELS)
    }

    /// Whether every item arrives.
    pub fn is_exact(self) -> bool {
        self != Group::Push
    }
}

impl Channel {
    /// The group of the channel.
    pub fn group(self) -> Group {
        Group::ALL[self.0 / CHANNELS]
    }

    /// Its name for publishers and the application.
    pub fn name(self) -> String {
        format!("upgraded-{}", self.0)
    }

    /// The text of an item.
    pub fn text(self, number: u64) -> String {
        let length = match self.group() {
            Group::Large => LARGE_BYTES,
            _ => (self.0 * 31 + number as usize * 17) % 60,
        };
        let mut text = format!("{} {number} ", self.0);
        text.reserve(length + 64);
        while text.len() < length {
            let _ = write!(text, "{number:x}.");
        }
        text
    }

    /// The item that follows `number` for a client whose variable `user` is this, if its channel has filters.
    pub fn following(self, number: u64, user: usize) -> u64 {
        let next = number + 1;
        if self.group() == Group::Filtered && next % USERS == user as u64 { next + 1 } else { next }
    }

    /// What such a client gets of an item.
    pub fn text_for(self, number: u64, user: usize) -> String {
        let text = self.text(number);
        if self.group() == Group::Filtered { format!("{text} for {user}") } else { text }
    }

    /// An item for every kind of client, as a publisher sends it.
    pub fn item(self, number: u64) -> Value {
        let mut text = self.text(number);
        if self.group() == Group::Filtered {
            text += " for %(user)s";
        }
        let mut item = json!({"channel": self.name(), "formats": {
            "http-response": {"body": format!("{text}\n")},
            "http-stream": {"content": format!("data: {text}\n\n")},
            "ws-message": {"content": text},
        }});
        match self.group() {
            Group::Ids => {
                item["id"] = json!(number.to_string());
                item["prev-id"] = json!((number - 1).to_string());
            }
            Group::Filtered => item["meta"] = json!({"sender": (number % USERS).to_string()}),
            _ => {}
        }
        item
    }
}

/// The channel and the number that a text claims to have.
pub fn claimed(text: &str) -> Option<(Channel, u64)> {
    let mut words = text.split(' ');
    Some((Channel(words.next()?.parse().ok()?), words.next()?.parse().ok()?))
}

/// How many items each channel has, those included that are being published.
pub struct Numbers(Vec<AtomicU64>);

impl Numbers {
    pub fn new() -> Numbers {
        Numbers((0..Group::ALL.len() * CHANNELS).map(|_| AtomicU64::new(0)).collect())
    }

    /// The number of the next item, which is published now.
    pub fn next(&self, channel: Channel) -> u64 {
        self.0[channel.0].fetch_add(1, Ordering::SeqCst) + 1
    }

    /// The number of the last item.
    pub fn last(&self, channel: Channel) -> u64 {
        self.0[channel.0].load(Ordering::SeqCst)
    }

    /// The last number of each channel.
    pub fn all(&self) -> Vec<u64> {
        self.0.iter().map(|last| last.load(Ordering::SeqCst)).collect()
    }
}

/// Channels of each group.
pub const CHANNELS: usize = 8;
/// Different values of the variable `user`.
pub const USERS: u64 = 3;
/// Bytes of an item of [`Group::Large`].
const LARGE_BYTES: usize = 10_000;

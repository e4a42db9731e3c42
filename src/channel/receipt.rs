//! Receipts: how many subscribers an item reached. The publisher's core gives an item a [`Receipt`]; its home says how
//! many cores it went to, and each of them reports a [`Reach`] when its fan-out has passed the last subscriber. An
//! item with a receipt has a pass of its own, so that counting costs others nothing.

use super::roster::Transport;
use crate::ids::CoreId;

/// Whom to tell about an item.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Receipt {
    /// The core its publisher is on.
    pub core: CoreId,
    /// The publish call, by that core's count.
    pub ticket: u64,
    /// The item, by its place in the call.
    pub item: u32,
}

/// Subscribers, or some of them, by how they are written to.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Audience {
    /// Long polls.
    pub responses: u32,
    /// HTTP streams.
    pub streams: u32,
    /// WebSockets.
    pub sockets: u32,
}

/// Whom an item reached.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Reach {
    /// Those that were sent it, or did what it says.
    pub received: Audience,
    /// Subscribers that did not get it, because they did not take what came before.
    pub dropped: u32,
}

/// A part of a pass whose one item has a receipt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Counting {
    /// The item's.
    pub receipt: Receipt,
    /// The transport of those who are written to; `None` if nobody is.
    pub transport: Option<Transport>,
    /// Nobody is left after these.
    pub is_last: bool,
}

impl Audience {
    /// `count` subscribers of one transport.
    pub fn of(transport: Transport, count: usize) -> Audience {
        let (mut audience, count) = (Audience::default(), count as u32);
        match transport {
            Transport::Response => audience.responses = count,
            Transport::StreamChunked | Transport::StreamRaw => audience.streams = count,
            Transport::Socket | Transport::CompressedSocket => audience.sockets = count,
        }
        audience
    }

    /// Counts `other` too.
    pub fn add(&mut self, other: Audience) {
        self.responses = self.responses.saturating_add(other.responses);
        self.streams = self.streams.saturating_add(other.streams);
        self.sockets = self.sockets.saturating_add(other.sockets);
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        u64::from(self.responses) + u64::from(self.streams) + u64::from(self.sockets)
    }
}

impl Reach {
    /// Counts `other` too.
    pub fn add(&mut self, other: Reach) {
        self.received.add(other.received);
        self.dropped = self.dropped.saturating_add(other.dropped);
    }
}

//! How many subscribers a channel has on a core, by what each format of an item reaches.

use super::publication::Publication;
use super::roster::{Roster, Transport};

/// Numbers of subscribers.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Receivers {
    /// Long polls.
    pub response: usize,
    /// Streams.
    pub stream: usize,
    /// WebSockets.
    pub socket: usize,
}

impl Receivers {
    /// Everyone in `roster`.
    pub(super) fn all(roster: &Roster) -> Receivers {
        let count = |transport| roster.entries(transport).len();
        Receivers {
            response: count(Transport::Response),
            stream: count(Transport::StreamChunked) + count(Transport::StreamRaw),
            socket: count(Transport::Socket) + count(Transport::CompressedSocket),
        }
    }

    /// Those of them whom `publication` has something for.
    pub fn of(self, publication: &Publication) -> Receivers {
        Receivers {
            response: if publication.response.is_some() { self.response } else { 0 },
            stream: if publication.stream.is_some() { self.stream } else { 0 },
            socket: if publication.socket.is_some() { self.socket } else { 0 },
        }
    }

    /// Counts `more`.
    pub(super) fn add(&mut self, more: Receivers) {
        self.response += more.response;
        self.stream += more.stream;
        self.socket += more.socket;
    }

    /// How many there are.
    pub fn total(self) -> usize {
        self.response + self.stream + self.socket
    }
}

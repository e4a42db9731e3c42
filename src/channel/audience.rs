//! Numbers of subscribers by kind: of a channel's subscribers, or of the receivers of an item.

use super::roster::Roster;
use super::transport::Transport;
use crate::proto::grip::Publication;

/// Numbers of subscribers by kind.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Audience {
    /// Long polls.
    pub responses: usize,
    /// HTTP streams.
    pub streams: usize,
    /// WebSockets.
    pub sockets: usize,
}

impl Audience {
    /// `count` subscribers of one transport.
    pub fn of(transport: Transport, count: usize) -> Audience {
        let mut audience = Audience::default();
        match transport {
            Transport::Response | Transport::FilteredResponse => audience.responses = count,
            Transport::StreamChunked | Transport::StreamRaw | Transport::FilteredStream => {
                audience.streams = count;
            }
            Transport::Socket | Transport::CompressedSocket | Transport::FilteredSocket => {
                audience.sockets = count;
            }
        }
        audience
    }

    /// The numbers of all subscribers in `roster`.
    pub(super) fn all(roster: &Roster) -> Audience {
        let mut audience = Audience::default();
        roster.counts().for_each(|(transport, count)| audience.add(Audience::of(transport, count)));
        audience
    }

    /// The numbers of the subscribers for whose format `publication` has a part.
    pub fn concerned_by(self, publication: &Publication) -> Audience {
        Audience {
            responses: if publication.response.is_some() { self.responses } else { 0 },
            streams: if publication.stream.is_some() { self.streams } else { 0 },
            sockets: if publication.socket.is_some() { self.sockets } else { 0 },
        }
    }

    /// Adds the numbers of `other`.
    pub fn add(&mut self, other: Audience) {
        self.responses += other.responses;
        self.streams += other.streams;
        self.sockets += other.sockets;
    }

    /// Subtracts the numbers of `other`.
    pub fn remove(&mut self, other: Audience) {
        self.responses = self.responses.saturating_sub(other.responses);
        self.streams = self.streams.saturating_sub(other.streams);
        self.sockets = self.sockets.saturating_sub(other.sockets);
    }

    /// The number of all subscribers.
    pub fn total(self) -> usize {
        self.responses + self.streams + self.sockets
    }
}

//! What happens on the cores, for the stats socket. A core gathers it for a tick and hands it over; what the thread has not
//! taken when there is too much of it is lost, and counted. Of subscribers only the last count matters, and of a route's
//! figures the sum, so these are kept and not queued.

use super::tally::Tally;
use crate::channel::{Audience, Publication, Transport};
use crate::ids::{ConnectionId, CoreId, NameMap};
use std::net::IpAddr;
use std::sync::Arc;

/// Events that may wait for the thread (as many as Pushpin's socket keeps).
const WAITING: usize = 200_000;

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A client's request is being answered, or held, or its WebSocket is open; or still.
    Connected {
        /// Its id.
        id: ConnectionId,
        /// Whether it is a WebSocket.
        is_socket: bool,
        /// Whether it came by TLS.
        is_tls: bool,
        /// The client, if it has an address.
        peer: Option<IpAddr>,
        /// The id of its route, if that has one of its own.
        route: Option<Arc<str>>,
    },
    /// That is over.
    Disconnected {
        /// Its id.
        id: ConnectionId,
        /// As it was said before.
        route: Option<Arc<str>>,
    },
    /// A publication has receivers on a core.
    Message {
        /// The publication.
        publication: Arc<Publication>,
        /// How they are written to; one of each kind stands for all.
        transport: Transport,
        /// How many.
        receivers: usize,
    },
}

/// What happened since it was last handed over.
#[derive(Debug, Default)]
pub struct Events {
    /// In the order of each core.
    pub events: Vec<Event>,
    /// How many subscribers a channel has on a core now.
    pub subscribers: NameMap<(CoreId, Arc<str>), Audience>,
    /// What a core has counted of a route; routes without ids of their own are one.
    pub tallies: NameMap<(CoreId, Option<Arc<str>>), Tally>,
    /// Events that were lost.
    pub lost: u64,
}

impl Events {
    /// Whether there is nothing to hand over.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty() && self.subscribers.is_empty() && self.tallies.is_empty()
    }

    /// Adds `event`, unless there are too many.
    pub fn add(&mut self, event: Event) {
        match self.events.len() < WAITING {
            true => self.events.push(event),
            false => self.lost += 1,
        }
    }

    /// Takes everything out of `more`.
    pub fn append(&mut self, more: &mut Events) {
        more.events.drain(..).for_each(|event| self.add(event));
        self.subscribers.extend(more.subscribers.drain());
        for (route, tally) in more.tallies.drain() {
            self.tallies.entry(route).or_default().add(&tally);
        }
        self.lost += std::mem::take(&mut more.lost);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn what_is_too_much_is_lost_and_counted() {
        let gone = || Event::Disconnected { id: ConnectionId::of_application(Uuid::nil()), route: None };
        let (mut all, mut more) = (Events::default(), Events::default());
        (0..WAITING).for_each(|_| all.add(gone()));
        more.add(gone());
        more.subscribers.insert((CoreId(1), "c".into()), Audience { streams: 2, ..Audience::default() });
        let tally = |connections| Tally { connections, most: 2, begun: 1, ..Tally::default() };
        all.tallies.insert((CoreId(1), None), tally(2));
        more.tallies.insert((CoreId(1), None), tally(1));
        all.append(&mut more);
        let sum = Tally { begun: 2, ..tally(1) };
        assert_eq!(all.tallies[&(CoreId(1), None)], sum);
        assert_eq!((all.events.len(), all.lost, all.subscribers.len()), (WAITING, 1, 1));
        assert!(more.is_empty() && more.lost == 0);
    }
}

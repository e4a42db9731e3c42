//! What happens on the cores, for the stats socket. A core gathers it for a tick and hands it over. Of the subscribers of a
//! channel only the last count matters, and of a route's figures the sum, so these are merged and not listed.

use super::route_stats::RouteStats;
use crate::channel::{Audience, Transport};
use crate::ids::{ConnectionId, CoreId, NameMap};
use crate::proto::grip::Publication;
use std::net::IpAddr;
use std::sync::Arc;

/// Something that happened.
#[derive(Clone, Debug)]
pub enum StatsEvent {
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
pub struct StatsBatch {
    /// In the order of each core.
    pub events: Vec<StatsEvent>,
    /// How many subscribers a channel has on a core now.
    pub subscribers: NameMap<(CoreId, Arc<str>), Audience>,
    /// What a core has counted of a route; routes without ids of their own are one.
    pub route_stats: NameMap<(CoreId, Option<Arc<str>>), RouteStats>,
    /// StatsBatch that were lost.
    pub lost: u64,
    /// How many of `events` are counted as waiting for the thread; the first ones.
    pub(super) admitted: usize,
}

impl StatsBatch {
    /// Whether there is nothing to hand over.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty() && self.subscribers.is_empty() && self.route_stats.is_empty()
    }
}

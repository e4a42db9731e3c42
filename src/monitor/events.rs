//! Events on the cores for the stats socket. A core collects them for a tick and hands them over in a batch. Only the last
//! number of a channel's subscribers and the sum of a route's statistics matter, so these are merged rather than listed.

use super::route_stats::RouteStats;
use crate::channel::{Audience, Transport};
use crate::ids::{ConnectionId, CoreId, NameMap};
use crate::proto::grip::Publication;
use std::net::IpAddr;
use std::sync::Arc;

/// An event for the stats socket.
#[derive(Clone, Debug)]
pub enum StatsEvent {
    /// A client's request is being answered or held, or its WebSocket is open. Repeated while this lasts.
    Connected {
        /// The connection's id.
        id: ConnectionId,
        /// Whether it is a WebSocket.
        is_socket: bool,
        /// Whether the client uses TLS.
        is_tls: bool,
        /// The client's address, if it has one.
        peer: Option<IpAddr>,
        /// The id of the route, if it has its own id.
        route: Option<Arc<str>>,
    },
    /// The request or the WebSocket has ended.
    Disconnected {
        /// The connection's id.
        id: ConnectionId,
        /// The route of the `Connected` event.
        route: Option<Arc<str>>,
    },
    /// A publication has receivers on a core.
    Message {
        /// The publication.
        publication: Arc<Publication>,
        /// A transport that stands for all transports of its kind.
        transport: Transport,
        /// The number of receivers.
        receivers: usize,
    },
}

/// The events of a core since its last batch.
#[derive(Debug, Default)]
pub struct StatsBatch {
    /// The events, in their order on the core.
    pub events: Vec<StatsEvent>,
    /// The current number of a channel's subscribers on a core.
    pub subscribers: NameMap<(CoreId, Arc<str>), Audience>,
    /// A core's statistics of a route. Routes without their own ids are counted as one.
    pub route_stats: NameMap<(CoreId, Option<Arc<str>>), RouteStats>,
    /// Number of events that were lost.
    pub lost: u64,
    /// How many of `events`, from the first on, are already counted as waiting for the thread.
    pub(super) admitted: usize,
}

impl StatsBatch {
    /// Whether the batch is empty.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty() && self.subscribers.is_empty() && self.route_stats.is_empty()
    }
}

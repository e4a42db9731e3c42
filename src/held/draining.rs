//! Ends everything of this core that is held or answered, because the server is about to end, and waits until all of it is
//! over: connections, and what applications must still be told. Streams, long polls and WebSockets end in a way that has
//! their clients connect again.

use super::Holds;
use crate::clients::Asked;
use crate::ids::{CoreId, Slot};
use crate::patience::within;
use crate::runtime;
use crate::wire::PortUse;
use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;

/// The pause between two walks over all connections.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long holds are kept for items that have their places in their channels, and are on their way to subscribers.
const FOR_ITEMS: Duration = Duration::from_secs(1);
/// When the clients of Server-Sent Events connect again, ms. Each is told a time of its own, so that they do not all come at
/// one moment.
const RETRY_MS: Range<u32> = 500..5_000;
/// The time for which clients who have begun to connect may take to complete the handshake, ms, and the time from the
/// beginning of the drain in which a client that has just connected may begin a request.
const FOR_CLIENTS: Patience = Patience { handshake_ms: 1_000, request_ms: 2_000 };
/// The same for operators, who are near.
const FOR_OPERATORS: Patience = Patience { handshake_ms: 100, request_ms: 200 };

/// How long a drain waits for clients that connect.
struct Patience {
    handshake_ms: u64,
    request_ms: u64,
}

impl Holds {
    /// Drains the connections to the ports of `port_use`. Returns when none is left, nobody waits in a queue to be accepted,
    /// and applications were told of all clients that are gone.
    pub async fn drain(self: &Rc<Self>, port_use: PortUse) {
        let begun_ms = self.context.now_ms();
        let patience = match port_use {
            PortUse::Clients => FOR_CLIENTS,
            PortUse::Operators => FOR_OPERATORS,
        };
        self.clients.begin_drain(port_use);
        self.requests.drop_delays();
        self.context.wake();
        if port_use == PortUse::Clients {
            within(FOR_ITEMS, self.items_are_written()).await;
        }
        loop {
            let passed_ms = self.context.now_ms() - begun_ms;
            self.end_holds(port_use, passed_ms < patience.request_ms).await;
            let is_closed = passed_ms >= patience.handshake_ms && self.clients.close_listeners(port_use);
            if is_closed && self.left(port_use) == 0 {
                return;
            }
            self.context.wake();
            runtime::sleep(LOOK_EVERY).await;
        }
    }

    /// Waits until all items that have a place in their channels by now are written to the subscribers on this core. So a
    /// publisher that was answered before the drain has reached everybody.
    async fn items_are_written(&self) {
        let homes = (0..self.context.cores).map(|core| CoreId(core as u16));
        // A home that does not confirm has much to do. Then the time is over soon.
        let _ = self.publishing.confirmed_by(homes).await;
        while self.delivery.is_pending() {
            runtime::sleep(LOOK_EVERY).await;
        }
    }

    /// Ends all that can be ended now, in steps between which the core does its other work.
    async fn end_holds(&self, port_use: PortUse, spares_new: bool) {
        let mut next = Some(0);
        while let Some(from) = next {
            next = self.clients.end_some(port_use, spares_new, from);
            self.context.wake();
            runtime::yield_now().await;
        }
    }

    /// How many connections to the ports of `port_use` and, for clients, tasks with something to tell an application are
    /// left.
    pub fn left(&self, port_use: PortUse) -> usize {
        let untold = match port_use {
            PortUse::Clients => self.unfinished.count() + self.gone_links.borrow().len(),
            PortUse::Operators => 0,
        };
        self.clients.open_for(port_use) + untold
    }

    /// Ends the stream in `slot`, with the proper end of its body. The client of Server-Sent Events (`is_events`) is told
    /// when to connect again.
    ///
    /// The stream may end in the middle of an event, and nothing knows whether it does. So the line stands alone, without an
    /// empty line: a parser obeys `retry` when its line ends (HTML standard, section 9.2.6), while an empty line would
    /// dispatch a torn event. In the middle of a line it is taken for the end of that line, of an event that is never
    /// dispatched.
    pub(super) fn drain_stream(&self, slot: Slot, asked: Asked, is_events: bool) {
        if is_events {
            let retry_ms = RETRY_MS.start + self.requests.entropy() % (RETRY_MS.end - RETRY_MS.start);
            let part = asked.body_writer().part(format!("retry: {retry_ms}\n").as_bytes());
            if self.clients.send(slot, part).is_err() {
                return self.clients.reset_overflowed(slot);
            }
        }
        self.end_body(slot, asked);
    }
}

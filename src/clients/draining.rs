//! Ends connections because the server is about to end. Clients go first and operators last, so that publishers and probes
//! are answered until nobody is held any more.
//!
//! While the connections of a use are drained, answers say `Connection: close`, and a connection whose answer is complete
//! is closed. [`Clients::end_some`] walks over the rows, again and again until none is left: it closes connections that wait
//! for a request, and closes holds. Requests that are being answered, and heads that have begun to arrive, go on. A client
//! that has just connected gets some time for its first request.

use super::Clients;
use super::held::{CloseReason, Held};
use super::row::{Mark, Phase, Row};
use crate::context::Life;
use crate::ids::Slot;
use crate::wire::PortUse;
use std::cell::Cell;
use std::rc::Rc;

/// Connections that are ended in one step of a walk. Ending one takes about 10 us, and other clients are answered between
/// steps.
const ENDED: usize = 128;
/// Rows that are looked at in one step.
const LOOKED_AT: usize = 16 * 1024;

/// The uses of ports whose connections are being drained.
#[derive(Default)]
pub(super) struct Draining {
    clients: Cell<bool>,
    operators: Cell<bool>,
}

impl Draining {
    fn of(&self, port_use: PortUse) -> &Cell<bool> {
        match port_use {
            PortUse::Clients => &self.clients,
            PortUse::Operators => &self.operators,
        }
    }
}

/// How a connection is ended.
enum Way {
    /// It waits for a request.
    Close,
    /// Its client is held.
    EndHold(Rc<dyn Held>),
}

impl Clients {
    /// From now on, connections to the ports of `port_use` carry no further requests, and nobody can begin to connect.
    pub fn begin_drain(&self, port_use: PortUse) {
        self.draining.of(port_use).set(true);
        self.wire.borrow_mut().stop_listening(port_use);
    }

    /// Whether the connections to the ports of `port_use` are being drained.
    pub fn is_draining(&self, port_use: PortUse) -> bool {
        self.draining.of(port_use).get()
    }

    /// Whether the connection in `slot` may carry another request.
    pub fn goes_on(&self, slot: Slot) -> bool {
        // A connection whose request is being answered when clients move to another process stays behind.
        if matches!(self.context.gate.life(), Life::Quiet | Life::HandedOver) {
            return false;
        }
        let service = self.rows.borrow_mut().get(slot).map(|row| row.service);
        service.is_none_or(|service| !self.is_draining(service.port_use()))
    }

    /// Closes the listening sockets of `port_use` as far as nobody waits in their queues. Returns whether none is left.
    pub fn close_listeners(&self, port_use: PortUse) -> bool {
        self.wire.borrow_mut().close_listeners(port_use)
    }

    /// Ends some of the connections that can be ended now, beginning with the row `from` of the walk. A connection that
    /// has had no request yet is spared if `spares_new`. Returns the row at which the walk continues; `None` at its end.
    pub fn end_some(self: &Rc<Self>, port_use: PortUse, spares_new: bool, from: usize) -> Option<usize> {
        let (next, found) = {
            let rows = self.rows.borrow();
            let of_use = |row: &Row| row.service.port_use() == port_use;
            let some = rows.some(from, LOOKED_AT).filter(|(_, row)| of_use(row));
            let can_end = some.filter_map(|(slot, row)| Some((slot, row.way_to_end(spares_new)?)));
            let found: Vec<(Slot, Way)> = can_end.take(ENDED).collect();
            let next = match found.last() {
                // The virtual slots are the last step of a walk. Those that remain are found again.
                Some((last, _)) if found.len() == ENDED => (last.index() + 1).min(rows.places() - 1),
                _ => from + LOOKED_AT,
            };
            ((next < rows.places()).then_some(next), found)
        };
        for (slot, way) in found {
            match way {
                Way::Close => self.close(slot, false),
                Way::EndHold(held) => held.close(slot, CloseReason::Drain),
            }
        }
        next
    }

    /// How many connections to the ports of `port_use` are open, those that are closing included.
    pub fn open_for(&self, port_use: PortUse) -> usize {
        self.rows.borrow().open_for(port_use)
    }
}

impl Row {
    /// How the connection is ended now; `None` if it goes on, or ends by itself.
    fn way_to_end(&self, spares_new: bool) -> Option<Way> {
        match &self.phase {
            Phase::Head if self.carry.is_some() || spares_new && self.mark == Mark::New => None,
            Phase::Head => Some(Way::Close),
            Phase::Held(held) if held.describe().can_end => Some(Way::EndHold(held.clone())),
            Phase::Held(_) | Phase::Exchange(_) | Phase::Free | Phase::Closing { .. } | Phase::Lingering => {
                None
            }
        }
    }
}

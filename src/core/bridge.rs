//! The core's end of the bridge to the thread of ZeroMQ: publications from there go to the homes on this core as those of
//! another core do, as fast as these take them; what operators ask is done; and the thread is told which channels have
//! interest.

use super::Core;
use super::row::{Mark, Phase};
use crate::bridge::{ConnectionId, Inlet, Order, Outcome, Outlet};
use crate::channel::{Publication, ToHome};
use crate::ids::Slot;
use crate::wire::Ringer;
use rustc_hash::FxHashMap;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use uuid::Uuid;

/// Publications taken in one turn.
const PUBLICATIONS: usize = 256;

/// A core's ways to and from the thread.
#[derive(Clone)]
pub struct BridgePlan {
    /// Into this core.
    pub inlet: Arc<Inlet>,
    /// Out of all cores.
    pub outlet: Arc<Outlet>,
    /// The thread wants to know which channels have interest.
    pub listens: bool,
    /// The thread wants to know what happens.
    pub watches: bool,
}

/// The same, in use.
pub(super) struct Bridge {
    plan: BridgePlan,
    /// Taken from the inlet, not done yet.
    arrived: RefCell<VecDeque<Publication>>,
}

impl Bridge {
    /// `ringer` wakes this core.
    pub fn new(plan: BridgePlan, ringer: Ringer) -> Bridge {
        plan.inlet.attach(ringer);
        Bridge { plan, arrived: RefCell::default() }
    }
}

impl Core {
    /// Takes what has come over the bridge, within the budget of a turn; whether there was anything.
    pub(super) fn take_from_bridge(self: &Rc<Self>) -> bool {
        let Some(bridge) = &self.bridge else { return false };
        let orders = bridge.plan.inlet.take_orders();
        let mut busy = !orders.is_empty();
        orders.into_iter().for_each(|(ticket, order)| self.follow(ticket, order));
        bridge.plan.inlet.take_publications(&mut bridge.arrived.borrow_mut());
        let (mut done, mut bytes) = (0, 0);
        while done < PUBLICATIONS && self.homes_have_room() {
            let Some(publication) = bridge.arrived.borrow_mut().pop_front() else { break };
            done += 1;
            bytes += publication.weight();
            self.at_home(self.id, ToHome::Publish(Arc::new(publication)));
        }
        busy |= done > 0;
        if done > 0 && bridge.plan.inlet.has_been_done_with(done, bytes) {
            bridge.plan.outlet.room();
        }
        busy
    }

    /// Tells the thread which channels have interest now, and which have none any more.
    pub(super) fn tell_of_interest(&self) {
        let Some(bridge) = self.bridge.as_ref().filter(|bridge| bridge.plan.listens) else { return };
        let changes = self.home.borrow_mut().take_changes();
        changes.into_iter().for_each(|(channel, wanted)| bridge.plan.outlet.interest(channel, wanted));
    }

    fn follow(self: &Rc<Self>, ticket: u64, order: Order) {
        let outcome = match order {
            Order::ConnCheck(ids) => Outcome::Here(self.connections_here(&ids)),
            Order::RefreshConnection(id) => match self.socket_called(&id) {
                Some(slot) => {
                    self.refresh_socket(slot);
                    Outcome::Done
                }
                None => Outcome::NotHere,
            },
            Order::RefreshChannel(channel) => {
                let sockets = self.subscriptions.borrow().sockets_on(&channel);
                sockets.into_iter().for_each(|slot| self.refresh_socket(slot));
                Outcome::Done
            }
            Order::Publish(publications) => return self.follow_in_task(ticket, Some(publications)),
            Order::Recover => return self.follow_in_task(ticket, None),
        };
        self.answer_order(ticket, outcome);
    }

    /// Publishes, or has everyone recover: either is over when the homes have confirmed it.
    fn follow_in_task(self: &Rc<Self>, ticket: u64, publications: Option<Vec<Publication>>) {
        let core = self.clone();
        glommio::spawn_local(async move {
            let outcome = match publications {
                Some(publications) => {
                    core.publish(publications).await.map_or(Outcome::Busy, |()| Outcome::Done)
                }
                None => {
                    core.recover().await;
                    Outcome::Done
                }
            };
            core.answer_order(ticket, outcome);
        })
        .detach();
    }

    fn answer_order(&self, ticket: u64, outcome: Outcome) {
        if let Some(bridge) = &self.bridge {
            bridge.plan.outlet.outcome(ticket, outcome);
        }
    }

    /// Which of `ids` are connections of this core. Connections are not indexed by their ids, so all are looked at.
    fn connections_here(&self, ids: &[Box<str>]) -> Vec<usize> {
        let wanted = ids.iter().enumerate().filter_map(|(place, id)| Some((ConnectionId::parse(id)?, place)));
        let wanted: FxHashMap<ConnectionId, usize> = wanted.collect();
        let rows = self.rows.borrow();
        let engaged = rows.all().filter(|(_, row)| row.mark != Mark::None);
        engaged.filter_map(|(slot, row)| wanted.get(&self.connection_id(slot, &row.phase)).copied()).collect()
    }

    /// The id of the connection in `slot`, which does what `phase` says.
    pub(super) fn connection_id(&self, slot: Slot, phase: &Phase) -> ConnectionId {
        let of_application = match phase {
            Phase::Socket(socket) => socket.connection_id(),
            _ => None,
        };
        let generation = self.wire.borrow().generation(slot);
        let place = ConnectionId::Place { core: self.id, slot, generation };
        of_application.map_or(place, ConnectionId::Application)
    }

    /// The WebSocket with this Connection-Id.
    fn socket_called(&self, id: &str) -> Option<Slot> {
        let id = Uuid::try_parse(id).ok()?;
        let rows = self.rows.borrow();
        let called =
            |phase: &Phase| matches!(phase, Phase::Socket(socket) if socket.connection_id() == Some(id));
        rows.all().find(|(_, row)| called(&row.phase)).map(|(slot, _)| slot)
    }
}

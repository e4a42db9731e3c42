//! The core's end of the bridge to the thread of ZeroMQ: publications from there go to the homes on this core as those of
//! another core do, as fast as these take them; what operators ask is done; and the thread is told which channels have
//! interest.

use super::Core;
use super::client::Refreshed;
use super::row::Mark;
use crate::bridge::{Inlet, Order, Outcome, Outlet};
use crate::channel::{Publication, ToHome};
use crate::ids::ConnectionId;
use crate::wire::Ringer;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

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
            Order::RefreshConnection(id) => {
                match ConnectionId::parse(&id).map(|id| self.refresh_client(id)) {
                    Some(Refreshed::Asked) => Outcome::Done,
                    Some(Refreshed::Nothing | Refreshed::NoClient) | None => Outcome::NotHere,
                }
            }
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

    /// Which of `ids`, by their places in the list, are clients of this core that are answered or held.
    fn connections_here(&self, ids: &[Box<str>]) -> Vec<usize> {
        let is_here = |id: &str| {
            let slot = ConnectionId::parse(id).and_then(|id| self.find_client(id));
            slot.is_some_and(|slot| {
                self.rows.borrow_mut().get(slot).is_some_and(|row| row.mark != Mark::None)
            })
        };
        ids.iter().enumerate().filter(|(_, id)| is_here(id)).map(|(place, _)| place).collect()
    }
}

//! The core's end of the bridge to the thread of ZeroMQ: publications from there go to the homes on this core as those
//! of another core do, as fast as these take them; what operators ask is done; and the thread is told which channels
//! have interest.

use super::Publishing;
use crate::bridge::{Inlet, Order, Outcome, Outlet};
use crate::channel::{Publication, ToHome};
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

impl Publishing {
    /// The orders that have come over the bridge, each with its ticket.
    pub fn take_orders(&self) -> Vec<(u64, Order)> {
        self.bridge
            .as_ref()
            .map(|bridge| bridge.plan.inlet.take_orders().into_iter().collect())
            .unwrap_or_default()
    }

    /// Takes publications that have come over the bridge, within the budget of a turn; whether there were any.
    pub fn take_from_bridge(self: &Rc<Self>) -> bool {
        let Some(bridge) = &self.bridge else { return false };
        bridge.plan.inlet.take_publications(&mut bridge.arrived.borrow_mut());
        let (mut done, mut bytes) = (0, 0);
        while done < PUBLICATIONS && self.homes_have_room() {
            let Some(publication) = bridge.arrived.borrow_mut().pop_front() else { break };
            done += 1;
            bytes += publication.weight();
            self.at_home(self.context.id, ToHome::Publish(Arc::new(publication)));
        }
        if done > 0 && bridge.plan.inlet.has_been_done_with(done, bytes) {
            bridge.plan.outlet.room();
        }
        done > 0
    }

    /// Tells the thread which channels have interest now, and which have none any more.
    pub fn tell_of_interest(&self) {
        let Some(bridge) = self.bridge.as_ref().filter(|bridge| bridge.plan.listens) else { return };
        let changes = self.home.borrow_mut().take_changes();
        changes.into_iter().for_each(|(channel, wanted)| bridge.plan.outlet.interest(channel, wanted));
    }

    /// Tells the thread what became of its order.
    pub fn tell_outcome(&self, ticket: u64, outcome: Outcome) {
        if let Some(bridge) = &self.bridge {
            bridge.plan.outlet.outcome(ticket, outcome);
        }
    }
}

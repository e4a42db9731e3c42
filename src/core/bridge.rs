//! The core's end of the bridge to the thread of ZeroMQ: publications from there go to the homes on this core as those
//! of another core do, as fast as these take them; what operators ask is done; and the thread is told which channels
//! have interest.

use super::Core;
use super::client::Refreshed;
use super::errands::{Answer, Question};
use crate::bridge::{Inlet, Order, Outcome, Outlet};
use crate::channel::{Publication, ToHome};
use crate::ids::{ConnectionId, NameSet};
use crate::runtime;
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

    /// Has an order followed, by whichever cores it is about.
    fn follow(self: &Rc<Self>, ticket: u64, order: Order) {
        let core = self.clone();
        runtime::spawn(async move {
            let outcome = core.outcome_of(order).await;
            if let Some(bridge) = &core.bridge {
                bridge.plan.outlet.outcome(ticket, outcome);
            }
        })
        .detach();
    }

    async fn outcome_of(self: &Rc<Self>, order: Order) -> Outcome {
        match order {
            Order::Publish(publications) => {
                self.publish(publications).await.map_or(Outcome::Busy, |()| Outcome::Done)
            }
            Order::Recover => self.recover().await.map_or(Outcome::Busy, |()| Outcome::Done),
            Order::ConnCheck(names) => self.present_among(names).await,
            Order::Refresh(name) => {
                let Some(id) = self.known_id(&name) else { return Outcome::NotFound };
                match self.ask(id.core(), Question::Refresh(id)).await {
                    Some(Answer::Refreshed(Refreshed::Asked)) => Outcome::Done,
                    Some(_) => Outcome::NotFound,
                    None => Outcome::Busy,
                }
            }
        }
    }

    /// Which of the connections with these names are there.
    async fn present_among(self: &Rc<Self>, mut names: Vec<Box<str>>) -> Outcome {
        let ids: Arc<[ConnectionId]> = names.iter().filter_map(|name| self.known_id(name)).collect();
        let mut present = NameSet::default();
        for answer in self.ask_all(&Question::Present(ids)).await {
            let Some(Answer::Present(ids)) = answer else { return Outcome::Busy };
            present.extend(ids);
        }
        names.retain(|name| self.known_id(name).is_some_and(|id| present.contains(&id)));
        Outcome::Connections(names)
    }
}

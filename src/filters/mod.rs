//! Subscribers with filters. What is published to their channels is not written to them in the fan-out: their filters
//! decide on each item, one subscriber at a time (`deciding`), and only those that change content make any of their own;
//! what was decided is handed over (`concluding`). Filters that ask an application (`asking`) take their time meanwhile:
//! what comes for such a subscriber waits in its queue (`waiting`, `subscriber`), in order, and one task works that off.
//! `pace` bounds how often one URL is asked, and `setting` is what applications say of filters.
//!
//! Subscriptions without filters have no filter overhead.

#![forbid(unsafe_code)]

mod asking;
mod concluding;
mod deciding;
mod pace;
mod setting;
mod subscriber;
mod waiting;

use crate::channel::HeardUpTo;
use crate::clients::Clients;
use crate::context::Context;
use crate::delivery::{Delivery, DeliveryHook};
use crate::ids::Slot;
use crate::proto::grip::{Format, Publication};
use crate::requests::Requests;
use crate::slack::Look;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use waiting::Filtering;

/// The filters of a core's subscribers.
pub struct Filters {
    context: Rc<Context>,
    clients: Rc<Clients>,
    delivery: Rc<Delivery>,
    requests: Rc<Requests>,
    filtering: RefCell<Filtering>,
}

impl Filters {
    /// Nobody has filters.
    pub fn new(
        context: Rc<Context>,
        clients: Rc<Clients>,
        delivery: Rc<Delivery>,
        requests: Rc<Requests>,
    ) -> Rc<Filters> {
        let filtering = Filtering::new(context.cores).into();
        Rc::new(Filters { context, clients, delivery, requests, filtering })
    }

    /// Has a look at its tables.
    pub fn look_at_tables(&self, look: &mut Look<'_>) {
        self.filtering.borrow_mut().look_at_tables(look);
    }
}

impl DeliveryHook for Filters {
    fn deliver(self: Rc<Self>, slot: Slot, items: &[Arc<Publication>]) {
        self.deliver_filtered(slot, items);
    }

    fn refuse_unfit(&self, slots: &[Slot], item: &Publication, format: Format) {
        self.conclude_unfit(slots, item, format);
    }

    fn forget(&self, slot: Slot) {
        self.filtering.borrow_mut().forget(slot);
    }

    fn correct(&self, slot: Slot, heard: &mut Vec<HeardUpTo>) {
        self.filtering.borrow().correct(slot, heard);
    }

    fn withdraw(&self, slot: Slot, heard: &mut Vec<HeardUpTo>) {
        self.filtering.borrow_mut().withdraw(slot, heard);
    }

    fn sent_at(&self, slot: Slot) -> Option<u32> {
        self.filtering.borrow().sent_at(slot)
    }
}

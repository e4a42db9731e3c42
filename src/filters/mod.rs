//! Subscribers with filters. The fan-out does not write items to them. Their filters decide on each item, one
//! subscriber at a time (`deciding`), and the decision is carried out (`concluding`). Only filters that change an
//! item's content make bytes for a single subscriber. Filters that ask an application (`asking`) take time; meanwhile
//! further items wait in the subscriber's queue (`waiting`, `subscriber`), in order, and one task works the queue off.
//! `pace` bounds how often one URL is asked, and `setting` takes over the filters and variables that applications set. `packing` moves
//! subscribers to another process.
//!
//! Subscriptions without filters have no filter overhead.

#![forbid(unsafe_code)]

mod asking;
mod concluding;
mod deciding;
mod pace;
mod packing;
mod setting;
mod subscriber;
mod waiting;

pub use packing::PackedSubscriber;

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
    /// The filters of a core on which no subscriber has any.
    pub fn new(
        context: Rc<Context>,
        clients: Rc<Clients>,
        delivery: Rc<Delivery>,
        requests: Rc<Requests>,
    ) -> Rc<Filters> {
        let filtering = Filtering::new(context.cores).into();
        Rc::new(Filters { context, clients, delivery, requests, filtering })
    }

    /// Shows its tables to `look`, which shrinks tables that have been nearly empty for a while.
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

//! Who is subscribed to what on this core, and the delivery of what is published to them.
//!
//! - [`Delivery`] has the table of subscriptions. `subscribing` joins and leaves channels, `first_subscription` has
//!   applications asked again after a channel's first subscription, `subscription_limit` bounds the channels of a client.
//! - `fan_out` writes what is published, a slice of a channel at a time; `taking` takes it from the homes of channels;
//!   `receipts` tell publishers whom it reached.
//! - [`DeliveryHook`] is the seam for whatever decides on items before they are delivered. Filters of GRIP are behind it.

#![forbid(unsafe_code)]

mod fan_out;
mod first_subscription;
mod hook;
mod receipts;
mod subscribing;
mod subscription_limit;
mod taking;

pub use hook::DeliveryHook;
pub use receipts::ExpectedReceipts;
pub use subscribing::ForHome;

use crate::channel::{Receipts, Subscriptions};
use crate::clients::Clients;
use crate::context::Context;
use crate::observe::Growth;
use crate::queries::Queries;
use first_subscription::FirstSubscriptions;
use std::cell::{OnceCell, RefCell};
use std::rc::{Rc, Weak};
use subscription_limit::RefusedSubscriptions;

/// The subscriptions of a core, and what is on its way to them.
pub struct Delivery {
    context: Rc<Context>,
    clients: Rc<Clients>,
    queries: Rc<Queries>,
    subscriptions: RefCell<Subscriptions>,
    receipts: RefCell<Receipts>,
    first_subscriptions: RefCell<FirstSubscriptions>,
    refused_subscriptions: RefCell<RefusedSubscriptions>,
    /// Refused subscriptions that the operator has read of.
    reported_refused: Growth,
    hook: OnceCell<Weak<dyn DeliveryHook>>,
}

impl Delivery {
    /// Nobody is subscribed yet.
    pub fn new(
        context: Rc<Context>,
        clients: Rc<Clients>,
        queries: Rc<Queries>,
        subscriptions: Subscriptions,
    ) -> Rc<Delivery> {
        Rc::new(Delivery {
            context,
            clients,
            queries,
            subscriptions: subscriptions.into(),
            receipts: RefCell::default(),
            first_subscriptions: RefCell::default(),
            refused_subscriptions: RefCell::default(),
            reported_refused: Growth::default(),
            hook: OnceCell::new(),
        })
    }

    /// Items for subscribers that have filters go through `hook` from now on.
    ///
    /// # Panics
    /// When one was given before.
    pub fn filter_by(&self, hook: Weak<dyn DeliveryHook>) {
        assert!(self.hook.set(hook).is_ok(), "a hook is given once");
    }

    fn hook(&self) -> Option<Rc<dyn DeliveryHook>> {
        self.hook.get()?.upgrade()
    }
}

//! The subscriptions of this core's clients, and the delivery of published items to them.
//!
//! - [`Delivery`] has the subscription table. `subscribing` joins and leaves channels, `first_subscription` has
//!   applications asked again after a channel's first subscription, `subscription_limit` bounds the channels of a
//!   client.
//! - `fan_out` writes items to subscribers, a slice of a channel at a time; `taking` takes messages from the homes of
//!   channels; `receipts` tells publishers whom their items reached.
//! - [`DeliveryHook`] is the seam for code that decides on items before they are delivered. GRIP's filters implement
//!   it.

#![forbid(unsafe_code)]

mod fan_out;
mod first_subscription;
mod handing_over;
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
use crate::context::{Booking, Context, Kind};
use crate::observe::Growth;
use crate::queries::Queries;
use first_subscription::FirstSubscriptions;
use std::cell::{OnceCell, RefCell};
use std::rc::{Rc, Weak};
use subscription_limit::RefusedSubscriptions;

/// The subscriptions of a core, and the delivery of items to them.
pub struct Delivery {
    context: Rc<Context>,
    clients: Rc<Clients>,
    queries: Rc<Queries>,
    subscriptions: RefCell<Subscriptions>,
    /// The items that wait for the fan-out.
    pending: RefCell<Booking>,
    receipts: RefCell<Receipts>,
    first_subscriptions: RefCell<FirstSubscriptions>,
    refused_subscriptions: RefCell<RefusedSubscriptions>,
    /// Refused subscriptions, as far as they have been logged.
    reported_refused: Growth,
    hook: OnceCell<Weak<dyn DeliveryHook>>,
}

impl Delivery {
    /// The delivery of a core without subscribers.
    pub fn new(
        context: Rc<Context>,
        clients: Rc<Clients>,
        queries: Rc<Queries>,
        subscriptions: Subscriptions,
    ) -> Rc<Delivery> {
        let pending = context.accounts.nobody().book(Kind::Items, 0).into();
        Rc::new(Delivery {
            context,
            clients,
            queries,
            subscriptions: subscriptions.into(),
            pending,
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
    /// If a hook was set before.
    pub fn filter_by(&self, hook: Weak<dyn DeliveryHook>) {
        assert!(self.hook.set(hook).is_ok(), "a hook is given once");
    }

    fn hook(&self) -> Option<Rc<dyn DeliveryHook>> {
        self.hook.get()?.upgrade()
    }
}

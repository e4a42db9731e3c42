//! Packs subscribers with filters for the hand-over to another process, with the items that wait for their filters.

use super::Filters;
use super::subscriber::{Filtered, Subscriber};
use crate::ids::Slot;
use crate::proto::grip::{Filter, LinkTarget, compact};
use crate::requests::{Origin, PackedOrigin};
use crate::runtime;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::rc::Rc;
use std::sync::Arc;

/// A subscriber with filters, as a value.
#[derive(Serialize, Deserialize)]
pub struct PackedSubscriber {
    origin: PackedOrigin,
    at: LinkTarget,
    variables: Rc<[(String, String)]>,
    sent_at: Option<u32>,
    channels: Vec<PackedFilters>,
    /// The waiting items, in the compact form.
    waiting: Vec<Bytes>,
}

/// The filters on one channel.
#[derive(Serialize, Deserialize)]
struct PackedFilters {
    name: Box<str>,
    filters: Rc<[Filter]>,
    got: Option<Option<Box<str>>>,
}

impl Filters {
    /// The subscriber in `slot` as a value; `None` if it has no filters.
    pub fn pack(&self, slot: Slot) -> Option<PackedSubscriber> {
        let filtering = self.filtering.borrow();
        // A field that is added is to be named here, and packed if another process needs it.
        let Subscriber {
            number: _,
            origin,
            at,
            variables,
            variables_booking: _,
            sent_at,
            channels,
            waiting,
            waiting_booking: _,
            turn: _,
            has_task: _,
        } = filtering.subscribers.get(&slot)?;
        let packed = |channel: &Filtered| {
            let Filtered { name, filters, got } = channel;
            PackedFilters { name: name.clone(), filters: filters.clone(), got: got.clone() }
        };
        Some(PackedSubscriber {
            origin: PackedOrigin::of(origin),
            at: at.clone(),
            variables: variables.clone(),
            sent_at: *sent_at,
            channels: channels.iter().map(packed).collect(),
            waiting: waiting.iter().map(|item| compact::encode([&**item]).into()).collect(),
        })
    }

    /// Takes over the subscriber in `slot`, which is subscribed to its channels. Its waiting items are decided on when the
    /// core serves its clients.
    pub fn take_over(self: &Rc<Self>, slot: Slot, packed: PackedSubscriber) {
        let PackedSubscriber { origin, at, variables, sent_at, channels, waiting } = packed;
        let origin: Rc<Origin> = self.requests.origin_again(origin).into();
        let with_filters = channels.iter().filter(|channel| !channel.filters.is_empty());
        with_filters.for_each(|channel| self.delivery.filter(slot, &channel.name));
        let owner = self.owner_of(slot, &origin);
        let (number, waits) = {
            let mut filtering = self.filtering.borrow_mut();
            let subscriber = filtering.subscriber(slot, || origin.clone());
            subscriber.set_variables(variables, owner.clone());
            (subscriber.at, subscriber.sent_at) = (at, sent_at);
            for PackedFilters { name, filters, got } in channels {
                subscriber.set_channel(Filtered { name, filters, got });
            }
            let mut items = Vec::new();
            // An item of another version's form is lost here.
            waiting.iter().for_each(|item| drop(compact::decode(item, &mut items)));
            let waits = !items.is_empty();
            items.into_iter().for_each(|item| {
                subscriber.wait(&Arc::new(item));
            });
            subscriber.book_waiting(owner);
            (subscriber.number, waits)
        };
        if waits {
            let filters = self.clone();
            let work = async move {
                filters.context.gate.settled().await;
                filters.work_off(slot, number).await;
            };
            runtime::spawn(work).detach();
        }
    }
}

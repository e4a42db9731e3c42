//! Takes over the filters and variables that applications set for subscribers.

use super::Filters;
use super::subscriber::Filtered;
use crate::context::Owner;
use crate::ids::Slot;
use crate::proto::grip::{Channel, Filter, LinkTarget, may_have};
use crate::requests::Origin;
use std::rc::Rc;

impl Filters {
    /// Sets the filters and variables of the poll or stream in `slot`. `names` are its channels by the names of its
    /// subscriptions. Does nothing for a subscriber without filters.
    pub fn set_filters<'h>(
        &self,
        slot: Slot,
        names: impl Iterator<Item = (&'h str, &'h Channel)> + Clone,
        meta: &[(String, String)],
        origin: &Rc<Origin>,
        at: &LinkTarget,
    ) {
        let has_some = names.clone().any(|(_, channel)| !Filter::of(&channel.filters).is_empty());
        if !has_some && !self.filtering.borrow().subscribers.contains_key(&slot) {
            return;
        }
        let mut channels: Vec<Filtered> = Vec::new();
        for (name, channel) in names {
            let filters: Rc<[Filter]> = Filter::of(&channel.filters).into();
            if !filters.is_empty() {
                self.delivery.filter(slot, name);
            }
            let follows = channel.prev_id.as_deref().filter(|_| self.delivery.is_filtered(slot, name));
            let got = follows.map(|id| Some(id.into()));
            channels.retain(|known| *known.name != *name);
            channels.push(Filtered { name: name.into(), filters, got });
        }
        let owner = self.owner_of(slot, origin);
        let mut filtering = self.filtering.borrow_mut();
        let subscriber = filtering.subscriber(slot, || origin.clone());
        subscriber.set_variables(meta.into(), owner);
        subscriber.at = at.clone();
        subscriber.set_channels(channels);
    }

    /// The owner of the bytes that are kept for the subscriber in `slot`, whose application is at `origin`.
    pub(super) fn owner_of(&self, slot: Slot, origin: &Origin) -> Rc<Owner> {
        let owner = self.clients.owner(slot);
        owner.is_at(origin.client());
        owner.asks(origin.route().application());
        owner
    }

    /// Sets the filters of the WebSocket in `slot` on `channel`, which it is subscribed to.
    pub fn set_socket_filters(
        &self,
        slot: Slot,
        origin: impl FnOnce() -> Origin,
        channel: &str,
        filters: &[String],
    ) {
        let filters: Rc<[Filter]> = Filter::of(filters).into();
        let is_filtered = self.delivery.is_filtered(slot, channel);
        if filters.is_empty() && !is_filtered {
            return;
        }
        self.begin_filtering_socket(slot, origin);
        if let Some(subscriber) = self.filtering.borrow_mut().subscribers.get_mut(&slot) {
            subscriber.set_channel(Filtered { name: channel.into(), filters, got: None });
        }
        self.delivery.filter(slot, channel);
    }

    /// Adds the WebSocket in `slot` to the subscribers with filters, if it is not one already.
    fn begin_filtering_socket(&self, slot: Slot, origin: impl FnOnce() -> Origin) {
        let is_known = self.filtering.borrow().subscribers.contains_key(&slot);
        if !is_known {
            let origin = Rc::new(origin());
            self.filtering.borrow_mut().subscriber(slot, || origin);
        }
    }

    /// Removes the filters of the WebSocket in `slot` on `channel`, which it has left.
    pub fn drop_socket_filters(&self, slot: Slot, channel: &str) {
        let mut filtering = self.filtering.borrow_mut();
        let Some(subscriber) = filtering.subscribers.get_mut(&slot) else { return };
        subscriber.leave(channel);
    }

    /// Sets a variable of the WebSocket in `slot`; without a `value`, deletes it. Returns `false` if the WebSocket has
    /// too many variables.
    pub fn set_socket_meta(
        &self,
        slot: Slot,
        origin: impl FnOnce() -> Origin,
        name: &str,
        value: Option<String>,
    ) -> bool {
        if value.is_some() {
            self.begin_filtering_socket(slot, origin);
        }
        let origin =
            self.filtering.borrow().subscribers.get(&slot).map(|subscriber| subscriber.origin.clone());
        let Some(origin) = origin else { return true };
        let owner = self.owner_of(slot, &origin);
        let mut filtering = self.filtering.borrow_mut();
        let Some(subscriber) = filtering.subscribers.get_mut(&slot) else { return true };
        let others = subscriber.variables().iter().filter(|(own, _)| own != name).cloned();
        let variables: Rc<[_]> = others.chain(value.map(|value| (name.to_owned(), value))).collect();
        let fits = may_have(variables.iter().map(|(name, value)| (&**name, &**value)));
        subscriber.set_variables(variables, owner);
        fits
    }
}

//! Subscribers with filters. What is published to their channels is not written to them in the fan-out: their filters
//! decide on each item, one subscriber at a time (`deliver`), and only those that change content make any of their own.
//! Filters that ask an application (`asking`) take their time meanwhile: what comes for such a subscriber waits in its
//! queue (`subscriber`), in order, and one task works that off. `pace` bounds how often one URL is asked.
//!
//! Nothing of this is there for a subscriber without filters.

mod asking;
mod deliver;
mod pace;
mod subscriber;

use super::Core;
use super::links::Origin;
use super::socket::Socket;
use crate::channel::{HeardUpTo, Publication};
use crate::ids::Slot;
use crate::proto::grip::{Channel, Filter, LinkTarget, may_have};
use crate::slack::Look;
use pace::Pace;
use rustc_hash::FxHashMap;
use std::rc::Rc;
use std::sync::Arc;
use subscriber::{Filtered, Subscriber};

/// Bytes of what waits for filters on a core.
const WAITING_BYTES: usize = 64 * 1024 * 1024;

/// The subscribers of a core that have filters.
pub(super) struct Filtering {
    subscribers: FxHashMap<Slot, Subscriber>,
    numbers: u64,
    waiting_bytes: usize,
    pace: Pace,
}

/// What becomes of an item for a subscriber.
enum Admission {
    /// There is no such subscriber any more.
    Gone,
    /// It is decided on at once, by these filters.
    Now(Rc<[Filter]>),
    /// It waits behind others.
    Waits,
    /// It waits, and is the first that does.
    Begins,
    /// Too much waits already; of a subscriber that follows the channel's ids, or of another.
    Full { follows: bool },
}

impl Filtering {
    /// Has a look at its tables.
    pub fn look_at_tables(&mut self, look: &mut Look<'_>) {
        look.at(&mut self.subscribers);
    }

    /// Nobody has filters; on one of `cores` cores.
    pub fn new(cores: usize) -> Filtering {
        let subscribers = FxHashMap::default();
        Filtering { subscribers, numbers: 0, waiting_bytes: 0, pace: Pace::new(cores) }
    }

    /// The subscriber in `slot` ends.
    fn forget(&mut self, slot: Slot) {
        if let Some(subscriber) = self.subscribers.remove(&slot) {
            self.waiting_bytes -= subscriber.waiting_bytes();
        }
    }

    /// When the subscriber in `slot` was last sent something by way of its filters.
    pub fn sent_at(&self, slot: Slot) -> Option<u32> {
        self.subscribers.get(&slot)?.sent_at
    }

    fn subscriber(&mut self, slot: Slot, origin: impl FnOnce() -> Rc<Origin>) -> &mut Subscriber {
        let numbers = &mut self.numbers;
        self.subscribers.entry(slot).or_insert_with(|| {
            *numbers += 1;
            Subscriber::new(*numbers, origin())
        })
    }

    /// The subscriber in `slot`, if it is still the one with this number.
    fn get(&mut self, slot: Slot, number: u64) -> Option<&mut Subscriber> {
        self.subscribers.get_mut(&slot).filter(|subscriber| subscriber.number == number)
    }

    fn number_of(&self, slot: Slot) -> Option<u64> {
        Some(self.subscribers.get(&slot)?.number)
    }

    /// `item` has come for a subscriber.
    fn admit(&mut self, slot: Slot, number: u64, item: &Arc<Publication>) -> Admission {
        let is_full = self.waiting_bytes + item.weight() > WAITING_BYTES;
        let Some(subscriber) = self.get(slot, number) else { return Admission::Gone };
        let filters = subscriber.filters_on(&item.channel);
        let is_idle = !subscriber.is_busy();
        if is_idle && !filters.iter().any(|filter| filter.asks()) {
            return Admission::Now(filters);
        }
        if is_full || !subscriber.wait(item) {
            return Admission::Full { follows: subscriber.got_on(&item.channel).is_some() };
        }
        self.waiting_bytes += item.weight();
        if is_idle { Admission::Begins } else { Admission::Waits }
    }

    /// The first item that waits, its turn, and the filters that decide on it.
    fn first(&mut self, slot: Slot, number: u64) -> Option<(Arc<Publication>, u64, Rc<[Filter]>)> {
        let subscriber = self.get(slot, number)?;
        let (item, turn) = subscriber.first()?;
        let filters = subscriber.filters_on(&item.channel);
        Some((item, turn, filters))
    }

    /// The item whose turn this is has been decided on; whether it was still to be.
    fn take_turn(&mut self, slot: Slot, number: u64, turn: u64) -> bool {
        let taken = self.get(slot, number).and_then(|subscriber| subscriber.take_turn(turn));
        self.waiting_bytes -= taken.as_ref().map_or(0, |item| item.weight());
        taken.is_some()
    }

    /// A stream leaves the channels in `heard` to ask its application what came after the ids there, and so does what
    /// waits of them. The ids become those that its filters have let it have.
    pub fn withdraw(&mut self, slot: Slot, heard: &mut Vec<HeardUpTo>) {
        if let Some(subscriber) = self.subscribers.get_mut(&slot) {
            let left = subscriber.drop_waiting(|channel| heard.iter().any(|(name, _)| **name == *channel));
            self.waiting_bytes -= left;
        }
        self.correct(slot, heard);
    }

    /// Says what a subscriber has got, not what waits for its filters.
    pub fn correct(&self, slot: Slot, heard: &mut Vec<HeardUpTo>) {
        let Some(subscriber) = self.subscribers.get(&slot) else { return };
        heard.retain_mut(|(channel, id)| match subscriber.got_on(channel) {
            Some(Some(got)) => {
                id.clone_from(got);
                true
            }
            Some(None) => false,
            None => true,
        });
    }
}

impl Core {
    /// What is held in `slot` has the filters that these channels name. `names` are the channels as they are subscribed
    /// to. Nothing is done for who has none.
    pub(super) fn set_filters<'h>(
        &self,
        slot: Slot,
        names: impl Iterator<Item = (&'h str, &'h Channel)> + Clone,
        meta: &[(String, String)],
        origin: &Rc<Origin>,
        at: &LinkTarget,
    ) {
        let mut filtering = self.filtering.borrow_mut();
        let has_some = names.clone().any(|(_, channel)| !Filter::of(&channel.filters).is_empty());
        if !has_some && !filtering.subscribers.contains_key(&slot) {
            return;
        }
        let mut subscriptions = self.subscriptions.borrow_mut();
        let mut channels: Vec<Filtered> = Vec::new();
        for (name, channel) in names {
            let filters: Rc<[Filter]> = Filter::of(&channel.filters).into();
            if !filters.is_empty() {
                subscriptions.filter(slot, name);
            }
            let follows = channel.prev_id.as_deref().filter(|_| subscriptions.is_filtered(slot, name));
            let got = follows.map(|id| Some(id.into()));
            channels.retain(|known| *known.name != *name);
            channels.push(Filtered { name: name.into(), filters, got });
        }
        let subscriber = filtering.subscriber(slot, || origin.clone());
        subscriber.meta = meta.into();
        subscriber.at = at.clone();
        let left = subscriber.set_channels(channels);
        filtering.waiting_bytes -= left;
    }

    /// The WebSocket in `slot` has these filters on `channel`, which it is subscribed to.
    pub(super) fn set_socket_filters(&self, slot: Slot, socket: &Socket, channel: &str, filters: &[String]) {
        let filters: Rc<[Filter]> = Filter::of(filters).into();
        let is_filtered = self.subscriptions.borrow().is_filtered(slot, channel);
        if filters.is_empty() && !is_filtered {
            return;
        }
        self.begin_filtering_socket(slot, socket);
        if let Some(subscriber) = self.filtering.borrow_mut().subscribers.get_mut(&slot) {
            subscriber.set_channel(Filtered { name: channel.into(), filters, got: None });
        }
        self.subscriptions.borrow_mut().filter(slot, channel);
    }

    /// The WebSocket in `slot` is a subscriber with filters from now on, or with variables for them.
    fn begin_filtering_socket(&self, slot: Slot, socket: &Socket) {
        let is_known = self.filtering.borrow().subscribers.contains_key(&slot);
        if !is_known {
            let origin = Rc::new(self.origin_of_socket(socket));
            self.filtering.borrow_mut().subscriber(slot, || origin);
        }
    }

    /// The WebSocket in `slot` has left `channel`.
    pub(super) fn drop_socket_filters(&self, slot: Slot, channel: &str) {
        let mut filtering = self.filtering.borrow_mut();
        let Some(subscriber) = filtering.subscribers.get_mut(&slot) else { return };
        let left = subscriber.leave(channel);
        filtering.waiting_bytes -= left;
    }

    /// Sets a variable of the WebSocket in `slot`; no value deletes it. `false` if it has too many.
    pub(super) fn set_socket_meta(
        &self,
        slot: Slot,
        socket: &Socket,
        name: &str,
        value: Option<String>,
    ) -> bool {
        if value.is_some() {
            self.begin_filtering_socket(slot, socket);
        }
        if let Some(subscriber) = self.filtering.borrow_mut().subscribers.get_mut(&slot) {
            let others = subscriber.meta.iter().filter(|(own, _)| own != name).cloned();
            subscriber.meta = others.chain(value.map(|value| (name.to_owned(), value))).collect();
            return may_have(subscriber.meta.iter().map(|(name, value)| (&**name, &**value)));
        }
        true
    }

    /// What the client in `slot` has of the channels that it follows.
    pub(super) fn heard_by(&self, slot: Slot) -> Vec<HeardUpTo> {
        let mut heard = self.subscriptions.borrow().heard(slot);
        self.filtering.borrow().correct(slot, &mut heard);
        heard
    }

    /// Takes `slot` out of the subscription table.
    pub(super) fn unsubscribe(&self, slot: Slot) {
        self.subscriptions.borrow_mut().unsubscribe(slot);
        self.filtering.borrow_mut().forget(slot);
    }
}

//! The subscribers of a core that have filters, and how much waits for them in all.

use super::pace::Pace;
use super::subscriber::Subscriber;
use crate::channel::HeardUpTo;
use crate::ids::Slot;
use crate::proto::grip::{Filter, Publication};
use crate::requests::Origin;
use crate::slack::Look;
use rustc_hash::FxHashMap;
use std::rc::Rc;
use std::sync::Arc;

/// Bytes of what waits for filters on a core.
const WAITING_BYTES: usize = 64 * 1024 * 1024;

/// The subscribers of a core that have filters.
pub(super) struct Filtering {
    pub subscribers: FxHashMap<Slot, Subscriber>,
    numbers: u64,
    pub waiting_bytes: usize,
    pub pace: Pace,
}

/// What becomes of an item for a subscriber.
pub(super) enum Admission {
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
    pub fn forget(&mut self, slot: Slot) {
        if let Some(subscriber) = self.subscribers.remove(&slot) {
            self.waiting_bytes -= subscriber.waiting_bytes();
        }
    }

    /// When the subscriber in `slot` was last sent something by way of its filters.
    pub fn sent_at(&self, slot: Slot) -> Option<u32> {
        self.subscribers.get(&slot)?.sent_at
    }

    pub fn subscriber(&mut self, slot: Slot, origin: impl FnOnce() -> Rc<Origin>) -> &mut Subscriber {
        let numbers = &mut self.numbers;
        self.subscribers.entry(slot).or_insert_with(|| {
            *numbers += 1;
            Subscriber::new(*numbers, origin())
        })
    }

    /// The subscriber in `slot`, if it is still the one with this number.
    pub fn get(&mut self, slot: Slot, number: u64) -> Option<&mut Subscriber> {
        self.subscribers.get_mut(&slot).filter(|subscriber| subscriber.number == number)
    }

    pub fn number_of(&self, slot: Slot) -> Option<u64> {
        Some(self.subscribers.get(&slot)?.number)
    }

    /// `item` has come for a subscriber.
    pub fn admit(&mut self, slot: Slot, number: u64, item: &Arc<Publication>) -> Admission {
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
    pub fn first(&mut self, slot: Slot, number: u64) -> Option<(Arc<Publication>, u64, Rc<[Filter]>)> {
        let subscriber = self.get(slot, number)?;
        let (item, turn) = subscriber.first()?;
        let filters = subscriber.filters_on(&item.channel);
        Some((item, turn, filters))
    }

    /// The item whose turn this is has been decided on; whether it was still to be.
    pub fn take_turn(&mut self, slot: Slot, number: u64, turn: u64) -> bool {
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

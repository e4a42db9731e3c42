//! The subscribers of a core that have filters.

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

/// The subscribers of a core that have filters.
pub(super) struct Filtering {
    pub subscribers: FxHashMap<Slot, Subscriber>,
    numbers: u64,
    pub pace: Pace,
}

/// What to do with an item that has come for a subscriber.
pub(super) enum Admission {
    /// Nothing: the subscriber is gone.
    Gone,
    /// Decide on it at once, with these filters.
    Now(Rc<[Filter]>),
    /// Nothing: it waits behind other items, and a task is running.
    Waits,
    /// Start a task: it is the first item that waits.
    Begins,
    /// Drop it, because too many items wait already.
    Full {
        /// The subscriber follows the channel's ids, so a refetch brings the item.
        follows: bool,
    },
}

impl Filtering {
    /// Shows its tables to `look`, which shrinks tables that have been nearly empty for a while.
    pub fn look_at_tables(&mut self, look: &mut Look<'_>) {
        look.at(&mut self.subscribers);
    }

    /// The table of one core in a server with this many `cores`, without subscribers.
    pub fn new(cores: usize) -> Filtering {
        let subscribers = FxHashMap::default();
        Filtering { subscribers, numbers: 0, pace: Pace::new(cores) }
    }

    /// Forgets the subscriber in `slot`, which has ended.
    pub fn forget(&mut self, slot: Slot) {
        self.subscribers.remove(&slot);
    }

    /// The tick at which the subscriber in `slot` was last sent an item that its filters let through.
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

    /// The subscriber in `slot`, if it still has this number.
    pub fn get(&mut self, slot: Slot, number: u64) -> Option<&mut Subscriber> {
        self.subscribers.get_mut(&slot).filter(|subscriber| subscriber.number == number)
    }

    pub fn number_of(&self, slot: Slot) -> Option<u64> {
        Some(self.subscribers.get(&slot)?.number)
    }

    /// Decides what to do with `item`, which has come for a subscriber. Adds it to the queue if it must wait and the core
    /// has room (`has_room`).
    pub fn admit(&mut self, slot: Slot, number: u64, item: &Arc<Publication>, has_room: bool) -> Admission {
        let Some(subscriber) = self.get(slot, number) else { return Admission::Gone };
        let filters = subscriber.filters_on(&item.channel);
        let is_idle = !subscriber.is_busy();
        if is_idle && !filters.iter().any(|filter| filter.asks()) {
            return Admission::Now(filters);
        }
        if !has_room || !subscriber.wait(item) {
            return Admission::Full { follows: subscriber.got_on(&item.channel).is_some() };
        }
        if is_idle { Admission::Begins } else { Admission::Waits }
    }

    /// The first waiting item, its turn, and the filters that decide on it.
    pub fn first(&mut self, slot: Slot, number: u64) -> Option<(Arc<Publication>, u64, Rc<[Filter]>)> {
        let subscriber = self.get(slot, number)?;
        let (item, turn) = subscriber.first()?;
        let filters = subscriber.filters_on(&item.channel);
        Some((item, turn, filters))
    }

    /// The item whose turn is `turn` was decided on. Takes it out, and returns whether it was still in the queue.
    pub fn take_turn(&mut self, slot: Slot, number: u64, turn: u64) -> bool {
        self.get(slot, number).is_some_and(|subscriber| subscriber.take_turn(turn).is_some())
    }

    /// A stream leaves the channels in `heard`, to ask its application for the items after these ids. Drops the
    /// channels' waiting items, and corrects the ids to the last items that its filters decided on.
    pub fn withdraw(&mut self, slot: Slot, heard: &mut Vec<HeardUpTo>) {
        if let Some(subscriber) = self.subscribers.get_mut(&slot) {
            subscriber.drop_waiting(|channel| heard.iter().any(|(name, _)| **name == *channel));
        }
        self.correct(slot, heard);
    }

    /// Corrects the ids in `heard` to the last items that the subscriber's filters decided on, without the items that
    /// still wait.
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

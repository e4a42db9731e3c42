//! Receipts of one core, at both ends: publish calls that wait to hear whom their items reached, and items whose fan-out
//! here is being counted. An item is settled when its home has said how many cores it went to and each of them has
//! reported; their words come in any order.

use super::Core;
use crate::bell::Bell;
use crate::channel::{Counting, Publication, Reach, Receipt};
use rustc_hash::FxHashMap;
use std::rc::Rc;
use std::sync::Arc;

/// Items with receipts under way at a time.
const ITEMS: usize = 10_000;

/// There would be too many receipts under way.
#[derive(Debug, thiserror::Error)]
#[error("more than {ITEMS} receipts would be under way; publish fewer items at once, or try again")]
pub(super) struct TooMany;

/// Both ends.
#[derive(Default)]
pub(super) struct Receipts {
    waiting: FxHashMap<u64, Waiting>,
    tickets: u64,
    items: usize,
    /// Whom items of any core have reached here so far.
    counted: FxHashMap<Receipt, Reach>,
}

struct Waiting {
    items: Vec<Sent>,
    unsettled: usize,
    bell: Rc<Bell>,
}

/// What is known of an item.
pub(super) struct Sent {
    pub channel: Arc<str>,
    pub id: Option<Box<str>>,
    pub place: Place,
    reports: u16,
    pub reach: Reach,
}

/// Where an item is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// On its way to its home, or waiting there for its predecessor.
    Unknown,
    /// Dropped there, because it had come before.
    Repeated,
    /// On its way to the subscribers of so many cores.
    On(u16),
}

/// A publish call that wants a receipt; nobody waits for it any more when this is dropped.
pub(super) struct Expected {
    core: Rc<Core>,
    ticket: u64,
    bell: Rc<Bell>,
}

impl Drop for Expected {
    fn drop(&mut self) {
        self.core.receipts.borrow_mut().forget(self.ticket);
    }
}

impl Expected {
    /// Waits until every item is settled.
    pub async fn settled(&self) {
        while self.core.receipts.borrow().is_waiting(self.ticket) {
            self.bell.rung().await;
        }
    }

    /// What is known by now.
    pub fn into_items(self) -> Vec<Sent> {
        self.core.receipts.borrow_mut().forget(self.ticket).unwrap_or_default()
    }
}

impl Core {
    /// Asks for receipts of all `publications`, which are about to be published.
    pub(super) fn expect_receipts(
        self: &Rc<Self>,
        publications: &mut [Publication],
    ) -> Result<Expected, TooMany> {
        let mut receipts = self.receipts.borrow_mut();
        if receipts.items + publications.len() > ITEMS {
            return Err(TooMany);
        }
        let (ticket, bell) = receipts.expect(publications);
        for (item, publication) in publications.iter_mut().enumerate() {
            publication.receipt = Some(Receipt { core: self.id, ticket, item: item as u32 });
        }
        Ok(Expected { core: self.clone(), ticket, bell })
    }

    /// Counts those who were written to, and tells the publisher of their item when they were the last.
    pub(super) fn count_reach(&self, Counting { receipt, is_last, .. }: Counting, reach: Reach) {
        let all = self.receipts.borrow_mut().count(receipt, reach, is_last);
        if let Some(reach) = all {
            self.report(receipt, reach);
        }
    }

    /// Tells publishers of items that found no subscriber here.
    pub(super) fn report_unheard(&self) {
        let unheard = self.subscriptions.borrow_mut().take_unheard();
        unheard.into_iter().for_each(|receipt| self.report(receipt, Reach::default()));
    }
}

impl Receipts {
    fn expect(&mut self, publications: &[Publication]) -> (u64, Rc<Bell>) {
        let (bell, unsettled) = (Rc::<Bell>::default(), publications.len());
        let items = publications.iter().map(|publication| Sent {
            channel: publication.channel.clone(),
            id: publication.id.clone(),
            place: Place::Unknown,
            reports: 0,
            reach: Reach::default(),
        });
        self.tickets += 1;
        self.items += unsettled;
        let waiting = Waiting { items: items.collect(), unsettled, bell: bell.clone() };
        self.waiting.insert(self.tickets, waiting);
        (self.tickets, bell)
    }

    fn is_waiting(&self, ticket: u64) -> bool {
        self.waiting.get(&ticket).is_some_and(|waiting| waiting.unsettled > 0)
    }

    fn forget(&mut self, ticket: u64) -> Option<Vec<Sent>> {
        let waiting = self.waiting.remove(&ticket)?;
        self.items -= waiting.items.len();
        Some(waiting.items)
    }

    /// The home of an item has given it its place, on `cores` cores, or has dropped it.
    pub fn placed(&mut self, receipt: Receipt, cores: Option<u16>) {
        self.learn(receipt, |item| item.place = cores.map_or(Place::Repeated, Place::On));
    }

    /// A core has reported.
    pub fn reached(&mut self, receipt: Receipt, reach: Reach) {
        self.learn(receipt, |item| {
            item.reports += 1;
            item.reach.add(reach);
        });
    }

    fn learn(&mut self, receipt: Receipt, what: impl FnOnce(&mut Sent)) {
        let Some(waiting) = self.waiting.get_mut(&receipt.ticket) else { return };
        let Some(item) = waiting.items.get_mut(receipt.item as usize) else { return };
        debug_assert!(!item.is_settled(), "more cores report than the item went to");
        what(item);
        if item.is_settled() {
            waiting.unsettled -= 1;
            if waiting.unsettled == 0 {
                waiting.bell.ring();
            }
        }
    }

    /// Adds to what an item has reached here; all of it, if that was the last.
    fn count(&mut self, receipt: Receipt, reach: Reach, is_last: bool) -> Option<Reach> {
        let before = self.counted.remove(&receipt);
        let mut all = before.unwrap_or_default();
        all.add(reach);
        match is_last {
            true => Some(all),
            false => {
                self.counted.insert(receipt, all);
                None
            }
        }
    }
}

impl Sent {
    /// Whether nothing more will be heard of it.
    pub fn is_settled(&self) -> bool {
        match self.place {
            Place::Unknown => false,
            Place::Repeated => true,
            Place::On(cores) => self.reports >= cores,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::{Audience, Transport};
    use crate::ids::CoreId;

    fn reach(streams: usize, dropped: u32) -> Reach {
        Reach { received: Audience::of(Transport::StreamRaw, streams), dropped }
    }

    #[test]
    fn a_call_is_settled_when_the_homes_have_spoken_and_all_cores_reported() {
        let mut receipts = Receipts::default();
        let (ticket, _) = receipts.expect(&[Publication::new("a"), Publication::new("b")]);
        let of = |item| Receipt { core: CoreId(0), ticket, item };
        receipts.reached(of(0), reach(2, 1));
        receipts.placed(of(0), Some(2));
        receipts.placed(of(1), None);
        assert!(receipts.is_waiting(ticket));
        receipts.reached(of(0), reach(3, 0));
        assert!(!receipts.is_waiting(ticket));
        let items = receipts.forget(ticket).unwrap();
        assert_eq!((items[0].reach, items[1].place), (reach(5, 1), Place::Repeated));
        assert_eq!(receipts.items, 0);
        receipts.reached(of(0), reach(1, 0));
    }

    #[test]
    fn slices_of_a_fan_out_are_reported_together() {
        let mut receipts = Receipts::default();
        let receipt = Receipt { core: CoreId(1), ticket: 1, item: 0 };
        assert_eq!(receipts.count(receipt, reach(512, 0), false), None);
        assert_eq!(receipts.count(receipt, reach(1, 2), true), Some(reach(513, 2)));
        assert!(receipts.counted.is_empty());
    }
}

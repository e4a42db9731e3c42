//! The receipts of one core, on both sides: publish calls that wait to learn how many subscribers their items
//! reached, and items whose fan-out on this core is being counted. An item is settled when its home has reported how
//! many cores it was sent to, and each of them has reported its reach. These reports come in any order.

use super::reach::Reach;
use crate::bell::Bell;
use crate::ids::CoreId;
use crate::proto::grip::{Publication, Receipt};
use crate::slack::Look;
use rustc_hash::FxHashMap;
use std::rc::Rc;
use std::sync::Arc;

/// Items whose receipts are in transit at a time, at most.
const ITEMS: usize = 10_000;

/// The call would exceed the limit on receipts in transit.
#[derive(Debug, thiserror::Error)]
#[error(
    "more than {ITEMS} receipts would be in transit; publish fewer items in one call, or try again later"
)]
pub struct TooMany;

/// The receipts of one core, on both sides.
#[derive(Default)]
pub struct Receipts {
    waiting: FxHashMap<u64, Waiting>,
    tickets: u64,
    items: usize,
    /// The subscribers on this core that items of any core have reached so far.
    counted: FxHashMap<Receipt, Reach>,
}

struct Waiting {
    items: Vec<Sent>,
    unsettled: usize,
    bell: Rc<Bell>,
}

/// The state of a published item with a receipt.
pub struct Sent {
    /// The item's channel.
    pub channel: Arc<str>,
    /// The id its publisher gave it.
    pub id: Option<Box<str>>,
    /// Where the item is.
    pub place: ItemPlace,
    reports: u16,
    /// The subscribers it has reached, as far as cores have reported.
    pub reach: Reach,
}

/// Where an item is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ItemPlace {
    /// On its way to its home, or waiting there for its predecessor.
    Unknown,
    /// Dropped by the home as a repetition.
    Repeated,
    /// Sent to the subscribers of this many cores.
    On(u16),
}

impl Receipts {
    /// Lets `look` shrink both tables.
    pub fn look_at_tables(&mut self, look: &mut Look<'_>) {
        look.at(&mut self.waiting);
        look.at(&mut self.counted);
    }

    /// Gives receipts to all `publications`, which are about to be published on `core`. Returns the call's ticket,
    /// and a bell that is rung when all of them are settled.
    ///
    /// # Errors
    /// [`TooMany`], if too many receipts would be in transit.
    pub fn expect(
        &mut self,
        core: CoreId,
        publications: &mut [Publication],
    ) -> Result<(u64, Rc<Bell>), TooMany> {
        if self.items + publications.len() > ITEMS {
            return Err(TooMany);
        }
        let (bell, unsettled) = (Rc::<Bell>::default(), publications.len());
        let items = publications.iter().map(|publication| Sent {
            channel: publication.channel.clone(),
            id: publication.id.clone(),
            place: ItemPlace::Unknown,
            reports: 0,
            reach: Reach::default(),
        });
        self.tickets += 1;
        self.items += unsettled;
        let waiting = Waiting { items: items.collect(), unsettled, bell: bell.clone() };
        self.waiting.insert(self.tickets, waiting);
        for (item, publication) in publications.iter_mut().enumerate() {
            publication.receipt = Some(Receipt { core, ticket: self.tickets, item: item as u32 });
        }
        Ok((self.tickets, bell))
    }

    /// Whether some item of the call is not settled yet.
    pub fn is_waiting(&self, ticket: u64) -> bool {
        self.waiting.get(&ticket).is_some_and(|waiting| waiting.unsettled > 0)
    }

    /// Ends the call, and returns the state of its items.
    pub fn forget(&mut self, ticket: u64) -> Option<Vec<Sent>> {
        let waiting = self.waiting.remove(&ticket)?;
        self.items -= waiting.items.len();
        Some(waiting.items)
    }

    /// Records the report of an item's home: the item was sent to `cores` cores, or was dropped.
    pub fn placed(&mut self, receipt: Receipt, cores: Option<u16>) {
        self.learn(receipt, |item| item.place = cores.map_or(ItemPlace::Repeated, ItemPlace::On));
    }

    /// Records the report of a core.
    pub fn reached(&mut self, receipt: Receipt, reach: Reach) {
        self.learn(receipt, |item| {
            item.reports += 1;
            item.reach.add(reach);
        });
    }

    fn learn(&mut self, receipt: Receipt, what: impl FnOnce(&mut Sent)) {
        let Some(waiting) = self.waiting.get_mut(&receipt.ticket) else { return };
        let Some(item) = waiting.items.get_mut(receipt.item as usize) else { return };
        debug_assert!(!item.is_settled(), "more cores report than the item was sent to");
        what(item);
        if item.is_settled() {
            waiting.unsettled -= 1;
            if waiting.unsettled == 0 {
                waiting.bell.ring();
            }
        }
    }

    /// Adds `reach` to the reach of an item on this core; returns the sum if this was the last slice.
    pub fn count(&mut self, receipt: Receipt, reach: Reach, is_last: bool) -> Option<Reach> {
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
    /// Whether all reports for the item have come.
    pub fn is_settled(&self) -> bool {
        match self.place {
            ItemPlace::Unknown => false,
            ItemPlace::Repeated => true,
            ItemPlace::On(cores) => self.reports >= cores,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::{Audience, Transport};

    fn reach(streams: usize, dropped: u32) -> Reach {
        Reach { received: Audience::of(Transport::StreamRaw, streams), dropped }
    }

    #[test]
    fn a_call_is_settled_when_the_homes_have_spoken_and_all_cores_reported() {
        let mut receipts = Receipts::default();
        let (ticket, _) =
            receipts.expect(CoreId(0), &mut [Publication::new("a"), Publication::new("b")]).unwrap();
        let of = |item| Receipt { core: CoreId(0), ticket, item };
        receipts.reached(of(0), reach(2, 1));
        receipts.placed(of(0), Some(2));
        receipts.placed(of(1), None);
        assert!(receipts.is_waiting(ticket));
        receipts.reached(of(0), reach(3, 0));
        assert!(!receipts.is_waiting(ticket));
        let items = receipts.forget(ticket).unwrap();
        assert_eq!((items[0].reach, items[1].place), (reach(5, 1), ItemPlace::Repeated));
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

//! Receipts of one core, at both ends: publish calls that wait to hear whom their items reached, and items whose
//! fan-out here is being counted. An item is settled when its home has said how many cores it went to and each of them
//! has reported; their words come in any order.

use super::reach::Reach;
use crate::bell::Bell;
use crate::ids::CoreId;
use crate::proto::grip::{Publication, Receipt};
use crate::slack::Look;
use rustc_hash::FxHashMap;
use std::rc::Rc;
use std::sync::Arc;

/// Items with receipts under way at a time.
const ITEMS: usize = 10_000;

/// There would be too many receipts under way.
#[derive(Debug, thiserror::Error)]
#[error("more than {ITEMS} receipts would be under way; publish fewer items at once, or try again")]
pub struct TooMany;

/// Both ends.
#[derive(Default)]
pub struct Receipts {
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
pub struct Sent {
    /// Its channel.
    pub channel: Arc<str>,
    /// The id its publisher gave it.
    pub id: Option<Box<str>>,
    /// Where it is.
    pub place: ItemPlace,
    reports: u16,
    /// Whom it has reached, as far as cores have reported.
    pub reach: Reach,
}

/// Where an item is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ItemPlace {
    /// On its way to its home, or waiting there for its predecessor.
    Unknown,
    /// Dropped there, because it had come before.
    Repeated,
    /// On its way to the subscribers of so many cores.
    On(u16),
}

impl Receipts {
    /// Has a look at both tables.
    pub fn look_at_tables(&mut self, look: &mut Look<'_>) {
        look.at(&mut self.waiting);
        look.at(&mut self.counted);
    }

    /// Asks for receipts of all `publications`, which are about to be published on `core`: the call's ticket, and what
    /// rings when all are settled.
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

    /// Whether anything of a call is not settled yet.
    pub fn is_waiting(&self, ticket: u64) -> bool {
        self.waiting.get(&ticket).is_some_and(|waiting| waiting.unsettled > 0)
    }

    /// Nobody waits for a call any more; what is known of its items.
    pub fn forget(&mut self, ticket: u64) -> Option<Vec<Sent>> {
        let waiting = self.waiting.remove(&ticket)?;
        self.items -= waiting.items.len();
        Some(waiting.items)
    }

    /// The home of an item has given it its place, on `cores` cores, or has dropped it.
    pub fn placed(&mut self, receipt: Receipt, cores: Option<u16>) {
        self.learn(receipt, |item| item.place = cores.map_or(ItemPlace::Repeated, ItemPlace::On));
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
    /// Whether nothing more will be heard of it.
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

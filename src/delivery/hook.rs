//! The seam for code that decides on items before they are delivered to some of the subscribers.

use crate::channel::HeardUpTo;
use crate::ids::Slot;
use crate::proto::grip::{Format, Publication};
use std::rc::Rc;
use std::sync::Arc;

/// Decides on items for the subscribers whose channels are marked as filtered.
pub trait DeliveryHook {
    /// `items` of one channel have arrived for the subscriber in `slot`.
    fn deliver(self: Rc<Self>, slot: Slot, items: &[Arc<Publication>]);

    /// The subscribers in `slots` have no filters, but the content of `item` in `format` is meant only for subscribers
    /// with filters.
    fn refuse_unfit(&self, slots: &[Slot], item: &Publication, format: Format);

    /// The subscription of `slot` has ended.
    fn forget(&self, slot: Slot);

    /// Corrects the ids in `heard`: to the last items that the subscriber got, without the items that still wait for a
    /// decision.
    fn correct(&self, slot: Slot, heard: &mut Vec<HeardUpTo>);

    /// The subscriber leaves the channels in `heard`, to ask its application for the items after these ids. Drops the
    /// channels' items that still wait for a decision, and corrects the ids to the last items that the subscriber got.
    fn withdraw(&self, slot: Slot, heard: &mut Vec<HeardUpTo>);

    /// The tick at which the subscriber was last sent an item that this hook decided on.
    fn sent_at(&self, slot: Slot) -> Option<u32>;
}

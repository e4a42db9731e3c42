//! The seam for what decides on items before they are delivered to some of the subscribers.

use crate::channel::HeardUpTo;
use crate::ids::Slot;
use crate::proto::grip::{Format, Publication};
use std::rc::Rc;
use std::sync::Arc;

/// Decides on items for those subscribers whose channels are marked as filtered.
pub trait DeliveryHook {
    /// `items` of one channel have come for the subscriber in `slot`.
    fn deliver(self: Rc<Self>, slot: Slot, items: &[Arc<Publication>]);

    /// The subscribers in `slots` are not filtered, and what `item` has for them in `format` is for filtered ones.
    fn refuse_unfit(&self, slots: &[Slot], item: &Publication, format: Format);

    /// The subscriber in `slot` ends.
    fn forget(&self, slot: Slot);

    /// Has `heard` say what the subscriber has got, not what is still to be decided on.
    fn correct(&self, slot: Slot, heard: &mut Vec<HeardUpTo>);

    /// The subscriber leaves the channels in `heard` to ask its application what came after the ids there: what is to be
    /// decided on of these is dropped, and the ids become those that it has got.
    fn withdraw(&self, slot: Slot, heard: &mut Vec<HeardUpTo>);

    /// The tick at which the subscriber was last sent something that was decided on.
    fn sent_at(&self, slot: Slot) -> Option<u32>;
}

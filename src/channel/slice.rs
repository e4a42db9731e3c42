//! A slice of a fan-out: what the core does next, and for which subscribers. `pass` makes slices, and `subscriptions`
//! makes those for gapped followers.

use super::reach::Counting;
use crate::ids::Slot;
use crate::proto::grip::{Format, Publication, Then};
use bytes::Bytes;
use smallvec::SmallVec;
use std::sync::Arc;

/// What the core does for some subscribers of a channel. The value is reused for all slices.
#[derive(Default)]
pub struct Slice {
    /// What the core does.
    pub kind: SliceKind,
    /// Subscribers that get the whole frame of a stream slice, or that an unfit item is withheld from.
    pub slots: Vec<Slot>,
    /// Subscribers that joined after the pass's first item, each with the part that it has not got.
    pub partial: Vec<(Slot, Bytes)>,
    /// Set if the slice is counted for a receipt.
    pub counting: Option<Counting>,
}

/// The kinds of slice.
#[derive(Default)]
pub enum SliceKind {
    /// Nothing.
    #[default]
    Empty,
    /// Write `frame` to `slots`.
    Stream {
        /// The bytes for the subscribers, as they are sent.
        frame: Bytes,
        /// The effect on the subscribers afterwards, including those in `partial`.
        then: Then,
    },
    /// These followers have missed an item: they do not get the next one, and their applications are asked.
    Gapped {
        /// The followers. They have all items before the gap.
        slots: Vec<Slot>,
    },
    /// Answer these long polls.
    Response {
        /// Each long poll with the item that answers it.
        deliveries: Vec<(Slot, Arc<Publication>)>,
    },
    /// The item's part for this format is only for subscribers with filters. `slots` have none and do not get it.
    Unfit {
        /// The item.
        item: Arc<Publication>,
        /// The format of `slots`.
        format: Format,
    },
    /// Let the filters of these subscribers decide.
    Filtered {
        /// Each subscriber with all items, whichever transport they are for.
        deliveries: Vec<(Slot, Items)>,
    },
}

/// Items of one channel, in order.
pub type Items = SmallVec<[Arc<Publication>; 1]>;

//! What the fan-out asks the core to do next: a slice of a pass. Made by `pass`, and by `subscriptions` for followers who
//! must be led aside first.

use super::reach::Counting;
use crate::ids::Slot;
use crate::proto::grip::{Format, Publication, Then};
use bytes::Bytes;
use smallvec::SmallVec;
use std::sync::Arc;

/// What a slice of a fan-out asks the core to do. Reused from slice to slice.
#[derive(Default)]
pub struct Slice {
    /// What is to be done with the subscribers.
    pub kind: SliceKind,
    /// Subscribers that get the whole frame of a stream slice, or that an item does not fit.
    pub slots: Vec<Slot>,
    /// Subscribers that joined after the pass's first publication, each with the part that is theirs.
    pub partial: Vec<(Slot, Bytes)>,
    /// They are to be counted.
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
        /// All that goes out to them, as it stands on the wire.
        frame: Bytes,
        /// What becomes of the subscribers then (of those in `partial` too).
        then: Then,
    },
    /// These followers have missed something: they must not get what comes next, but ask their applications.
    Gapped {
        /// They have got everything before.
        slots: Vec<Slot>,
    },
    /// Answer these long polls.
    Response {
        /// Each with the publication that ends it.
        deliveries: Vec<(Slot, Arc<Publication>)>,
    },
    /// `slots` have no filters, and what the item has in their format is for who has some: they do not get it.
    Unfit {
        /// The item.
        item: Arc<Publication>,
        /// Their format.
        format: Format,
    },
    /// Let these subscribers' filters decide.
    Filtered {
        /// Each with all that came, for whichever transport.
        deliveries: Vec<(Slot, Items)>,
    },
}

/// Publications of one channel, in their order.
pub type Items = SmallVec<[Arc<Publication>; 1]>;

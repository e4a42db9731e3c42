//! Fan-out: slices of channels with pending publications, written to the wire in batches. Between slices the core
//! reads and answers, so one huge channel starves nobody.

use super::Core;
use super::again::Reason;
use crate::channel::{Audience, Publication, Reach, Slice, SliceKind, Then};
use crate::config::SlowConsumer;
use crate::ids::Slot;
use bytes::Bytes;
use std::rc::Rc;

/// Rows of one slice.
const SLICE_ROWS: usize = 512;
/// Up to this many rows share the kernel's next call with other channels; more are worth one of their own, in which
/// the frame needs no count.
const FEW_ROWS: usize = 32;

impl Core {
    /// Writes one slice of the next channel in the run queue; gives how many rows it had, `None` when nothing is
    /// pending.
    pub(super) fn fan_out(self: &Rc<Self>, slice: &mut Slice) -> Option<usize> {
        if !self.subscriptions.borrow_mut().next_slice(SLICE_ROWS, slice) {
            return None;
        }
        let counting = slice.counting.take();
        let (rows, dropped) = match std::mem::take(&mut slice.kind) {
            SliceKind::Empty => (0, 0),
            SliceKind::Stream { frame, then } => self.write_slice(slice, &frame, then),
            SliceKind::Astray { slots } => {
                slots.iter().for_each(|slot| self.lost_track(*slot));
                (slots.len(), 0)
            }
            SliceKind::Response { deliveries } => {
                let refused = |slot, item: &Publication| !self.deliver_response(slot, item, None);
                let dropped = deliveries.iter().filter(|(slot, item)| refused(*slot, item)).count();
                (deliveries.len(), dropped)
            }
            SliceKind::Unfit { item, format } => {
                self.refuse_unfit(&slice.slots, &item, format);
                (0, 0)
            }
            SliceKind::Filtered { deliveries } => {
                deliveries.iter().for_each(|(slot, items)| self.deliver_filtered(*slot, items));
                (deliveries.iter().map(|(_, items)| items.len()).sum(), 0)
            }
        };
        if let Some(counting) = counting {
            let received =
                counting.transport.map(|transport| Audience::of(transport, rows.saturating_sub(dropped)));
            let reach = Reach { received: received.unwrap_or_default(), dropped: dropped as u32 };
            self.count_reach(counting, reach);
        }
        self.gauges.deliveries_total.add(rows as u64);
        // Those that an item does not fit took time, too.
        Some(rows.max(slice.slots.len()))
    }

    /// Writes to all of a slice; how many they were, and how many did not get it.
    fn write_slice(self: &Rc<Self>, slice: &Slice, frame: &Bytes, then: Then) -> (usize, usize) {
        let mut overflowed = Vec::new();
        if !frame.is_empty() || !slice.partial.is_empty() {
            let mut wire = self.wire.borrow_mut();
            let (few, many) = match slice.slots.len() <= FEW_ROWS {
                true => (&slice.slots[..], &[][..]),
                false => (&[][..], &slice.slots[..]),
            };
            wire.broadcast(many, frame, &mut overflowed);
            let whole = few.iter().map(|slot| (*slot, frame));
            let late = slice.partial.iter().map(|(slot, part)| (*slot, part));
            let failed = whole.chain(late).filter(|(slot, part)| wire.send(*slot, (*part).clone()).is_err());
            overflowed.extend(failed.map(|(slot, _)| slot));
        }
        let dropped = overflowed.len();
        overflowed.into_iter().for_each(|slot| self.overflowed(slot));
        let partial = slice.partial.iter().map(|(slot, _)| slot);
        let all = slice.slots.iter().chain(partial);
        match then {
            Then::Stay => {}
            Then::End => all.for_each(|slot| self.end_stream(*slot)),
            Then::Refetch => all.for_each(|slot| self.refetch(*slot, Reason::Hint)),
            Then::Refresh => all.for_each(|slot| self.refresh_socket(*slot)),
        }
        (slice.slots.len() + slice.partial.len(), dropped)
    }

    /// A subscriber's backlog is full. Closed, its client reconnects and recovers; dropping is for those who say so.
    pub(super) fn overflowed(self: &Rc<Self>, slot: Slot) {
        match self.settings().limits.slow_consumer {
            SlowConsumer::Close => self.cut_off(slot),
            SlowConsumer::Drop => self.gauges.overflows_total.add(1),
        }
    }

    /// Closes a connection whose backlog is full.
    pub(super) fn cut_off(self: &Rc<Self>, slot: Slot) {
        self.gauges.overflows_total.add(1);
        self.wire.borrow_mut().tear(slot);
        self.close(slot);
    }
}

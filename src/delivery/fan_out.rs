//! Fan-out: writes pending publications to the subscribers of their channels, a slice of subscribers at a time. Between
//! slices the core reads and answers, so one huge channel cannot starve other clients.

use super::Delivery;
use crate::channel::{Audience, Reach, Slice, SliceKind};
use crate::clients::{Held, Reason};
use crate::config::SlowConsumer;
use crate::ids::Slot;
use crate::proto::grip::{Publication, Then};
use bytes::Bytes;
use std::rc::Rc;

/// Subscribers of one slice.
const SLICE_ROWS: usize = 512;
/// Sends to at most this many subscribers wait for the next call to the kernel, together with those of other channels.
/// More subscribers are worth a call of their own, in which the shared frame needs no reference count.
const FEW_ROWS: usize = 32;

impl Delivery {
    /// Writes one slice of the next channel in the run queue. Returns how many subscribers the slice had; `None` if
    /// nothing is pending.
    pub fn fan_out(self: &Rc<Self>, slice: &mut Slice) -> Option<usize> {
        if !self.subscriptions.borrow_mut().next_slice(SLICE_ROWS, slice) {
            return None;
        }
        self.book_pending();
        let counting = slice.counting.take();
        let (rows, dropped) = match std::mem::take(&mut slice.kind) {
            SliceKind::Empty => (0, 0),
            SliceKind::Stream { frame, then } => self.write_slice(slice, &frame, then),
            SliceKind::Gapped { slots } => {
                slots.iter().for_each(|slot| self.lost_track(*slot));
                (slots.len(), 0)
            }
            SliceKind::Response { deliveries } => {
                let refused = |slot, item: &Publication| !self.deliver_to(slot, item);
                let dropped = deliveries.iter().filter(|(slot, item)| refused(*slot, item)).count();
                (deliveries.len(), dropped)
            }
            SliceKind::Unfit { item, format } => {
                if let Some(hook) = self.hook() {
                    hook.refuse_unfit(&slice.slots, &item, format);
                }
                (0, 0)
            }
            SliceKind::Filtered { deliveries } => {
                if let Some(hook) = self.hook() {
                    deliveries.iter().for_each(|(slot, items)| hook.clone().deliver(*slot, items));
                }
                (deliveries.iter().map(|(_, items)| items.len()).sum(), 0)
            }
        };
        if let Some(counting) = counting {
            let received =
                counting.transport.map(|transport| Audience::of(transport, rows.saturating_sub(dropped)));
            let reach = Reach { received: received.unwrap_or_default(), dropped: dropped as u32 };
            self.count_reach(counting, reach);
        }
        self.context.metrics.deliveries_total.add(rows as u64);
        // Subscribers that do not fit an item took time, too.
        Some(rows.max(slice.slots.len()))
    }

    /// Writes to all subscribers of a slice. Returns how many they are, and how many of them did not get the item.
    fn write_slice(self: &Rc<Self>, slice: &Slice, frame: &Bytes, then: Then) -> (usize, usize) {
        let mut overflowed = Vec::new();
        if !frame.is_empty() || !slice.partial.is_empty() {
            let (few, many) = match slice.slots.len() <= FEW_ROWS {
                true => (&slice.slots[..], &[][..]),
                false => (&[][..], &slice.slots[..]),
            };
            self.clients.broadcast(many, frame, &mut overflowed);
            let whole = few.iter().map(|slot| (*slot, frame));
            let late = slice.partial.iter().map(|(slot, part)| (*slot, part));
            let failed =
                whole.chain(late).filter(|(slot, part)| self.clients.send(*slot, (*part).clone()).is_err());
            overflowed.extend(failed.map(|(slot, _)| slot));
        }
        let dropped = overflowed.len();
        overflowed.into_iter().for_each(|slot| self.overflowed(slot));
        let partial = slice.partial.iter().map(|(slot, _)| slot);
        let all = slice.slots.iter().chain(partial);
        match then {
            Then::Stay => {}
            Then::End => self.each_held(all, |held, slot| held.end(slot)),
            Then::Refetch => self.each_held(all, |held, slot| held.refetch(slot, Reason::Hint)),
            Then::Refresh => self.each_held(all, |held, slot| {
                held.refresh(slot);
            }),
        }
        (slice.slots.len() + slice.partial.len(), dropped)
    }

    /// Hands `item` to the hold in `slot`. Returns whether it was delivered.
    fn deliver_to(&self, slot: Slot, item: &Publication) -> bool {
        self.clients.held(slot).is_some_and(|held| held.deliver(slot, item, None).is_ok())
    }

    fn each_held<'s>(&self, slots: impl Iterator<Item = &'s Slot>, mut act: impl FnMut(Rc<dyn Held>, Slot)) {
        for slot in slots {
            if let Some(held) = self.clients.held(*slot) {
                act(held, *slot);
            }
        }
    }

    /// The backlog of the subscriber in `slot` is full. By default its connection is closed, so that its client
    /// reconnects and recovers. With `slow_consumer = drop` the subscriber misses the item.
    pub fn overflowed(&self, slot: Slot) {
        match self.context.settings().limits.slow_consumer {
            SlowConsumer::Close => self.clients.reset_overflowed(slot),
            SlowConsumer::Drop => self.context.metrics.overflows_total.add(1),
        }
    }
}

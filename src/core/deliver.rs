//! Fan-out: slices of channels with pending publications, written to the wire in batches. Between slices the core
//! reads and answers, so one huge channel starves nobody.

use super::Core;
use crate::channel::{Slice, SliceKind};
use crate::config::SlowConsumer;
use crate::ids::Slot;
use bytes::Bytes;
use std::rc::Rc;

/// Rows of one slice.
const SLICE_ROWS: usize = 512;

impl Core {
    /// Writes one slice of the next channel in the run queue; `false` when nothing is pending.
    pub(super) fn fan_out(self: &Rc<Self>, slice: &mut Slice) -> bool {
        if !self.subscriptions.borrow_mut().next_slice(SLICE_ROWS, slice) {
            return false;
        }
        match std::mem::take(&mut slice.kind) {
            SliceKind::Empty => {}
            SliceKind::Stream { frame, ends } => self.write_slice(slice, &frame, ends),
            SliceKind::Response { deliveries } => {
                self.gauges.deliveries_total.add(deliveries.len() as u64);
                deliveries.iter().for_each(|(slot, publication)| self.deliver_response(*slot, publication));
            }
        }
        true
    }

    fn write_slice(self: &Rc<Self>, slice: &Slice, frame: &Bytes, ends: bool) {
        let mut overflowed = Vec::new();
        {
            let mut wire = self.wire.borrow_mut();
            wire.broadcast(&slice.slots, frame, &mut overflowed);
            let late = slice.partial.iter().filter(|(slot, part)| wire.send(*slot, part.clone()).is_err());
            overflowed.extend(late.map(|(slot, _)| *slot));
        }
        self.gauges.deliveries_total.add((slice.slots.len() + slice.partial.len()) as u64);
        overflowed.into_iter().for_each(|slot| self.overflowed(slot));
        if ends {
            let partial = slice.partial.iter().map(|(slot, _)| slot);
            slice.slots.iter().chain(partial).for_each(|slot| self.end_stream(*slot));
        }
    }

    /// A connection's backlog is full. Closed, its client reconnects and recovers; dropping is for those who say so.
    pub(super) fn overflowed(&self, slot: Slot) {
        self.gauges.overflows_total.add(1);
        if self.settings.limits.slow_consumer == SlowConsumer::Close {
            self.close(slot);
        }
    }
}

//! What a slow client has not taken yet: shared slices in order, never copies. The front slice belongs to the waiting
//! send in flight, so it is only ever trimmed by that send's completion. Each slice counts [`SLICE_BYTES`] beside its own,
//! or a backlog of short messages would take many times what its bound says.

use bytes::{Buf, Bytes};
use std::collections::VecDeque;

/// What a slice takes beside its bytes.
pub(super) const SLICE_BYTES: usize = size_of::<Bytes>();

/// Unsent bytes of one connection.
#[derive(Default)]
pub(super) struct Backlog {
    slices: VecDeque<Bytes>,
    bytes: usize,
    /// The kernel has been asked to send the front slice, and has not said what became of it.
    pub is_in_flight: bool,
}

impl Backlog {
    /// Appends `data`, which must not be empty.
    pub fn push(&mut self, data: Bytes) {
        debug_assert!(!data.is_empty());
        self.bytes += Backlog::cost(&data);
        self.slices.push_back(data);
    }

    /// The slice to be sent now.
    pub fn front(&self) -> Option<&Bytes> {
        self.slices.front()
    }

    /// Unsent bytes, and what their slices take.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// What `data` would add to that.
    pub fn cost(data: &Bytes) -> usize {
        data.len() + SLICE_BYTES
    }

    /// Everything, in order.
    pub fn into_slices(self) -> VecDeque<Bytes> {
        self.slices
    }

    /// Takes `sent` bytes off the front slice.
    pub fn advance(&mut self, sent: usize) {
        let Some(front) = self.slices.front_mut() else { return };
        let sent = sent.min(front.len());
        front.advance(sent);
        self.bytes -= sent;
        if front.is_empty() {
            self.slices.pop_front();
            self.bytes -= SLICE_BYTES;
        }
        debug_assert_eq!(self.bytes, self.slices.iter().map(Backlog::cost).sum::<usize>());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backlog_gives_its_bytes_back_in_order_and_ends_empty() {
        let mut backlog = Backlog::default();
        backlog.push(Bytes::from_static(b"abc"));
        backlog.push(Bytes::from_static(b"de"));
        backlog.advance(2);
        assert_eq!(
            (backlog.front().map(|b| &b[..]), backlog.bytes()),
            (Some(&b"c"[..]), 3 + 2 * SLICE_BYTES)
        );
        backlog.advance(1);
        assert_eq!(backlog.front().map(|b| &b[..]), Some(&b"de"[..]));
        backlog.advance(2);
        assert_eq!((backlog.front(), backlog.bytes()), (None, 0));
    }
}

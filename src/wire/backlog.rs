//! The bytes that a slow client's socket has not taken yet: shared slices in order, never copied. The front slice
//! belongs to the waiting send in flight, so only the completion of that send trims it. Each slice is counted with
//! [`SLICE_BYTES`] beside its length; otherwise a backlog of short messages would take many times its limit.

use bytes::{Buf, Bytes};
use std::collections::VecDeque;

/// Memory that a slice takes beside its bytes.
pub(super) const SLICE_BYTES: usize = size_of::<Bytes>();

/// Unsent bytes of one connection.
#[derive(Default)]
pub(super) struct Backlog {
    slices: VecDeque<Bytes>,
    bytes: usize,
    /// The kernel is sending the front slice, and has not posted the result.
    pub is_in_flight: bool,
}

impl Backlog {
    /// Appends `data`, which must not be empty.
    pub fn push(&mut self, data: Bytes) {
        debug_assert!(!data.is_empty());
        self.bytes += Backlog::cost(&data);
        self.slices.push_back(data);
    }

    /// The slice that is sent next.
    pub fn front(&self) -> Option<&Bytes> {
        self.slices.front()
    }

    /// The size of the backlog: unsent bytes and the memory of their slices.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The size that `data` would add.
    pub fn cost(data: &Bytes) -> usize {
        data.len() + SLICE_BYTES
    }

    /// All slices, in order, for another process. No send is in flight.
    pub fn slices(&self) -> Vec<Bytes> {
        let Backlog { slices, bytes: _, is_in_flight } = self;
        debug_assert!(!is_in_flight, "the kernel is sending the first slice");
        slices.iter().cloned().collect()
    }

    /// All slices, in order.
    pub fn into_slices(self) -> VecDeque<Bytes> {
        self.slices
    }

    /// Removes `sent` bytes from the front slice.
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

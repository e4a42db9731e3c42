//! The kernel's side of provided buffers: buffers are taken in the order in which they were lent.

use io_uring::types::BufRingEntry;
use std::sync::atomic::{AtomicU16, Ordering};

/// The descriptors of one group.
pub(super) struct ProvidedBuffers {
    descriptors: *const BufRingEntry,
    entries: u16,
    head: u16,
}

/// A buffer that was taken.
pub(super) struct Buffer<'b> {
    pub id: u16,
    pub memory: &'b mut [u8],
}

impl ProvidedBuffers {
    /// # Safety
    /// As for [`crate::wire::ring::Ring::register_buffers`], until this is dropped.
    pub unsafe fn at(address: u64, entries: u16) -> ProvidedBuffers {
        ProvidedBuffers { descriptors: address as *const BufRingEntry, entries, head: 0 }
    }

    /// The number of buffers that were lent and not taken.
    pub fn available(&self) -> u16 {
        // SAFETY: the descriptors are there as long as this is, and the tail, which is in the first, is only ever
        // accessed as an atomic.
        let tail = unsafe { &*(BufRingEntry::tail(self.descriptors) as *const AtomicU16) };
        tail.load(Ordering::Acquire).wrapping_sub(self.head)
    }

    /// The number of buffers that the core has.
    pub fn taken(&self) -> u16 {
        self.entries - self.available()
    }

    /// Gives back the buffer that was taken last, because it was not needed.
    pub fn take_back(&mut self) {
        self.head = self.head.wrapping_sub(1);
    }

    /// Takes the next buffer.
    pub fn take(&mut self) -> Option<Buffer<'_>> {
        if self.available() == 0 {
            return None;
        }
        let index = usize::from(self.head & (self.entries - 1));
        self.head = self.head.wrapping_add(1);
        // SAFETY: the index is within the descriptors. This buffer was lent, so its memory is the kernel's until a
        // completion hands it back, and the borrower of this value has not posted that completion yet.
        unsafe {
            let descriptor = &*self.descriptors.add(index);
            let memory =
                std::slice::from_raw_parts_mut(descriptor.addr() as *mut u8, descriptor.len() as usize);
            Some(Buffer { id: descriptor.bid(), memory })
        }
    }
}

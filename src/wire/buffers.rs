//! The core's receive buffers, lent to the kernel as a provided-buffer ring, so an idle connection needs no buffer. A
//! filled buffer comes back as [`Received`], which reads as a byte slice and returns the buffer when dropped, so each
//! buffer id is handed back exactly once.

use super::ring::Ring;
use io_uring::types::BufRingEntry;
use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::cell::Cell;
use std::io;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::atomic::{AtomicU16, Ordering};

/// Buffers of one core; a power of two.
const BUFFERS: u16 = 512;
/// Bytes in one buffer.
const BUFFER_BYTES: usize = 8 * 1024;

/// The ring's descriptors and the memory behind them. Kept alive by the wire and by every [`Lent`].
pub(super) struct Buffers {
    descriptors: NonNull<BufRingEntry>,
    memory: NonNull<u8>,
    tail: Cell<u16>,
}

/// Bytes that were received from a client.
pub struct Received(Storage);

enum Storage {
    Lent(Lent),
    /// Bytes in memory of their own: decrypted, or not received through the kernel.
    Unsealed(Vec<u8>),
}

/// A receive buffer that the kernel filled.
struct Lent {
    buffers: Rc<Buffers>,
    id: u16,
    length: usize,
}

impl Received {
    /// Wraps bytes that are not in a receive buffer, such as decrypted ones.
    pub(super) fn unsealed(bytes: Vec<u8>) -> Received {
        Received(Storage::Unsealed(bytes))
    }
}

impl Buffers {
    /// Allocates the buffers, touches them (so that memory is taken at start, not under load) and lends all of them
    /// to the kernel.
    ///
    /// # Errors
    /// There is no memory for the buffers, or the kernel refused them.
    pub fn register(ring: &mut Ring) -> io::Result<Rc<Buffers>> {
        let buffers = Rc::new(Buffers {
            descriptors: allocate(descriptor_layout())?.cast(),
            memory: allocate(memory_layout())?,
            tail: Cell::new(0),
        });
        // SAFETY: fresh memory of exactly this layout; writing it commits the pages.
        unsafe { buffers.memory.as_ptr().write_bytes(1, BUFFERS as usize * BUFFER_BYTES) };
        // SAFETY: the array is page aligned and lives as long as `Buffers`, which the wire drops after the ring.
        unsafe { ring.register_buffers(buffers.descriptors.as_ptr() as u64, BUFFERS)? };
        (0..BUFFERS).for_each(|id| buffers.lend(id));
        Ok(buffers)
    }

    /// Wraps buffer `id`, which the kernel has filled with `length` bytes.
    pub fn received(self: &Rc<Self>, id: u16, length: usize) -> Received {
        debug_assert!(id < BUFFERS && length <= BUFFER_BYTES);
        Received(Storage::Lent(Lent {
            buffers: self.clone(),
            id: id % BUFFERS,
            length: length.min(BUFFER_BYTES),
        }))
    }

    /// Lends buffer `id` to the kernel.
    fn lend(&self, id: u16) {
        let tail = self.tail.get();
        // SAFETY: the index is within the array by the mask; `tail` is only advanced here, on the core's own thread,
        // and the kernel reads an entry only after the release store below.
        unsafe {
            let entry = &mut *self.descriptors.as_ptr().add((tail & (BUFFERS - 1)) as usize);
            entry.set_addr(self.memory.as_ptr().add(id as usize * BUFFER_BYTES) as u64);
            entry.set_len(BUFFER_BYTES as u32);
            entry.set_bid(id);
            let shared_tail = BufRingEntry::tail(self.descriptors.as_ptr()) as *const AtomicU16;
            (*shared_tail).store(tail.wrapping_add(1), Ordering::Release);
        }
        self.tail.set(tail.wrapping_add(1));
    }
}

impl Deref for Received {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Storage::Lent(lent) => lent.bytes(),
            Storage::Unsealed(bytes) => bytes,
        }
    }
}

impl DerefMut for Received {
    fn deref_mut(&mut self) -> &mut [u8] {
        match &mut self.0 {
            Storage::Lent(lent) => lent.bytes_mut(),
            Storage::Unsealed(bytes) => bytes,
        }
    }
}

impl Lent {
    fn bytes(&self) -> &[u8] {
        // SAFETY: the kernel does not touch a buffer between its completion and its being lent again, and that
        // happens in `drop`, which needs this borrow to have ended. The start is as `start` says.
        unsafe { std::slice::from_raw_parts(self.start(), self.length) }
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `bytes`, and there is one `Lent` for a buffer, of which this is the only borrow.
        unsafe { std::slice::from_raw_parts_mut(self.start(), self.length) }
    }

    fn start(&self) -> *mut u8 {
        // SAFETY: `id` and `length` are within the allocation.
        unsafe { self.buffers.memory.as_ptr().add(self.id as usize * BUFFER_BYTES) }
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.buffers.lend(self.id);
    }
}

impl Drop for Buffers {
    fn drop(&mut self) {
        // SAFETY: allocated in `register` with these layouts; the ring that knew them is gone (see `Wire`).
        unsafe {
            dealloc(self.descriptors.as_ptr().cast(), descriptor_layout());
            dealloc(self.memory.as_ptr(), memory_layout());
        }
    }
}

fn allocate(layout: Layout) -> io::Result<NonNull<u8>> {
    // SAFETY: the layouts below have a size above zero.
    NonNull::new(unsafe { alloc_zeroed(layout) }).ok_or_else(|| io::ErrorKind::OutOfMemory.into())
}

fn descriptor_layout() -> Layout {
    page_aligned(BUFFERS as usize * size_of::<BufRingEntry>())
}

fn memory_layout() -> Layout {
    page_aligned(BUFFERS as usize * BUFFER_BYTES)
}

fn page_aligned(bytes: usize) -> Layout {
    const { assert!(BUFFERS.is_power_of_two()) };
    match Layout::from_size_align(bytes, 4096) {
        Ok(layout) => layout,
        Err(_) => unreachable!("a constant size far below isize::MAX with a power-of-two alignment"),
    }
}

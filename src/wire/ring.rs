//! What the wire asks of the kernel, and how the kernel answers. [`Operation`]s go into a [`Ring`], [`Completion`]s
//! come out; the rest of the wire knows no more of io_uring than that. Below a ring is the kernel's own (`uring`), or a
//! simulated kernel (`simulated`) when the core runs in a simulation.

#[cfg(feature = "simulation")]
use super::simulated::SimulatedRing;
use super::uring::KernelRing;
use crate::ids::Slot;
use crate::wire::Doorbell;
use socket2::SockAddrStorage;
use std::io;
use std::os::fd::RawFd;

/// A queue pair. Created and used by one thread only.
#[allow(clippy::large_enum_variant, reason = "a core has one, and the kernel's must not be a pointer away")]
pub(super) enum Ring {
    Kernel(KernelRing),
    #[cfg(feature = "simulation")]
    Simulated(SimulatedRing),
}

/// What the kernel is asked to do. Slots are direct descriptors of the ring.
#[derive(Clone, Copy, Debug)]
pub(super) enum Operation {
    /// Accept a client into a free slot, which is the result, and write its address.
    Accept { listener: RawFd, address: *mut SockAddrStorage, length: *mut libc::socklen_t },
    /// Receive into provided buffers, again and again, until told otherwise.
    Receive { slot: Slot },
    /// Receive into one provided buffer, once.
    ReceiveOnce { slot: Slot },
    /// Send what the socket has room for, inside the call. Nothing is posted if that is all.
    Send { slot: Slot, data: *const u8, length: u32 },
    /// Wait until the socket has room, however long that takes, and send what there is room for.
    PatientSend { slot: Slot, data: *const u8, length: u32 },
    /// Cancel the operation with this token. Nothing is posted for the cancellation if it was found.
    Cancel { token: u64 },
    /// Shut down the sending side.
    Shutdown { slot: Slot },
    /// Say how many bytes of the client nobody has read; an error where that cannot be told.
    Unread { slot: Slot },
    /// Say how many bytes the client has not acknowledged; an error where that cannot be told.
    Unacknowledged { slot: Slot },
    /// Reset the connection. Nothing is posted if that succeeds.
    Reset { slot: Slot },
    /// Free a slot. Nothing is posted if that succeeds.
    Close { slot: Slot },
    /// Post once a descriptor has something to read.
    Watch { descriptor: RawFd },
    /// Post after [`REST_MS`].
    Rest,
    /// Copy the descriptor at `place` into a free slot, and write which one in its stead.
    MoveIn { place: *mut RawFd },
}

/// An operation has finished, or has something to tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Completion {
    /// The token it was pushed with.
    pub token: u64,
    /// What came of it: a number, or the negative of an error's.
    pub result: i32,
    /// As the kernel packs them.
    pub flags: u32,
}

/// How long [`Operation::Rest`] takes.
pub(super) const REST_MS: u32 = 100;

impl Completion {
    /// The provided buffer that was filled.
    pub fn buffer(&self) -> Option<u16> {
        io_uring::cqueue::buffer_select(self.flags)
    }

    /// Whether the operation goes on.
    pub fn goes_on(&self) -> bool {
        io_uring::cqueue::more(self.flags)
    }
}

impl Ring {
    /// A ring with `slots` empty slots.
    pub fn new(slots: u32) -> io::Result<Ring> {
        #[cfg(feature = "simulation")]
        if let Some(ring) = SimulatedRing::new(slots) {
            return Ok(Ring::Simulated(ring));
        }
        KernelRing::new(slots).map(Ring::Kernel)
    }

    /// Queues an operation, entering the kernel first when the queue is full.
    ///
    /// # Safety
    /// Everything `operation` points to must stay valid and unmoved until its completion was seen; for
    /// [`Operation::Send`], until the next [`Ring::submit`] returned.
    #[inline(always)]
    pub unsafe fn push(&mut self, operation: Operation, token: u64) -> io::Result<()> {
        match self {
            // SAFETY: passed on to the caller.
            Ring::Kernel(ring) => unsafe { ring.push(operation, token) },
            #[cfg(feature = "simulation")]
            // SAFETY: passed on to the caller.
            Ring::Simulated(ring) => unsafe { ring.push(operation, token) },
        }
    }

    /// Hands everything queued to the kernel. Each [`Operation::Send`] is done when this returns.
    pub fn submit(&mut self) -> io::Result<()> {
        match self {
            Ring::Kernel(ring) => ring.submit(),
            #[cfg(feature = "simulation")]
            Ring::Simulated(ring) => ring.submit(),
        }
    }

    /// Submits what is queued and lets the kernel post what became ready.
    pub fn run_task_work(&mut self) -> io::Result<()> {
        match self {
            Ring::Kernel(ring) => ring.run_task_work(),
            #[cfg(feature = "simulation")]
            Ring::Simulated(ring) => ring.run_task_work(),
        }
    }

    /// Whether the kernel has more to post: since Linux 6.14 it posts about twenty completions each time it is asked.
    pub fn has_task_work(&mut self) -> bool {
        match self {
            Ring::Kernel(ring) => ring.has_task_work(),
            #[cfg(feature = "simulation")]
            Ring::Simulated(ring) => ring.has_task_work(),
        }
    }

    /// Moves all posted completions to the end of `out`.
    pub fn reap(&mut self, out: &mut Vec<Completion>) {
        match self {
            Ring::Kernel(ring) => ring.reap(out),
            #[cfg(feature = "simulation")]
            Ring::Simulated(ring) => ring.reap(out),
        }
    }

    /// Rings `doorbell` for every completion from now on.
    pub fn register_doorbell(&mut self, doorbell: &Doorbell) -> io::Result<()> {
        match self {
            Ring::Kernel(ring) => ring.register_doorbell(doorbell.descriptor()),
            #[cfg(feature = "simulation")]
            Ring::Simulated(ring) => {
                ring.register_doorbell(doorbell);
                Ok(())
            }
        }
    }

    /// While the core is awake it looks at the queue anyway; the doorbell would only wake it once more.
    pub fn silence_doorbell(&mut self, silent: bool) {
        match self {
            Ring::Kernel(ring) => ring.silence_doorbell(silent),
            #[cfg(feature = "simulation")]
            Ring::Simulated(ring) => ring.silence_doorbell(silent),
        }
    }

    /// Registers `entries` provided-buffer descriptors at `address` as the group of all receives.
    ///
    /// # Safety
    /// `address` must be page aligned and stay valid, with what its entries point to, until the ring is dropped.
    pub unsafe fn register_buffers(&mut self, address: u64, entries: u16) -> io::Result<()> {
        match self {
            // SAFETY: passed on to the caller.
            Ring::Kernel(ring) => unsafe { ring.register_buffers(address, entries) },
            #[cfg(feature = "simulation")]
            Ring::Simulated(ring) => {
                // SAFETY: passed on to the caller.
                unsafe { ring.register_buffers(address, entries) };
                Ok(())
            }
        }
    }
}

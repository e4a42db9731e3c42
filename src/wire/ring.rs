//! The queue pair: [`Operation`]s go in, [`Completion`]s come out. Below it is the kernel's io_uring (`uring`), or a
//! simulated kernel (`simulated`) if the core runs in a simulation.

use super::doorbell::Doorbell;
use super::operation::{Completion, Operation};
#[cfg(feature = "simulation")]
use super::simulated::SimulatedRing;
use super::uring::KernelRing;
use std::io;
use std::os::fd::RawFd;

/// A queue pair. Created and used by one thread only.
#[allow(clippy::large_enum_variant, reason = "a core has one, and the kernel's must not be a pointer away")]
pub(super) enum Ring {
    Kernel(KernelRing),
    #[cfg(feature = "simulation")]
    Simulated(SimulatedRing),
}

impl Ring {
    /// A ring with `slots` empty slots.
    ///
    /// # Errors
    /// The kernel refused the ring.
    pub fn new(slots: u32) -> io::Result<Ring> {
        #[cfg(feature = "simulation")]
        if let Some(ring) = SimulatedRing::new(slots) {
            return Ok(Ring::Simulated(ring));
        }
        KernelRing::new(slots).map(Ring::Kernel)
    }

    /// Queues an operation, entering the kernel first when the queue is full.
    ///
    /// # Errors
    /// The kernel failed when it was entered.
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
    ///
    /// # Errors
    /// The kernel failed when it was entered.
    pub fn submit(&mut self) -> io::Result<()> {
        match self {
            Ring::Kernel(ring) => ring.submit(),
            #[cfg(feature = "simulation")]
            Ring::Simulated(ring) => ring.submit(),
        }
    }

    /// Submits queued operations, and lets the kernel post completions that are ready.
    ///
    /// # Errors
    /// The kernel failed when it was entered.
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

    /// Whether clients wait to be accepted from the listening socket `listener`.
    pub fn has_arrivals(&self, listener: RawFd) -> bool {
        match self {
            Ring::Kernel(ring) => ring.has_arrivals(listener),
            #[cfg(feature = "simulation")]
            Ring::Simulated(ring) => ring.has_arrivals(listener),
        }
    }

    /// The listening socket `listener` is about to be closed.
    pub fn forget_listener(&self, _listener: RawFd) {
        #[cfg(feature = "simulation")]
        if let Ring::Simulated(ring) = self {
            ring.forget_listener(_listener);
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
    ///
    /// # Errors
    /// The kernel refused the eventfd.
    pub fn register_doorbell(&mut self, doorbell: &Doorbell) -> io::Result<()> {
        match self {
            Ring::Kernel(ring) => ring.register_doorbell(doorbell.descriptor()),
            #[cfg(feature = "simulation")]
            Ring::Simulated(ring) => {
                ring.register_doorbell(doorbell.chime());
                Ok(())
            }
        }
    }

    /// Silences the doorbell, or enables it again. While the core is awake it reads the queue anyway, and a ring
    /// would only wake it once more.
    pub fn silence_doorbell(&mut self, silent: bool) {
        match self {
            Ring::Kernel(ring) => ring.silence_doorbell(silent),
            #[cfg(feature = "simulation")]
            Ring::Simulated(ring) => ring.silence_doorbell(silent),
        }
    }

    /// Registers `entries` provided-buffer descriptors at `address` as the group of all receives.
    ///
    /// # Errors
    /// The kernel refused the buffers.
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

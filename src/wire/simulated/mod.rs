//! A simulated kernel for the wire in a simulation. It guarantees only what io_uring guarantees: completions come
//! late, short, in pieces, or not in the order of their operations, at random by the simulation's seed. Operations in
//! flight keep their socket when its slot is freed, and a shutdown looks up its slot only when it runs. Memory that
//! operations point to is accessed when they complete, so a sanitizer detects if the wire has let go of it too early.
//!
//! `kernel` handles the operations, `buffers` takes provided buffers, `chime` wakes the core,
//! `installed` makes descriptors for sockets that move to another wire.

mod buffers;
mod chime;
mod installed;
mod kernel;
#[cfg(test)]
mod tests;

pub(super) use chime::Chime;

use super::operation::{Completion, Operation};
use crate::simulation::{Listener, current};
use installed::identity;
use kernel::Kernel;
use std::cell::RefCell;
use std::io;
use std::os::fd::RawFd;
use std::rc::Rc;

/// A queue pair with a simulated kernel.
pub(super) struct SimulatedRing {
    kernel: Rc<RefCell<Kernel>>,
    queued: Vec<(Operation, u64)>,
}

impl SimulatedRing {
    /// A ring with `slots` empty slots, if this thread has a simulation.
    pub fn new(slots: u32) -> Option<SimulatedRing> {
        let world = current()?;
        let kernel = Kernel::new(world.clone(), slots);
        let audited = Rc::downgrade(&kernel);
        world.audit(move || audited.upgrade().map_or(Vec::new(), |kernel| kernel.borrow().leftovers()));
        Some(SimulatedRing { kernel, queued: Vec::new() })
    }

    /// Queues one operation.
    ///
    /// # Safety
    /// As for [`super::ring::Ring::push`].
    pub unsafe fn push(&mut self, operation: Operation, token: u64) -> io::Result<()> {
        self.queued.push((operation, token));
        Ok(())
    }

    pub fn submit(&mut self) -> io::Result<()> {
        let mut kernel = self.kernel.borrow_mut();
        for (operation, token) in self.queued.drain(..) {
            // SAFETY: the code that pushed the operation keeps the memory it points to.
            unsafe { kernel.begin(operation, token) };
        }
        kernel.notice();
        Ok(())
    }

    pub fn run_task_work(&mut self) -> io::Result<()> {
        self.submit()?;
        let mut kernel = self.kernel.borrow_mut();
        kernel.work();
        kernel.notice();
        Ok(())
    }

    /// Whether more completions could be posted than the kernel posts at once. Like the kernel, it may report this
    /// although there are none.
    pub fn has_task_work(&self) -> bool {
        let kernel = self.kernel.borrow();
        kernel.has_more || kernel.has_stale_flag
    }

    pub fn has_arrivals(&self, listener: RawFd) -> bool {
        identity(listener).and_then(Listener::of).is_some_and(|listener| listener.has_arrivals())
    }

    pub fn forget_listener(&self, listener: RawFd) {
        if let Some(identity) = identity(listener) {
            Listener::forget(identity);
        }
    }

    pub fn reap(&mut self, out: &mut Vec<Completion>) {
        out.extend(self.kernel.borrow_mut().take_posted());
    }

    pub fn register_doorbell(&mut self, chime: Option<Rc<Chime>>) {
        self.kernel.borrow_mut().chime = chime;
    }

    pub fn silence_doorbell(&mut self, silent: bool) {
        self.kernel.borrow_mut().is_silent = silent;
    }

    /// Registers `entries` provided-buffer descriptors at `address`.
    ///
    /// # Safety
    /// As for [`super::ring::Ring::register_buffers`].
    pub unsafe fn register_buffers(&mut self, address: u64, entries: u16) {
        // SAFETY: passed on to the caller.
        let buffers = unsafe { buffers::ProvidedBuffers::at(address, entries) };
        self.kernel.borrow_mut().buffers = Some(buffers);
    }
}

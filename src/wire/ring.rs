//! The queue pair: submission with room made when it is full, and completions copied out so that handling one may
//! submit more. Created and used by one thread only (SINGLE_ISSUER, DEFER_TASKRUN).

use io_uring::{IoUring, cqueue, squeue, types};
use std::io;
use std::os::fd::RawFd;

/// Submissions that fit before the kernel must be entered.
const SUBMISSIONS: u32 = 1024;
/// Completions that fit before the kernel has to keep them on its own list.
const COMPLETIONS: u32 = 16 * 1024;

pub(super) struct Ring {
    uring: IoUring,
    /// Completions taken out of the way of submissions; they come before those still in the queue.
    aside: Vec<cqueue::Entry>,
}

impl Ring {
    /// A ring with `files` empty direct descriptors.
    pub fn new(files: u32) -> io::Result<Ring> {
        let uring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_taskrun_flag()
            .setup_submit_all()
            .setup_cqsize(COMPLETIONS)
            .build(SUBMISSIONS)?;
        uring.submitter().register_files_sparse(files)?;
        Ok(Ring { uring, aside: Vec::new() })
    }

    /// Queues one operation, entering the kernel first when the queue is full.
    ///
    /// # Safety
    /// Everything `entry` points to must stay valid and unmoved until its completion was seen; for a send with
    /// MSG_DONTWAIT, until the next [`Ring::submit`] returned.
    pub unsafe fn push(&mut self, entry: &squeue::Entry) -> io::Result<()> {
        loop {
            // SAFETY: the caller keeps the memory that `entry` points to.
            if unsafe { self.uring.submission().push(entry) }.is_ok() {
                return Ok(());
            }
            self.submit()?;
        }
    }

    /// Hands everything queued to the kernel. Sends with MSG_DONTWAIT are done when this returns.
    pub fn submit(&mut self) -> io::Result<()> {
        while !self.uring.submission().is_empty() {
            match self.uring.submit() {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // EBUSY: the kernel has completions to post and no room for them.
                Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {
                    self.aside.extend(self.uring.completion());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Submits what is queued and lets the kernel post what became ready: under DEFER_TASKRUN nothing else does.
    pub fn run_task_work(&mut self) -> io::Result<()> {
        let queued = self.uring.submission().len() as u32;
        // SAFETY: no pointer argument is passed.
        let entered =
            unsafe { self.uring.submitter().enter::<libc::sigset_t>(queued, 0, ENTER_GETEVENTS, None) };
        match entered {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Whether the kernel has more to post: since Linux 6.14 it posts about twenty completions each time it is asked.
    pub fn has_task_work(&mut self) -> bool {
        let submission = self.uring.submission();
        submission.taskrun() || submission.cq_overflow()
    }

    /// Moves all posted completions to the end of `out`.
    pub fn reap(&mut self, out: &mut Vec<cqueue::Entry>) {
        out.append(&mut self.aside);
        out.extend(self.uring.completion());
    }

    /// Rings `doorbell` for every completion from now on.
    pub fn register_doorbell(&mut self, doorbell: RawFd) -> io::Result<()> {
        self.uring.submitter().register_eventfd(doorbell)
    }

    /// While the core is awake it looks at the queue anyway; the doorbell would only wake it once more.
    pub fn silence_doorbell(&mut self, silent: bool) {
        let completion = self.uring.completion();
        if silent { completion.disable_eventfd() } else { completion.enable_eventfd() }
    }

    /// Registers `entries` provided-buffer descriptors at `address` as group `group`.
    ///
    /// # Safety
    /// `address` must be page aligned and stay valid, with what its entries point to, until the ring is dropped.
    pub unsafe fn register_buffers(&mut self, address: u64, entries: u16, group: u16) -> io::Result<()> {
        // SAFETY: the caller keeps the descriptor array alive.
        unsafe { self.uring.submitter().register_buf_ring_with_flags(address, entries, group, 0) }
    }
}

/// A direct descriptor of this ring.
pub(super) fn fixed(slot: crate::ids::Slot) -> types::Fixed {
    types::Fixed(slot.0)
}

/// IORING_ENTER_GETEVENTS.
const ENTER_GETEVENTS: u32 = 1;

//! The kernel's queue pair. A full submission queue is submitted to make room, and completions are copied out, so
//! that the handling of one completion may submit more. Created and used by one thread only (SINGLE_ISSUER,
//! DEFER_TASKRUN).

use super::operation::{Completion, Operation, REST_MS};
use crate::ids::Slot;
use io_uring::squeue::Flags;
use io_uring::types::{CancelBuilder, DestinationSlot, Fd, Fixed, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};
use std::io;
use std::os::fd::RawFd;

/// Submissions that fit before the kernel must be entered.
const SUBMISSIONS: u32 = 1024;
/// Completions that fit before the kernel has to keep them on its own list.
const COMPLETIONS: u32 = 16 * 1024;
/// The buffer group all receives draw from.
const GROUP: u16 = 0;
/// A send with these flags finishes at once, or falls short.
const NOW: i32 = libc::MSG_DONTWAIT | libc::MSG_WAITALL | libc::MSG_NOSIGNAL;
/// IORING_RECVSEND_POLL_FIRST: a socket that was just full is not tried before it has room.
const POLL_FIRST: u16 = 1;
/// SOCKET_URING_OP_SIOCINQ (Linux 6.7).
const UNREAD: u32 = 0;
/// SOCKET_URING_OP_SIOCOUTQ (Linux 6.7).
const UNACKNOWLEDGED: u32 = 1;
/// IORING_FILE_INDEX_ALLOC: the kernel chooses the slot.
const ANY_SLOT: i32 = -1;
/// Without IORING_FIXED_FD_NO_CLOEXEC, an installed descriptor is closed when another program is executed.
const CLOSE_ON_EXEC: u32 = 0;
/// IORING_ENTER_GETEVENTS.
const ENTER_GETEVENTS: u32 = 1;
/// Connecting a TCP socket to an address of this kind resets its connection (connect(2)).
static NOBODY: libc::sockaddr =
    libc::sockaddr { sa_family: libc::AF_UNSPEC as libc::sa_family_t, sa_data: [0; 14] };
static REST: Timespec = Timespec::new().nsec(REST_MS * 1_000_000);

pub(super) struct KernelRing {
    uring: IoUring,
    /// Completions that were moved here to make room for submissions; they come before those still in the queue.
    aside: Vec<Completion>,
}

impl KernelRing {
    /// A ring with `slots` empty direct descriptors.
    ///
    /// # Errors
    /// The kernel refused the ring.
    pub fn new(slots: u32) -> io::Result<KernelRing> {
        let uring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_taskrun_flag()
            .setup_submit_all()
            .setup_cqsize(COMPLETIONS)
            .build(SUBMISSIONS)?;
        uring.submitter().register_files_sparse(slots)?;
        Ok(KernelRing { uring, aside: Vec::new() })
    }

    /// Queues one operation, entering the kernel first when the queue is full.
    ///
    /// # Errors
    /// The kernel failed when it was entered.
    ///
    /// # Safety
    /// As for [`super::ring::Ring::push`].
    #[inline(always)]
    pub unsafe fn push(&mut self, operation: Operation, token: u64) -> io::Result<()> {
        let entry = entry(operation).user_data(token);
        loop {
            // SAFETY: the caller keeps the memory that `entry` points to.
            if unsafe { self.uring.submission().push(&entry) }.is_ok() {
                return Ok(());
            }
            self.submit()?;
        }
    }

    /// Hands everything queued to the kernel. Sends with MSG_DONTWAIT are done when this returns.
    ///
    /// # Errors
    /// The kernel failed when it was entered.
    pub fn submit(&mut self) -> io::Result<()> {
        while !self.uring.submission().is_empty() {
            match self.uring.submit() {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // EBUSY: the kernel has completions to post and no room for them in its queue.
                Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {
                    self.aside.extend(self.uring.completion().map(Completion::from));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Submits queued operations, and lets the kernel post completions that are ready; under DEFER_TASKRUN nothing
    /// else does.
    ///
    /// # Errors
    /// The kernel failed when it was entered.
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

    /// Whether the kernel has more to post (IORING_SQ_TASKRUN).
    pub fn has_task_work(&mut self) -> bool {
        let submission = self.uring.submission();
        submission.taskrun() || submission.cq_overflow()
    }

    /// Whether clients wait to be accepted from the listening socket `listener`.
    pub fn has_arrivals(&self, listener: RawFd) -> bool {
        let mut watched = libc::pollfd { fd: listener, events: libc::POLLIN, revents: 0 };
        // SAFETY: one descriptor is passed, with the memory for its answer.
        let ready = unsafe { libc::poll(&raw mut watched, 1, 0) };
        // If the kernel cannot tell, the caller asks again.
        ready < 0 || watched.revents & libc::POLLIN != 0
    }

    /// Moves all posted completions to the end of `out`.
    pub fn reap(&mut self, out: &mut Vec<Completion>) {
        out.append(&mut self.aside);
        out.extend(self.uring.completion().map(Completion::from));
    }

    /// Signals the eventfd `doorbell` for every completion.
    ///
    /// # Errors
    /// The kernel refused the eventfd.
    pub fn register_doorbell(&mut self, doorbell: RawFd) -> io::Result<()> {
        self.uring.submitter().register_eventfd(doorbell)
    }

    pub fn silence_doorbell(&mut self, silent: bool) {
        let completion = self.uring.completion();
        if silent { completion.disable_eventfd() } else { completion.enable_eventfd() }
    }

    /// Registers `entries` provided-buffer descriptors at `address`.
    ///
    /// # Errors
    /// The kernel refused the buffers.
    ///
    /// # Safety
    /// As for [`super::ring::Ring::register_buffers`].
    pub unsafe fn register_buffers(&mut self, address: u64, entries: u16) -> io::Result<()> {
        // SAFETY: the caller keeps the descriptor array alive.
        unsafe { self.uring.submitter().register_buf_ring_with_flags(address, entries, GROUP, 0) }
    }
}

impl From<cqueue::Entry> for Completion {
    fn from(entry: cqueue::Entry) -> Completion {
        Completion { token: entry.user_data(), result: entry.result(), flags: entry.flags() }
    }
}

/// Translates `operation` for the kernel. It is inlined into the code that pushes, where the kind of operation is
/// known, so that nothing is left of the match.
#[inline(always)]
fn entry(operation: Operation) -> squeue::Entry {
    match operation {
        Operation::Accept { listener, address, length } => {
            let accept = opcode::Accept::new(Fd(listener), address.cast(), length);
            accept.file_index(Some(DestinationSlot::auto_target())).build()
        }
        Operation::ReceiveOnce { slot } => {
            // The length is that of the provided buffer.
            opcode::Recv::new(fixed(slot), std::ptr::null_mut(), 0)
                .buf_group(GROUP)
                .build()
                .flags(Flags::BUFFER_SELECT)
        }
        Operation::Receive { slot } => opcode::RecvMulti::new(fixed(slot), GROUP).build(),
        Operation::Send { slot, data, length } => {
            opcode::Send::new(fixed(slot), data, length).flags(NOW).build().flags(Flags::SKIP_SUCCESS)
        }
        Operation::PatientSend { slot, data, length } => {
            opcode::Send::new(fixed(slot), data, length).ioprio(POLL_FIRST).flags(libc::MSG_NOSIGNAL).build()
        }
        Operation::Cancel { token } => {
            opcode::AsyncCancel2::new(CancelBuilder::user_data(token)).build().flags(Flags::SKIP_SUCCESS)
        }
        Operation::Unread { slot } => opcode::UringCmd16::new(fixed(slot), UNREAD).build(),
        Operation::Unacknowledged { slot } => opcode::UringCmd16::new(fixed(slot), UNACKNOWLEDGED).build(),
        Operation::Shutdown { slot } => opcode::Shutdown::new(fixed(slot), libc::SHUT_WR).build(),
        Operation::Reset { slot } => {
            let length = size_of_val(&NOBODY) as libc::socklen_t;
            opcode::Connect::new(fixed(slot), &raw const NOBODY, length).build().flags(Flags::SKIP_SUCCESS)
        }
        Operation::Close { slot } => opcode::Close::new(fixed(slot)).build().flags(Flags::SKIP_SUCCESS),
        Operation::Watch { descriptor } => opcode::PollAdd::new(Fd(descriptor), libc::POLLIN as u32).build(),
        Operation::Rest => opcode::Timeout::new(&REST).build(),
        Operation::MoveIn { places, count, first } => {
            let first = first.map_or(ANY_SLOT, |first| first.0 as i32);
            opcode::FilesUpdate::new(places, count).offset(first).build()
        }
        Operation::Install { slot } => opcode::FixedFdInstall::new(fixed(slot), CLOSE_ON_EXEC).build(),
    }
}

/// A direct descriptor.
fn fixed(slot: Slot) -> Fixed {
    Fixed(slot.0)
}

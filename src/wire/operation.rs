//! The requests of the wire to the kernel, and the kernel's answers. [`Operation`]s go into a ring, [`Completion`]s
//! come out; the rest of the wire knows nothing else of io_uring.

use crate::ids::Slot;
use socket2::SockAddrStorage;
use std::os::fd::RawFd;

/// A request to the kernel. Slots are direct descriptors of the ring.
#[derive(Clone, Copy, Debug)]
pub(super) enum Operation {
    /// Accept a client into a free slot, which is the result, and write its address.
    Accept { listener: RawFd, address: *mut SockAddrStorage, length: *mut libc::socklen_t },
    /// Receive into provided buffers, again and again, until cancelled.
    Receive { slot: Slot },
    /// Receive into one provided buffer, once.
    ReceiveOnce { slot: Slot },
    /// Send as many bytes as the socket has room for, inside the call. Nothing is posted if all bytes were sent.
    Send { slot: Slot, data: *const u8, length: u32 },
    /// Wait until the socket has room, however long that takes, and send as many bytes as there is room for.
    PatientSend { slot: Slot, data: *const u8, length: u32 },
    /// Cancel the operation with this token. Nothing is posted for the cancellation if it was found.
    Cancel { token: u64 },
    /// Shut down the sending side.
    Shutdown { slot: Slot },
    /// Report how many bytes of the client are unread; an error where the kernel cannot tell.
    Unread { slot: Slot },
    /// Report how many bytes the client has not acknowledged; an error where the kernel cannot tell.
    Unacknowledged { slot: Slot },
    /// Reset the connection. Nothing is posted if that succeeds.
    Reset { slot: Slot },
    /// Free a slot. Nothing is posted if that succeeds.
    Close { slot: Slot },
    /// Post once when a descriptor is readable.
    Watch { descriptor: RawFd },
    /// Post after [`REST_MS`].
    Rest,
    /// Copy each of `count` descriptors at `places` into slots: those from `first` on, or free ones, whose numbers are
    /// written in their places. The result is the number of descriptors that were copied.
    MoveIn { places: *mut RawFd, count: u32, first: Option<Slot> },
    /// Make an ordinary descriptor for the socket of a slot, which is the result; programs that are started do not
    /// inherit it.
    Install { slot: Slot },
}

/// The result of an operation, or one of several results.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Completion {
    /// The token it was pushed with.
    pub token: u64,
    /// The result: a number, or a negative error code.
    pub result: i32,
    /// The flags, as the kernel packs them.
    pub flags: u32,
}

impl Completion {
    /// The provided buffer that was filled.
    pub fn buffer(&self) -> Option<u16> {
        io_uring::cqueue::buffer_select(self.flags)
    }

    /// Whether the operation goes on and will post more completions.
    pub fn goes_on(&self) -> bool {
        io_uring::cqueue::more(self.flags)
    }
}

/// How long [`Operation::Rest`] takes.
pub(super) const REST_MS: u32 = 100;

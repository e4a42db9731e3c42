//! What the wire asks of the kernel, and how the kernel answers. [`Operation`]s go into a ring, [`Completion`]s come out;
//! the rest of the wire knows no more of io_uring than that.

use crate::ids::Slot;
use socket2::SockAddrStorage;
use std::os::fd::RawFd;

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
    /// Copy the descriptor at `open_socket` into a free slot, and write which one in its stead.
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

/// How long [`Operation::Rest`] takes.
pub(super) const REST_MS: u32 = 100;

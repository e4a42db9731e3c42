//! The descriptors that stand for sockets of simulated kernels. A simulated socket has no descriptor, so a file in
//! memory stands for it. The file is known by its inode, because a descriptor that is passed to another process
//! becomes another number.

use crate::simulation::Stream;
use crate::wire::memory_file;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, IntoRawFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::rc::{Rc, Weak};

thread_local! {
    static INSTALLED: RefCell<BTreeMap<(u64, u64), Weak<Stream>>> = RefCell::default();
}

/// Makes a descriptor for `socket`.
///
/// # Errors
/// The system's error, if it has no descriptor left.
pub(super) fn install(socket: &Rc<Stream>) -> io::Result<RawFd> {
    let file = memory_file(&[])?;
    let identity = identity_of(file.as_fd())?;
    INSTALLED.with(|installed| installed.borrow_mut().insert(identity, Rc::downgrade(socket)));
    Ok(file.into_raw_fd())
}

/// The socket that `descriptor` stands for, if a kernel still has it.
pub(super) fn installed(descriptor: RawFd) -> Option<Rc<Stream>> {
    let identity = identity(descriptor)?;
    INSTALLED.with(|installed| installed.borrow().get(&identity).and_then(Weak::upgrade))
}

/// Device and inode of the file that `descriptor` has open.
pub(super) fn identity(descriptor: RawFd) -> Option<(u64, u64)> {
    // SAFETY: the descriptor is borrowed for this call only, and whoever pushed an operation with it keeps it open.
    identity_of(unsafe { BorrowedFd::borrow_raw(descriptor) }).ok()
}

fn identity_of(descriptor: BorrowedFd<'_>) -> io::Result<(u64, u64)> {
    let found = File::from(descriptor.try_clone_to_owned()?).metadata()?;
    Ok((found.dev(), found.ino()))
}

//! Wakes the core's executor when the wire ring has completions: an eventfd that the ring signals and that a glommio
//! task reads through a `BufferedFile` made from its descriptor.

use glommio::io::BufferedFile;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, RawFd};

/// The eventfd of one core's ring.
pub struct Doorbell {
    file: BufferedFile,
}

impl Doorbell {
    /// A new eventfd. Must be called inside the core's executor.
    pub fn new() -> io::Result<Doorbell> {
        // SAFETY: no pointers; the result is checked before use.
        let descriptor = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) };
        if descriptor < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: a fresh descriptor that nothing else owns; the file closes it.
        Ok(Doorbell { file: unsafe { BufferedFile::from_raw_fd(descriptor) } })
    }

    pub(super) fn descriptor(&self) -> RawFd {
        self.file.as_raw_fd()
    }

    /// Waits until the ring signalled at least once since the last call.
    pub async fn rung(&self) -> io::Result<()> {
        self.file.read_at(0, size_of::<u64>()).await.map(drop).map_err(io::Error::from)
    }
}

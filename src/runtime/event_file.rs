//! An eventfd by which other threads and the kernel wake a task of this core.

use glommio::io::BufferedFile;
use std::io;

/// An eventfd that a task of this core waits for.
pub struct EventFile(BufferedFile);

impl EventFile {
    /// Wraps `file`, which the caller makes of the eventfd (`FromRawFd`), because this room has no unsafe code.
    pub fn new(file: BufferedFile) -> EventFile {
        EventFile(file)
    }

    /// Waits until the count of the eventfd is not 0, and resets it to 0.
    ///
    /// # Errors
    /// The system's error, if the eventfd cannot be read.
    pub async fn rung(&self) -> io::Result<()> {
        self.0.read_at(0, size_of::<u64>()).await.map(drop).map_err(io::Error::from)
    }
}

//! The channel between a core of an old process and a core of a new one: messages, each with descriptors and a part of the
//! state in a file in memory. Each message is acknowledged, so that few descriptors are on their way at a time: the kernel
//! bounds their number for each user.

use super::packed::Part;
use crate::wire::{MoveError, PACKET_DESCRIPTORS, PacketSocket, memory_file};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// Descriptors of clients and of applications in one message; one more is for the file.
pub(super) const DESCRIPTORS: usize = PACKET_DESCRIPTORS - 1;
/// How long one side waits for the other. A core of a new process waits while the old cores become quiet, and while an old
/// core sends to another new one. If the other process is stuck, the main thread of the old process ends the wait.
const PATIENCE: Duration = Duration::from_secs(10);
const MESSAGE: &[u8] = b"part";
const ACKNOWLEDGED: &[u8] = b"ok";

/// Why clients could not be handed over, or taken over.
#[derive(Debug, thiserror::Error)]
pub(super) enum HandOverError {
    /// The other core does not answer.
    #[error("the other process cannot be reached: {0}")]
    Channel(#[from] io::Error),
    /// The state cannot be read or written.
    #[error("the state of the clients cannot be read: {0}")]
    Format(#[from] postcard::Error),
    /// The connections cannot be moved.
    #[error(transparent)]
    Move(#[from] MoveError),
    /// Other messages came than were to come.
    #[error("the other process says something unexpected")]
    Unexpected,
}

/// One end of a channel.
pub(super) struct Channel(PacketSocket);

impl Channel {
    /// A channel on `socket`.
    ///
    /// # Errors
    /// The system's error.
    pub fn new(socket: OwnedFd) -> io::Result<Channel> {
        let socket = PacketSocket::from(socket);
        socket.set_patience(PATIENCE)?;
        Ok(Channel(socket))
    }

    /// Sends `part` with at most [`DESCRIPTORS`] descriptors, and waits until the other core has it.
    ///
    /// # Errors
    /// The other core is gone, or did not answer in time.
    pub fn send(&self, part: &Part, descriptors: &[OwnedFd]) -> Result<(), HandOverError> {
        let file = memory_file(&postcard::to_allocvec(part)?)?;
        let all: Vec<BorrowedFd<'_>> =
            std::iter::once(file.as_fd()).chain(descriptors.iter().map(AsFd::as_fd)).collect();
        self.0.send(MESSAGE, &all)?;
        match self.0.receive()? {
            (answer, _) if answer == ACKNOWLEDGED => Ok(()),
            _ => Err(HandOverError::Unexpected),
        }
    }

    /// Waits for the next part and its descriptors.
    ///
    /// # Errors
    /// The other core is gone, or sent nothing in time.
    pub fn receive(&self) -> Result<(Part, Vec<OwnedFd>), HandOverError> {
        let (message, mut descriptors) = self.0.receive()?;
        if message != MESSAGE || descriptors.is_empty() {
            return Err(HandOverError::Unexpected);
        }
        let mut bytes = Vec::new();
        File::from(descriptors.remove(0)).read_to_end(&mut bytes)?;
        Ok((postcard::from_bytes(&bytes)?, descriptors))
    }

    /// Says that a part has been taken over.
    ///
    /// # Errors
    /// The other core is gone.
    pub fn acknowledge(&self) -> io::Result<()> {
        self.0.send(ACKNOWLEDGED, &[])
    }
}

//! The client's end of a virtual slot, as a task uses it. Dropping it hangs up.

use crate::held::Holds;
use crate::ids::Slot;
use crate::wire::VirtualClient;
use bytes::Bytes;
use std::io;
use std::rc::Rc;
use std::task::Poll;

/// A connection with this server itself.
pub(super) struct Line {
    holds: Rc<Holds>,
    client: VirtualClient,
}

impl Line {
    /// Opens a new virtual slot.
    pub fn open(holds: &Rc<Holds>) -> Line {
        Line { holds: holds.clone(), client: holds.clients.open_virtual() }
    }

    /// The slot at the other end.
    pub fn slot(&self) -> Slot {
        self.client.slot()
    }

    /// The next bytes, as they were sent.
    ///
    /// # Errors
    /// `UnexpectedEof` if the slot is closed, or nothing follows.
    pub async fn read(&self) -> io::Result<Bytes> {
        loop {
            let taken = self.holds.clients.take_sent(&self.client);
            if let Poll::Ready(taken) = taken {
                self.holds.context.wake();
                return taken.ok_or(io::ErrorKind::UnexpectedEof.into());
            }
            self.client.changed().await;
        }
    }

    /// Sends all `bytes` when there is room for them.
    ///
    /// # Errors
    /// `BrokenPipe` if the slot is closed.
    pub async fn write(&self, bytes: &[u8]) -> io::Result<()> {
        loop {
            let taken = self.holds.clients.take_said(&self.client, bytes);
            if let Poll::Ready(taken) = taken {
                self.holds.context.wake();
                return taken;
            }
            self.client.changed().await;
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.holds.clients.hang_up(&self.client);
        self.holds.context.wake();
    }
}

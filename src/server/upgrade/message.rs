//! The messages between the main threads of an old and a new process, and the control socket that carries them. A message
//! is one packet, followed by more packets if it has more descriptors than fit into one. Each begins with the version of
//! the protocol, so a process of another version is recognised before anything else is read.

use super::error::UpgradeError;
use crate::wire::{PACKET_DESCRIPTORS, PacketSocket};
use serde::{Deserialize, Serialize};
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

/// The version of the protocol.
const VERSION: u16 = 1;

/// A message, in the order in which they are sent.
#[derive(Serialize, Deserialize, PartialEq, Eq, Debug)]
pub(super) enum Message {
    /// From the old process, with the token and all sockets that it listens on or receives datagrams by.
    Hello(Hello),
    /// From the new process: everything that can fail is done.
    Prepared(Prepared),
    /// From the new process: it cannot take over.
    Failed {
        /// Why not.
        reason: String,
    },
    /// From the old process, with the channels between the cores of both.
    Channels,
    /// From the new process: it has taken the token, and serves.
    Serving,
}

/// What the new process needs to prepare itself.
#[derive(Serialize, Deserialize, PartialEq, Eq, Debug, Default)]
pub(super) struct Hello {
    /// The format of the clients' state in the old process.
    pub format: u32,
    /// The key by which the ids of published items are hashed.
    pub keys: Vec<u64>,
    /// The number of cores of the old process.
    pub cores: u16,
    /// The files of Unix sockets that the old process removes at its end, unless the new process serves.
    pub files: Vec<PathBuf>,
    /// Whether a service manager has each of the sockets too.
    pub are_managed: Vec<bool>,
}

/// What the old process needs to know of the new one.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Prepared {
    /// The format of the clients' state in the new process.
    pub format: u32,
    /// The number of cores of the new process.
    pub cores: u16,
}

/// What comes before each message.
#[derive(Serialize, Deserialize)]
struct Head {
    version: u16,
    /// The number of descriptors of the message.
    descriptors: u32,
}

/// The socket between the two main threads.
pub(super) struct Control(PacketSocket);

impl Control {
    /// A control socket on `socket`.
    pub fn new(socket: PacketSocket) -> Control {
        Control(socket)
    }

    /// Sends `message` with `descriptors`. `doing` names the step for an error.
    ///
    /// # Errors
    /// The other process has ended, or does not read.
    pub fn send(
        &self,
        message: &Message,
        descriptors: &[BorrowedFd<'_>],
        doing: &'static str,
    ) -> Result<(), UpgradeError> {
        self.try_send(message, descriptors).map_err(|source| failed(doing, source))
    }

    fn try_send(&self, message: &Message, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        self.0.set_patience(SENDING)?;
        let head = Head { version: VERSION, descriptors: descriptors.len() as u32 };
        let bytes = postcard::to_allocvec(&(head, message)).map_err(io::Error::other)?;
        let mut parts = descriptors.chunks(PACKET_DESCRIPTORS);
        self.0.send(&bytes, parts.next().unwrap_or_default())?;
        parts.try_for_each(|part| self.0.send(MORE, part))
    }

    /// Waits up to `patience` for the next message. `doing` names the step for an error.
    ///
    /// # Errors
    /// The other process has ended, does not answer in time, or is of another version.
    pub fn receive(
        &self,
        patience: Duration,
        doing: &'static str,
    ) -> Result<(Message, Vec<OwnedFd>), UpgradeError> {
        let failed = |source| failed(doing, source);
        self.0.set_patience(patience.max(Duration::from_millis(1))).map_err(failed)?;
        let (bytes, mut descriptors) = self.0.receive().map_err(failed)?;
        // The version is read alone: behind it, another version may have written anything.
        let version = postcard::take_from_bytes::<u16>(&bytes).map(|(version, _)| version);
        if version != Ok(VERSION) {
            return Err(UpgradeError::Unknown);
        }
        let (head, message): (Head, Message) =
            postcard::from_bytes(&bytes).map_err(|_| UpgradeError::Unknown)?;
        while descriptors.len() < head.descriptors as usize {
            let (_, more) = self.0.receive().map_err(failed)?;
            if more.is_empty() {
                return Err(UpgradeError::Unknown);
            }
            descriptors.extend(more);
        }
        Ok((message, descriptors))
    }
}

impl AsFd for Control {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn failed(doing: &'static str, source: io::Error) -> UpgradeError {
    match source.kind() {
        ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe | ErrorKind::ConnectionReset => {
            UpgradeError::Gone(doing)
        }
        ErrorKind::TimedOut => UpgradeError::Late(doing),
        _ => UpgradeError::Control { doing, source },
    }
}

/// The packet that carries more descriptors.
const MORE: &[u8] = b"more";
/// Time for which a message waits for room in the socket.
const SENDING: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    const TESTING: &str = "testing";

    fn pair() -> (Control, Control) {
        let (one, other) = PacketSocket::pair().unwrap();
        (Control::new(one), Control::new(other))
    }

    #[test]
    fn a_message_arrives_with_more_descriptors_than_fit_into_a_packet() {
        let (old, new) = pair();
        let sockets: Vec<_> = (0..2 * PACKET_DESCRIPTORS + 1).map(|_| old.as_fd()).collect();
        let hello = || {
            let (files, are_managed) = (vec!["/run/a.sock".into()], vec![true]);
            Message::Hello(Hello { format: 7, keys: vec![1, u64::MAX], cores: 3, files, are_managed })
        };
        for count in [0, 1, PACKET_DESCRIPTORS, PACKET_DESCRIPTORS + 1, sockets.len()] {
            old.send(&hello(), &sockets[..count], TESTING).unwrap();
            let (message, descriptors) = new.receive(Duration::from_secs(5), TESTING).unwrap();
            assert_eq!((message, descriptors.len()), (hello(), count));
        }
        new.send(&Message::Prepared(Prepared { format: 7, cores: 2 }), &[], TESTING).unwrap();
        let (message, _) = old.receive(Duration::from_secs(5), TESTING).unwrap();
        assert_eq!(message, Message::Prepared(Prepared { format: 7, cores: 2 }));
    }

    #[test]
    fn the_end_and_the_silence_of_the_other_process_are_told_apart() {
        let (old, new) = pair();
        let late = old.receive(Duration::ZERO, TESTING).unwrap_err();
        assert!(matches!(late, UpgradeError::Late(TESTING)), "{late}");
        drop(new);
        let gone = old.receive(Duration::from_secs(5), TESTING).unwrap_err();
        assert!(matches!(gone, UpgradeError::Gone(TESTING)), "{gone}");
        let gone = old.send(&Message::Channels, &[], TESTING).unwrap_err();
        assert!(matches!(gone, UpgradeError::Gone(TESTING)), "{gone}");
    }

    #[test]
    fn another_version_is_recognised_by_the_beginning_of_its_message() {
        let (old, new) = pair();
        let other = postcard::to_allocvec(&(VERSION + 1, "anything")).unwrap();
        for bytes in [&other[..], &[VERSION as u8, 0, 99], b"\xff"] {
            old.0.send(bytes, &[]).unwrap();
            let unknown = new.receive(Duration::from_secs(5), TESTING).unwrap_err();
            assert!(matches!(unknown, UpgradeError::Unknown), "{unknown}");
        }
    }

    #[test]
    fn the_first_version_is_written_as_ever() {
        let bytes =
            |message| postcard::to_allocvec(&(Head { version: VERSION, descriptors: 300 }, message)).unwrap();
        let (files, are_managed) = (vec!["/a".into()], vec![true, false]);
        let hello = Hello { format: 2, keys: vec![3, 400], cores: 4, files, are_managed };
        let written = b"\x01\xac\x02\x00\x02\x02\x03\x90\x03\x04\x01\x02/a\x02\x01\x00";
        assert_eq!(bytes(Message::Hello(hello)), written);
        assert_eq!(bytes(Message::Prepared(Prepared { format: 1, cores: 2 })), b"\x01\xac\x02\x01\x01\x02");
        assert_eq!(bytes(Message::Failed { reason: "no".into() }), b"\x01\xac\x02\x02\x02no");
        assert_eq!(bytes(Message::Channels), b"\x01\xac\x02\x03");
        assert_eq!(bytes(Message::Serving), b"\x01\xac\x02\x04");
    }
}

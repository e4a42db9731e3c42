//! One message of a socket, in its parts. A message of ours has few; of one with more, those beyond are read and dropped,
//! so that nobody can fill memory with empty parts.

use zmq::{DONTWAIT, Message, Socket};

/// Parts that are kept: an envelope of a REQ behind several brokers, and the call.
const KEPT: usize = 16;

/// A message.
#[derive(Default)]
pub struct Parts {
    parts: Vec<Message>,
    count: usize,
}

impl Parts {
    /// The next message of `socket`, if one has come.
    pub fn receive(socket: &Socket) -> Option<Parts> {
        let mut parts = Parts::default();
        loop {
            let mut part = Message::new();
            // A message comes whole or not at all: only its first part may be missing.
            socket.recv(&mut part, DONTWAIT).ok()?;
            parts.count += 1;
            let more = part.get_more();
            if parts.parts.len() < KEPT {
                parts.parts.push(part);
            }
            if !more {
                return Some(parts);
            }
        }
    }

    /// How many it had.
    pub fn count(&self) -> usize {
        self.count
    }

    /// All of its parts, if there are `N`.
    pub fn exactly<const N: usize>(&self) -> Option<&[Message; N]> {
        self.parts.as_slice().try_into().ok().filter(|_| self.count == N)
    }

    /// The envelope of a REQ socket, its empty part included, and the call behind it.
    pub fn enveloped(mut self) -> Option<(Vec<Message>, Message)> {
        let call = self.parts.pop()?;
        let is_call = self.count == self.parts.len() + 1;
        let delimiters = self.parts.iter().filter(|part| part.is_empty()).count();
        let ends_with_delimiter = self.parts.last().is_some_and(|part| part.is_empty());
        (is_call && delimiters == 1 && ends_with_delimiter).then_some((self.parts, call))
    }
}

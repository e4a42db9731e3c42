//! What operators know a client's connection by: the Connection-Id that its application sees, if it is a WebSocket over
//! HTTP; else where it is. Neither is kept for this: the one is in its WebSocket, the other is made out of what the core
//! knows anyway.

use crate::ids::{CoreId, Slot};
use std::fmt;
use uuid::Uuid;

/// The id of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ConnectionId {
    /// Connection-Id.
    Application(Uuid),
    /// Where it is, and which of those that were there.
    Place {
        /// The core.
        core: CoreId,
        /// The slot.
        slot: Slot,
        /// The slot's count of connections.
        generation: u32,
    },
}

/// What this process calls itself to operators.
pub fn instance() -> String {
    format!("gripwire_{}", std::process::id())
}

impl ConnectionId {
    /// Reads one that this process has given.
    pub fn parse(text: &str) -> Option<ConnectionId> {
        if let Ok(id) = Uuid::try_parse(text) {
            return Some(ConnectionId::Application(id));
        }
        let place = text.strip_prefix(&instance())?.strip_prefix(':')?;
        let mut numbers = place.splitn(3, '-');
        let (core, slot) = (numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?);
        let generation = numbers.next()?.parse().ok()?;
        Some(ConnectionId::Place { core: CoreId(core), slot: Slot(slot), generation })
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConnectionId::Application(id) => write!(out, "{id}"),
            ConnectionId::Place { core, slot, generation } => {
                write!(out, "{}:{}-{}-{generation}", instance(), core.0, slot.0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_is_read_and_what_others_gave_is_not() {
        let place = ConnectionId::Place { core: CoreId(3), slot: Slot(70_000), generation: 9 };
        for id in [place, ConnectionId::Application(Uuid::new_v4())] {
            assert_eq!(ConnectionId::parse(&id.to_string()), Some(id));
        }
        for text in
            ["", "x", "gripwire_0:1-2-3", &format!("{}:1-2", instance()), &format!("{}:a-b-c", instance())]
        {
            assert_eq!(ConnectionId::parse(text), None, "{text}");
        }
    }
}

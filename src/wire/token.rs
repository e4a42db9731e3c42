//! Identifies the operation of a completion, packed into its `user_data`: kind (8 bits), generation (24), slot (32).
//! The generation of a slot changes when its connection ends, so a late completion for a reused slot is recognised
//! and dropped.

use crate::ids::Slot;

/// The kind of operation that a completion belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Kind {
    /// A single-shot accept; the slot field is its accept index.
    Accept = 1,
    /// The multishot receive of a slot.
    Receive,
    /// A send that finishes inside `io_uring_enter`; a completion means it fell short.
    Send,
    /// The waiting send of a slot's backlog.
    Drain,
    /// A cancellation; its result is not used.
    Cancel,
    /// Shutdown of the sending side.
    Shutdown,
    /// Release of a direct descriptor; a completion means it failed.
    Close,
    /// A datagram socket is readable; the slot field is its number.
    Readable,
    /// A client has connected to a Unix socket; the slot field is the listener's number.
    Knock,
    /// A client's descriptor was copied into the table of direct descriptors; the slot field is the client's number.
    MoveIn,
    /// The number of bytes that a client has not acknowledged.
    Measure,
    /// The number of unread bytes of a paused client.
    MeasureUnread,
    /// An ordinary descriptor was made for a slot; the slot field is its place among the slots of the call.
    Install,
    /// Sockets of another process were copied into the table of direct descriptors.
    Adopt,
}

/// A packed `user_data`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Token {
    pub kind: Kind,
    pub generation: u32,
    pub slot: Slot,
}

/// The highest generation; generations wrap after it.
pub(super) const GENERATION_MASK: u32 = (1 << 24) - 1;

impl Token {
    pub fn pack(self) -> u64 {
        debug_assert_eq!(self.generation & !GENERATION_MASK, 0);
        ((self.kind as u64) << 56) | ((self.generation as u64) << 32) | self.slot.0 as u64
    }

    pub fn unpack(user_data: u64) -> Option<Token> {
        let kind = match (user_data >> 56) as u8 {
            1 => Kind::Accept,
            2 => Kind::Receive,
            3 => Kind::Send,
            4 => Kind::Drain,
            5 => Kind::Cancel,
            6 => Kind::Shutdown,
            7 => Kind::Close,
            8 => Kind::Readable,
            9 => Kind::Knock,
            10 => Kind::MoveIn,
            11 => Kind::Measure,
            12 => Kind::MeasureUnread,
            13 => Kind::Install,
            14 => Kind::Adopt,
            _ => return None,
        };
        let generation = (user_data >> 32) as u32 & GENERATION_MASK;
        Some(Token { kind, generation, slot: Slot(user_data as u32) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_survives_packing_at_its_extremes() {
        let clients = [Kind::Receive, Kind::Send, Kind::Drain, Kind::Cancel, Kind::Shutdown, Kind::Close];
        let others =
            [Kind::Accept, Kind::Readable, Kind::Knock, Kind::MoveIn, Kind::Measure, Kind::MeasureUnread];
        let moving = [Kind::Install, Kind::Adopt];
        for kind in clients.into_iter().chain(others).chain(moving) {
            for (generation, slot) in [(0, 0), (GENERATION_MASK, u32::MAX), (1, 7)] {
                let token = Token { kind, generation, slot: Slot(slot) };
                assert_eq!(Token::unpack(token.pack()), Some(token));
            }
        }
        assert_eq!(Token::unpack(0), None);
    }
}

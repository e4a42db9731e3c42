//! The limits on kept bytes: how many bytes of one kind a core may keep, and which clients are reset when memory is short
//! (`core::ceiling` decides when). A few kilobytes of each client are exempt from the limit of their kind, so that ordinary
//! clients can go on when others have used it up.

use super::{Context, Kind};
use crate::ids::Slot;
use std::cmp::Reverse;

/// A client that keeps less than this is not reset when memory is short.
pub const SMALL_BYTES: usize = 16 * 1024;

/// A WebSocket may always keep this many bytes of messages from its client.
const FREE_INCOMING_BYTES: usize = 16 * 1024;
/// A long poll may always keep this many bytes.
const FREE_POLL_BYTES: usize = 8 * 1024;
/// At most this many bytes of items wait for filters on a core.
const FILTERS_BYTES: usize = 64 * 1024 * 1024;

impl Context {
    /// Whether a client, for whom `bytes` of `kind` are already booked, may keep them.
    pub fn may_keep(&self, kind: Kind, bytes: usize) -> bool {
        bytes <= free_bytes(kind) || self.accounts.bytes_of(kind) <= self.most_bytes(kind)
    }

    /// The bytes of `kind` that may be booked for a client that has none.
    pub fn room_for(&self, kind: Kind) -> usize {
        self.most_bytes(kind).saturating_sub(self.accounts.bytes_of(kind)).max(free_bytes(kind))
    }

    fn most_bytes(&self, kind: Kind) -> usize {
        match kind {
            Kind::Incoming => self.settings().websocket.incoming_bytes_per_core,
            Kind::Polls => self.settings().limits.held_bytes_per_core,
            Kind::Filters => FILTERS_BYTES,
            Kind::Heads | Kind::Requests | Kind::Variables | Kind::Conversations | Kind::Items => usize::MAX,
        }
    }
}

fn free_bytes(kind: Kind) -> usize {
    match kind {
        Kind::Incoming => FREE_INCOMING_BYTES,
        Kind::Polls => FREE_POLL_BYTES,
        _ => 0,
    }
}

/// Chooses from `clients`, given with their bytes, those that must be reset to free `excess` bytes. Clients with most bytes
/// come first. If all of them together have fewer bytes, returns none, or all of them if
/// `is_last_resort`.
pub fn to_reset(mut clients: Vec<(usize, Slot)>, excess: usize, is_last_resort: bool) -> Vec<(usize, Slot)> {
    if !is_last_resort && clients.iter().map(|(bytes, _)| bytes).sum::<usize>() < excess {
        return Vec::new();
    }
    clients.sort_unstable_by_key(|(bytes, _)| Reverse(*bytes));
    let mut freed = 0;
    let is_enough = |(bytes, _): &(usize, Slot)| {
        let is_enough = freed >= excess;
        freed += bytes;
        is_enough
    };
    let count = clients.iter().position(is_enough).unwrap_or(clients.len());
    clients.truncate(count);
    clients
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_keeps_most_is_reset_first_and_nobody_if_that_does_not_help() {
        let clients = || vec![(20, Slot(0)), (50, Slot(1)), (30, Slot(2))];
        assert_eq!(to_reset(clients(), 0, false), []);
        assert_eq!(to_reset(clients(), 50, false), [(50, Slot(1))]);
        assert_eq!(to_reset(clients(), 51, false), [(50, Slot(1)), (30, Slot(2))]);
        assert_eq!(to_reset(clients(), 101, false), []);
        assert_eq!(to_reset(clients(), 101, true).len(), 3);
    }
}

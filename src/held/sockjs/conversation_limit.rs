//! Limits the number of SockJS conversations, and the bytes that wait in them. A conversation takes memory, and needs
//! no connection once it has begun, so a limit for each connection would limit nothing. The limit is by address: the
//! client's address, according to trusted proxies. One address may have nearly all conversations, because it may be a
//! proxy that the settings do not name. The last eighth, however, is reserved for addresses that have few
//! conversations. So a client that begins thousands leaves room for others.

use crate::ids::NameMap;
use crate::proto::client_network::ClientNetwork;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One of this many parts of all places is reserved for addresses that have few conversations.
const RESERVED_PART: usize = 8;
/// An address has few conversations while it has fewer than one of this many parts of all places.
const FEW_PART: usize = 64;

/// Bytes that wait in all conversations together, for clients and applications. Beyond this, each conversation may keep
/// only [`FREE_BYTES`] in each direction.
const MOST_BYTES: usize = 64 * 1024 * 1024;
/// A conversation may always keep this many bytes in each direction.
const FREE_BYTES: usize = 16 * 1024;

/// The places for conversations of all cores, and the bytes that wait in them.
#[derive(Clone, Default)]
pub(super) struct ConversationLimit(Arc<Shared>);

#[derive(Default)]
struct Shared {
    taken: Mutex<Taken>,
    /// Bytes that wait in all conversations.
    kept: AtomicUsize,
}

#[derive(Default)]
struct Taken {
    all: usize,
    by_client: NameMap<ClientNetwork, usize>,
}

/// The place of one conversation. Dropping this value frees the place.
pub struct ConversationPermit {
    of: ConversationLimit,
    client: ClientNetwork,
    /// Bytes that wait in the conversation.
    kept: AtomicUsize,
}

impl ConversationLimit {
    /// A place for a client at `address`, of `limit` places in all; `None` if there is none. All clients without an
    /// address count as one. An exempt client (`is_exempt`) may also have the reserved places.
    pub fn take(&self, address: Option<IpAddr>, limit: usize, is_exempt: bool) -> Option<ConversationPermit> {
        let client = ClientNetwork::of(address);
        let mut taken = self.lock();
        let own = taken.by_client.get(&client).copied().unwrap_or_default();
        let has_few = own < (limit / FEW_PART).max(1);
        let limit = if has_few || is_exempt { limit } else { limit - limit / RESERVED_PART };
        if taken.all >= limit {
            return None;
        }
        taken.all += 1;
        taken.by_client.insert(client, own + 1);
        Some(ConversationPermit { of: self.clone(), client, kept: AtomicUsize::default() })
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes that wait in all conversations.
    fn kept_bytes(&self) -> usize {
        self.0.kept.load(Relaxed)
    }
}

impl ConversationPermit {
    /// Sets the bytes that wait in the conversation.
    pub fn keep(&self, bytes: usize) {
        let before = self.kept.swap(bytes, Relaxed);
        let all = &self.of.0.kept;
        match bytes >= before {
            true => all.fetch_add(bytes - before, Relaxed),
            false => all.fetch_sub(before - bytes, Relaxed),
        };
    }

    /// Bytes that wait in the conversation.
    pub fn kept_bytes(&self) -> usize {
        self.kept.load(Relaxed)
    }

    /// The network of the client that began the conversation.
    pub fn client(&self) -> ClientNetwork {
        self.client
    }

    /// How many bytes may wait in one direction, for a usual bound of `most`.
    pub fn bound(&self, most: usize) -> usize {
        if self.of.kept_bytes() > MOST_BYTES { most.min(FREE_BYTES) } else { most }
    }
}

impl Drop for ConversationPermit {
    fn drop(&mut self) {
        self.keep(0);
        let mut taken = self.of.lock();
        taken.all -= 1;
        if let Some(own) = taken.by_client.get_mut(&self.client) {
            *own -= 1;
            if *own == 0 {
                taken.by_client.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_may_keep_little_while_all_together_keep_much() {
        let places = ConversationLimit::default();
        let (greedy, other) = (places.take(None, 64, true).unwrap(), places.take(None, 64, true).unwrap());
        greedy.keep(MOST_BYTES + 10);
        assert_eq!((other.bound(1_000_000), other.bound(10)), (FREE_BYTES, 10));
        greedy.keep(5);
        other.keep(7);
        assert_eq!((other.bound(1_000_000), places.kept_bytes()), (1_000_000, 12));
        drop(greedy);
        assert_eq!(places.kept_bytes(), 7);
    }

    #[test]
    fn one_address_leaves_room_for_others_and_places_come_back() {
        let places = ConversationLimit::default();
        let greedy: IpAddr = "2001:db8::1".parse().unwrap();
        let same: IpAddr = "2001:db8::2".parse().unwrap();
        let take = |address: IpAddr| places.take(Some(address), 64, false);
        let held: Vec<_> = (0..70).filter_map(|_| take(greedy)).collect();
        assert_eq!(held.len(), 56);
        assert!(take(same).is_none(), "of one network");
        let others: Vec<_> = (0..10).filter_map(|host| take(IpAddr::from([10, 0, 0, host]))).collect();
        assert_eq!(others.len(), 8);
        drop(others);
        let exempt: Vec<_> = (0..10).filter_map(|_| places.take(Some(greedy), 64, true)).collect();
        assert_eq!(exempt.len(), 8, "an exempt address may have the last places too");
        drop(exempt);
        assert!(take(greedy).is_none());
        drop(held);
        assert!(take(greedy).is_some());
        let taken = places.lock();
        assert_eq!((taken.all, taken.by_client.len()), (0, 0));
    }
}

//! How many conversations of SockJS there may be. Each takes memory, and a client needs no connection for it once it
//! has begun one; so a connection has no share of its own, as its client would come by another. An address has one: that
//! of the client, as believed proxies say it. One address may have nearly all conversations, as a proxy does that nobody
//! has named; but the last eighth is only for addresses that have few, so that a client that begins thousands leaves room
//! for others.

use crate::ids::NameMap;
use crate::proto::client_network::ClientNetwork;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The last of these parts of all places is for addresses that have few.
const RESERVED_PART: usize = 8;
/// Few are this part of all places.
const FEW_PART: usize = 64;

/// Bytes that wait in all conversations together, for clients and applications. Beyond it each of them may keep only
/// [`FREE_BYTES`] each way.
const MOST_BYTES: usize = 64 * 1024 * 1024;
/// What a conversation may keep each way whatever others keep.
const FREE_BYTES: usize = 16 * 1024;

/// The places of all cores, and what waits in their conversations.
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

/// A place of one conversation, which is free again when this is dropped.
pub struct ConversationPermit {
    of: ConversationLimit,
    client: ClientNetwork,
    /// Bytes that wait in the conversation.
    kept: AtomicUsize,
}

impl ConversationLimit {
    /// A place for a client at `address`, of `limit` for all; `None` if it must wait. Clients without an address are
    /// one. The share of one address is not for those that are exempt from limits by address.
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
    pub fn kept_bytes(&self) -> usize {
        self.0.kept.load(Relaxed)
    }
}

impl ConversationPermit {
    /// `bytes` wait in its conversation now.
    pub fn keep(&self, bytes: usize) {
        let before = self.kept.swap(bytes, Relaxed);
        let all = &self.of.0.kept;
        match bytes >= before {
            true => all.fetch_add(bytes - before, Relaxed),
            false => all.fetch_sub(before - bytes, Relaxed),
        };
    }

    /// How many bytes may wait one way where there is a bound of `most`.
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

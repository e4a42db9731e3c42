//! Counts the open connections of each address, and those it began within the current second. The counts are for the
//! whole process, because an attacker's connections are spread over all cores. [`Admission`](super::admission) asks
//! the ledger about each connection that is not exempt.
//!
//! The cores share the ledger without a lock. It is a hash table in segments, each four times as large as the one
//! before; segments are made when they are needed and never moved or freed. A key has one bucket of [`BUCKET`]
//! entries (two or three cache lines) in each segment. An entry is two words of 8 bytes: the fingerprint with the
//! count of open connections, and two windows of a second. Because fingerprint and count share a word, single
//! compare-and-swaps claim an entry, count it up and down, and claim it again for another address. An entry is free
//! when its count is 0 and its windows are over.
//!
//! Memory: an entry has 16 bytes, the first segment 16 KiB. 100,000 addresses at a time take 5.6 MB, 56 bytes each.
//! Memory is never freed. There are never more entries in use than counted connections, plus, where a rate is
//! limited, the connections that began within the current second.
//!
//! Races, and why they are harmless:
//! - Two cores that see the first connections of an address at once may claim two entries for it. Each connection is
//!   counted down in its own entry, so no count is lost. The second entry is not found as long as the first has the
//!   fingerprint, and becomes free when its few connections are over. Until then the address may have that many more
//!   connections.
//! - If an entry is claimed for another address just when its previous address returns, that address loses its window
//!   of this second.
//! - Two addresses with equal fingerprints (40 bits) and buckets share an entry. The hash has a random key that is
//!   made when the process starts, so nobody can search for such addresses, or for many addresses of one bucket.
//! - A second has 16 bits: a window that was last used exactly 65,536 s ago is mistaken for the current one.

use crate::ids::NameHash;
use crate::proto::client_network::ClientNetwork;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

/// The connection counts of all addresses.
pub struct Ledger {
    segments: [OnceLock<Box<[Entry]>>; SEGMENTS],
    hash: NameHash,
    started: Instant,
}

/// The entry in which a connection is counted, until [`Ledger::end`]. Its two highest bits are 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct EntryId(pub NonZeroU32);

/// The limits of one address; 0 is no limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Bounds {
    /// Connections at a time.
    pub connections: u32,
    /// Connections that begin within a second.
    pub new_per_s: u16,
    /// Handshakes of TLS that begin within a second.
    pub handshakes_per_s: u16,
}

/// The limit that an address has reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Excess {
    Connections,
    NewConnections,
    Handshakes,
}

/// The counts of one address.
#[derive(Default)]
struct Entry {
    /// Fingerprint (high 40 bits) and open connections (low 24).
    word: AtomicU64,
    /// New connections (high 32 bits) and handshakes (low 32): for each, the second in which they are counted, and
    /// the count (16 bits).
    windows: AtomicU64,
}

/// The outcome of a search for the entry of a key.
enum Found {
    /// The entry, in which the connection has been counted.
    EntryId(EntryId),
    /// The entry of the address has as many connections as allowed.
    Full,
    /// Another core changed the entry during the search.
    Changed,
    /// All buckets of the key are full.
    NoRoom,
}

impl Ledger {
    /// An empty ledger. Seconds are counted from `now`.
    pub fn new(now: Instant) -> Ledger {
        Ledger { segments: Default::default(), hash: NameHash::default(), started: now }
    }

    /// The number of the second that `now` is in, equal on all cores.
    pub(super) fn second(&self, now: Instant) -> u16 {
        now.saturating_duration_since(self.started).as_secs() as u16
    }

    /// Counts one more connection of `address`, or returns the limit that it would exceed. All clients without an
    /// address share one entry. `None` if the connection cannot be counted, because the address has 2^24 connections
    /// or all its buckets are full.
    pub(super) fn begin(
        &self,
        address: Option<IpAddr>,
        bounds: &Bounds,
        is_handshake: bool,
        second: u16,
    ) -> Result<Option<EntryId>, Excess> {
        let most =
            if bounds.connections == 0 { COUNT_MASK } else { COUNT_MASK.min(bounds.connections.into()) };
        let hash = self.hash.hash_one(ClientNetwork::of(address));
        let entry_id = loop {
            match self.count_up(hash, most, second) {
                Found::EntryId(entry_id) => break entry_id,
                Found::Full if bounds.connections == 0 => return Ok(None),
                Found::Full => return Err(Excess::Connections),
                Found::NoRoom => return Ok(None),
                Found::Changed => {}
            }
        };
        let handshakes_per_s = if is_handshake { bounds.handshakes_per_s } else { 0 };
        let entry = self.entry(entry_id);
        let is_in_window = |shift, most| most == 0 || entry.is_none_or(|it| it.take(shift, most, second));
        let excess = if !is_in_window(NEW, bounds.new_per_s) {
            Excess::NewConnections
        } else if !is_in_window(HANDSHAKES, handshakes_per_s) {
            Excess::Handshakes
        } else {
            return Ok(Some(entry_id));
        };
        self.end(entry_id);
        Err(excess)
    }

    /// Stops counting a connection that was counted in `entry_id`.
    pub(super) fn end(&self, entry_id: EntryId) {
        let counted_down = |word| (word & COUNT_MASK > 0).then(|| word - 1);
        let ended = self.entry(entry_id).map(|entry| entry.word.try_update(Relaxed, Relaxed, counted_down));
        debug_assert!(ended.is_some_and(|ended| ended.is_ok()), "a connection was counted down twice");
    }

    /// The connections of all addresses that are counted now. Reads all entries: for tests.
    pub fn connections(&self) -> u64 {
        let entries = self.segments.iter().filter_map(OnceLock::get).flatten();
        entries.map(|entry| entry.word.load(Relaxed) & COUNT_MASK).sum()
    }

    /// Looks in its buckets for the entry of `hash`, or for a free one, and counts one connection in it if it has
    /// fewer than `most`.
    fn count_up(&self, hash: u64, most: u64, second: u16) -> Found {
        let fingerprint = hash & !COUNT_MASK;
        let mut free = None;
        for index in 0..SEGMENTS {
            let segment = match self.segments.get(index) {
                Some(segment) if free.is_none() => {
                    segment.get_or_init(|| zeroed(SEGMENT << (GROWTH * index)))
                }
                Some(segment) => match segment.get() {
                    Some(segment) => segment,
                    None => break,
                },
                None => break,
            };
            let bucket = (hash as usize % (segment.len() / BUCKET)) * BUCKET;
            for (place, entry) in segment.iter().enumerate().skip(bucket).take(BUCKET) {
                let word = entry.word.load(Relaxed);
                if word & !COUNT_MASK == fingerprint {
                    return entry
                        .count_up(fingerprint, most)
                        .map_or_else(|other| other, |()| found(index, place));
                }
                if free.is_none() && entry.is_free(word, second) {
                    free = Some((index, place, entry, word));
                }
            }
        }
        let Some((index, place, entry, word)) = free else { return Found::NoRoom };
        match entry.word.compare_exchange(word, fingerprint | 1, Relaxed, Relaxed) {
            Ok(_) => found(index, place),
            Err(_) => Found::Changed,
        }
    }

    fn entry(&self, entry_id: EntryId) -> Option<&Entry> {
        let place = entry_id.0.get() - 1;
        self.segments.get((place >> PLACE_BITS) as usize)?.get()?.get((place & PLACE_MASK) as usize)
    }
}

fn found(segment: usize, place: usize) -> Found {
    let entry_id = ((segment as u32) << PLACE_BITS) + place as u32 + 1;
    NonZeroU32::new(entry_id).map_or(Found::NoRoom, |entry_id| Found::EntryId(EntryId(entry_id)))
}

impl Entry {
    /// Counts one connection, unless the entry now belongs to another address, or has `most` connections.
    fn count_up(&self, fingerprint: u64, most: u64) -> Result<(), Found> {
        let counted = self.word.try_update(Relaxed, Relaxed, |word| {
            (word & !COUNT_MASK == fingerprint && word & COUNT_MASK < most).then_some(word + 1)
        });
        match counted {
            Ok(_) => Ok(()),
            Err(word) if word & !COUNT_MASK == fingerprint => Err(Found::Full),
            Err(_) => Err(Found::Changed),
        }
    }

    /// Whether the entry can be claimed for another address: no connection is open, and none began within this
    /// second.
    fn is_free(&self, word: u64, second: u16) -> bool {
        if word & COUNT_MASK > 0 {
            return false;
        }
        let windows = self.windows.load(Relaxed);
        [NEW, HANDSHAKES].iter().all(|shift| counted((windows >> shift) as u32, second) == 0)
    }

    /// Counts one more in the window at `shift`, unless the window has `most`.
    fn take(&self, shift: u32, most: u16, second: u16) -> bool {
        let taken = self.windows.try_update(Relaxed, Relaxed, |windows| {
            let window = (windows >> shift) as u32;
            let count = counted(window, second);
            // A core whose clock is behind continues the window of the other cores.
            let began = if count > 0 { window >> 16 } else { second.into() };
            let others = windows & !(WINDOW_MASK << shift);
            (count < most).then_some(others | u64::from(began << 16 | u32::from(count + 1)) << shift)
        });
        taken.is_ok()
    }
}

/// The count of a window within `second`. The clock of another core may have reached the next second already.
fn counted(window: u32, second: u16) -> u16 {
    let is_current = ((window >> 16) as u16).wrapping_sub(second) <= 1;
    if is_current { window as u16 } else { 0 }
}

/// This many free entries. Pages that are never touched take no memory.
fn zeroed(entries: usize) -> Box<[Entry]> {
    let zeroed = Box::<[Entry]>::new_zeroed_slice(entries);
    // SAFETY: an entry is two atomic numbers, and all bits 0 are a value of these.
    unsafe { zeroed.assume_init() }
}

/// Entries of a bucket, which are 128 bytes.
const BUCKET: usize = 8;
/// Entries of the first segment; each of the others has 2^[`GROWTH`] times as many as the one before.
const SEGMENT: usize = 1024;
const GROWTH: usize = 2;
/// 89 million entries in all, 1.4 GB: more than any machine has direct descriptors.
const SEGMENTS: usize = 9;
/// Bits of a place within a segment.
const PLACE_BITS: u32 = 26;
const PLACE_MASK: u32 = (1 << PLACE_BITS) - 1;
const COUNT_MASK: u64 = (1 << 24) - 1;
/// The positions of the windows in their word.
const NEW: u32 = 32;
const HANDSHAKES: u32 = 0;
const WINDOW_MASK: u64 = 0xffff_ffff;

#[cfg(test)]
mod tests;

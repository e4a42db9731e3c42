//! Hash tables whose keys outsiders may choose: channels, URLs, addresses, names of connections. They are hashed with
//! a random key that is made when the process starts, so that an outsider can neither find names that collide nor
//! names that all have one core as their home. Tables whose keys are this server's own numbers need no such key.

use ahash::RandomState;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, Hasher};
use std::sync::OnceLock;

/// A hash map whose keys are names that outsiders may choose.
pub type NameMap<K, V> = HashMap<K, V, NameHash>;
/// A set of names that outsiders may choose.
pub type NameSet<K> = HashSet<K, NameHash>;

/// Hashes names with the random key of this process.
#[derive(Clone)]
pub struct NameHash(RandomState);

/// The random keys of this process: one for tables, one for [`spread`]. With one key for both, all names whose home
/// is one core would share the low bits of their hashes in that core's tables.
struct Keys {
    tables: RandomState,
    spread: RandomState,
}

static KEYS: OnceLock<Keys> = OnceLock::new();

impl Default for NameHash {
    fn default() -> NameHash {
        NameHash(keys().tables.clone())
    }
}

impl BuildHasher for NameHash {
    type Hasher = ahash::AHasher;

    fn build_hasher(&self) -> ahash::AHasher {
        self.0.build_hasher()
    }
}

/// The hash of an application's address. Requests and bytes of one application are counted under it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ApplicationId(pub u64);

impl ApplicationId {
    /// The application at `port` of `host`.
    pub fn of(host: &str, port: u16) -> ApplicationId {
        ApplicationId(NameHash::default().hash_one((host, port)))
    }
}

/// Maps `name` to a number below `places`. The result is equal everywhere in this process, and 0 if there are no
/// places.
pub fn spread(name: &[u8], places: usize) -> usize {
    let mut hasher = keys().spread.build_hasher();
    hasher.write(name);
    (hasher.finish() % places.max(1) as u64) as usize
}

static ID_KEY: OnceLock<[u64; 2]> = OnceLock::new();

/// The key by which ids of published items are hashed. It is random, and a process that takes over from another one
/// has the other's key.
pub fn id_key() -> [u64; 2] {
    *ID_KEY.get_or_init(|| [random(), random()])
}

/// Has [`id_key`] return `key` from now on. Returns whether that was possible: nothing was hashed before.
pub fn adopt_id_key(key: [u64; 2]) -> bool {
    *ID_KEY.get_or_init(|| key) == key
}

fn keys() -> &'static Keys {
    KEYS.get_or_init(|| {
        let key = || RandomState::with_seeds(random(), random(), random(), random());
        Keys { tables: key(), spread: key() }
    })
}

/// A random number for a key. The standard library takes it from the system's source of randomness. In simulations
/// everything follows from a seed, so every process gets equal numbers there.
fn random() -> u64 {
    #[cfg(feature = "simulation")]
    {
        static COUNT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
        COUNT.fetch_add(0x9e37_79b9_7f4a_7c15, std::sync::atomic::Ordering::Relaxed)
    }
    #[cfg(not(feature = "simulation"))]
    std::hash::RandomState::new().hash_one(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_spread_evenly_and_always_alike() {
        let mut counts = [0; 8];
        for number in 0..8_000 {
            let name = format!("room-{number}");
            let place = spread(name.as_bytes(), 8);
            assert_eq!(place, spread(name.as_bytes(), 8));
            counts[place] += 1;
        }
        assert!(counts.iter().all(|count| (800..1200).contains(count)), "{counts:?}");
        assert_eq!(spread(b"any", 0), 0);
    }

    #[test]
    fn names_of_one_place_differ_in_the_low_bits_that_choose_buckets() {
        let (hash, mut buckets) = (NameHash::default(), HashSet::new());
        let names = (0..8_000).map(|number| format!("room-{number}"));
        for name in names.filter(|name| spread(name.as_bytes(), 8) == 3) {
            buckets.insert(hash.hash_one(name.as_str()) % 64);
        }
        assert_eq!(buckets.len(), 64);
    }

    #[test]
    fn names_made_to_collide_in_a_hash_without_a_key_do_not_collide() {
        // FxHash of two words: for any first word, a second word exists that cancels it.
        use rustc_hash::FxHasher;
        let fx = |name: &[u64; 2]| {
            let mut hasher = FxHasher::default();
            name.iter().for_each(|word| hasher.write_u64(*word));
            hasher.finish()
        };
        const FACTOR: u64 = 0xf135_7aea_2e62_a9c5;
        let crafted = (1..500u64).map(|first| [first, 0u64.wrapping_sub(first.wrapping_mul(FACTOR))]);
        let (names, hash) = (crafted.collect::<Vec<_>>(), NameHash::default());
        let distinct = |hashes: &mut dyn Iterator<Item = u64>| hashes.collect::<HashSet<_>>().len();
        assert_eq!(distinct(&mut names.iter().map(fx)), 1, "they collide without a key");
        assert_eq!(distinct(&mut names.iter().map(|name| hash.hash_one(name))), names.len());
    }
}

//! Sums of bytes by a key that several owners share: an address, or an application. A key is in the table as long as an owner
//! has a share in its sum.

use crate::ids::NameMap;
use crate::slack::Look;
use std::cell::{Cell, RefCell};
use std::hash::Hash;
use std::rc::Rc;

/// The sums of all keys in use.
pub(super) struct Sums<K>(RefCell<NameMap<K, Rc<Cell<usize>>>>);

/// One owner's share in the sum of a key.
pub(super) struct Share<K> {
    key: K,
    sum: Rc<Cell<usize>>,
}

impl<K> Default for Sums<K> {
    fn default() -> Sums<K> {
        Sums(RefCell::default())
    }
}

impl<K: Copy + Eq + Hash> Sums<K> {
    /// Returns a new share of 0 bytes in the sum of `key`.
    pub fn join(&self, key: K) -> Share<K> {
        Share { key, sum: self.0.borrow_mut().entry(key).or_default().clone() }
    }

    /// Moves `share`, which has `bytes`, to the sum of `key`.
    pub fn change_key(&self, share: &mut Option<Share<K>>, key: Option<K>, bytes: usize) {
        if share.as_ref().map(|share| share.key) == key {
            return;
        }
        let joined = key.map(|key| self.join(key));
        if let Some(joined) = &joined {
            joined.change(0, bytes);
        }
        if let Some(left) = std::mem::replace(share, joined) {
            left.change(bytes, 0);
            self.leave(&left);
        }
    }

    fn leave(&self, share: &Share<K>) {
        // Two references, the table's and this share's: no other owner has a share.
        if Rc::strong_count(&share.sum) == 2 {
            debug_assert_eq!(share.sum.get(), 0, "nobody else has a share in it");
            self.0.borrow_mut().remove(&share.key);
        }
    }

    /// The key with the largest sum.
    pub fn heaviest(&self) -> Option<(K, usize)> {
        let sums = self.0.borrow();
        sums.iter().map(|(key, sum)| (*key, sum.get())).max_by_key(|(_, bytes)| *bytes)
    }

    /// Shows the table to `look`, which shrinks tables that have been nearly empty for a while.
    pub fn look_at_tables(&self, look: &mut Look<'_>) {
        look.at(&mut *self.0.borrow_mut());
    }

    /// All sums.
    #[cfg(test)]
    pub fn all(&self) -> Vec<(K, usize)> {
        self.0.borrow().iter().map(|(key, sum)| (*key, sum.get())).collect()
    }
}

impl<K> Share<K> {
    /// Counts that this share has `after` bytes instead of `before`.
    pub fn change(&self, before: usize, after: usize) {
        self.sum.set(self.sum.get() - before + after);
    }
}

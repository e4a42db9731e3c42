//! How far clients have come with what they were sent, where that is behind, and how much the kernel has of clients
//! that are not read. What the kernel was given since the last look is known, so what it still has says what the client
//! has taken. `measuring` asks it.

use crate::ids::Slot;
use crate::slack::Look;
use rustc_hash::FxHashMap;

/// What the kernel is taken to have of a client that is not read, before it was asked: about the first window.
pub(super) const UNREAD_BYTES: usize = 64 * 1024;

/// What a client that is behind has taken since the last look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Taken {
    /// This is the first look since it got a backlog.
    Unknown,
    /// So many bytes.
    Bytes(u64),
    /// At least so many bytes: the kernel cannot tell (before Linux 6.7, and Unix sockets).
    AtLeast(u64),
}

/// What is known of all clients that are behind.
#[derive(Default)]
pub(super) struct Progress {
    clients: FxHashMap<Slot, Behind>,
    /// What the kernel had for all of them at the last look at each.
    unacknowledged: usize,
    /// What the kernel had of clients that are not read, beyond [`UNREAD_BYTES`], at the last look at each.
    unread: FxHashMap<Slot, usize>,
    /// All of it.
    unread_bytes: usize,
    /// Those to be looked at yet.
    waiting: Vec<Slot>,
}

/// A client since the first look at it.
struct Behind {
    /// Bytes that were given to the kernel.
    given: u64,
    /// As many less what the kernel still had, at the last look.
    taken: i64,
    /// What the kernel had then.
    unacknowledged: usize,
}

impl Progress {
    /// The kernel took `bytes` of the backlog of `slot`.
    pub fn gave(&mut self, slot: Slot, bytes: usize) {
        if let Some(behind) = self.clients.get_mut(&slot) {
            behind.given += bytes as u64;
        }
    }

    /// `slot` is not behind any more.
    pub fn forget(&mut self, slot: Slot) {
        if !self.clients.is_empty() {
            let behind = self.clients.remove(&slot);
            self.unacknowledged -= behind.map_or(0, |behind| behind.unacknowledged);
        }
    }

    /// Bytes that the kernel had for clients that are behind, when it was last asked.
    pub fn in_kernel(&self) -> usize {
        self.unacknowledged
    }

    /// The part of that for the client of `slot`.
    pub fn in_kernel_for(&self, slot: Slot) -> usize {
        self.clients.get(&slot).map_or(0, |behind| behind.unacknowledged)
    }

    /// `slot` is read again, or over.
    pub fn is_read(&mut self, slot: Slot) {
        if !self.unread.is_empty() {
            self.unread_bytes -= self.unread.remove(&slot).unwrap_or_default();
        }
    }

    /// Bytes beyond [`UNREAD_BYTES`] that the kernel has of clients that are not read.
    pub fn unread(&self) -> usize {
        self.unread_bytes
    }

    /// The part of that of the client of `slot`.
    pub fn unread_of(&self, slot: Slot) -> usize {
        self.unread.get(&slot).copied().unwrap_or_default()
    }

    /// The clients that are behind and have been looked at.
    pub fn clients(&self) -> impl Iterator<Item = Slot> {
        self.clients.keys().copied()
    }

    /// Whether `slot` is one of these.
    pub fn has(&self, slot: Slot) -> bool {
        self.clients.contains_key(&slot)
    }

    /// Has a look at its tables.
    pub fn look_at_tables(&mut self, look: &mut Look<'_>) {
        look.at(&mut self.clients);
        look.at(&mut self.unread);
        look.at(&mut self.waiting);
    }

    /// Whether some are to be looked at yet.
    pub fn is_going_on(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// These are to be looked at.
    pub fn begin(&mut self, slots: impl Iterator<Item = Slot>) {
        self.waiting.extend(slots);
    }

    /// The next one to be looked at.
    pub fn next_waiting(&mut self) -> Option<Slot> {
        self.waiting.pop()
    }

    /// The kernel has `bytes` of the client of `slot`, which is not read.
    pub fn measure_unread(&mut self, slot: Slot, bytes: usize) {
        let bytes = bytes.saturating_sub(UNREAD_BYTES);
        self.unread_bytes += bytes;
        self.unread_bytes -= self.unread.insert(slot, bytes).unwrap_or_default();
    }

    /// What the client of `slot` has taken, of which the kernel still has `unacknowledged` bytes, if it can tell.
    pub fn measure(&mut self, slot: Slot, unacknowledged: Option<u64>) -> Taken {
        let before = self.in_kernel_for(slot);
        // Where the kernel cannot tell now, nothing of what it had is known to be taken.
        let in_kernel = unacknowledged.map_or(before, |bytes| bytes as usize);
        let kept = in_kernel as i64;
        self.unacknowledged += in_kernel;
        let Some(behind) = self.clients.get_mut(&slot) else {
            self.clients.insert(slot, Behind { given: 0, taken: -kept, unacknowledged: in_kernel });
            return Taken::Unknown;
        };
        self.unacknowledged -= std::mem::replace(&mut behind.unacknowledged, in_kernel);
        let taken = behind.given as i64 - kept;
        let fresh = taken.saturating_sub(behind.taken).max(0) as u64;
        behind.taken = taken;
        match unacknowledged {
            Some(_) => Taken::Bytes(fresh),
            None => Taken::AtLeast(fresh),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_and_is_not_kept_was_taken() {
        let (slot, mut progress) = (Slot(1), Progress::default());
        assert_eq!(progress.measure(slot, Some(1_000)), Taken::Unknown);
        assert_eq!(progress.measure(slot, Some(1_000)), Taken::Bytes(0));
        assert_eq!(progress.measure(slot, Some(400)), Taken::Bytes(600));
        progress.gave(slot, 5_000);
        assert_eq!(progress.measure(slot, Some(5_399)), Taken::Bytes(1));
        assert_eq!(progress.measure(slot, Some(0)), Taken::Bytes(5_399));
        progress.forget(slot);
        progress.gave(slot, 5_000);
        assert_eq!(progress.measure(slot, Some(0)), Taken::Unknown);
    }

    #[test]
    fn without_the_kernels_word_a_client_has_taken_what_the_kernel_took() {
        let (slot, mut progress) = (Slot(1), Progress::default());
        assert_eq!(progress.measure(slot, None), Taken::Unknown);
        progress.gave(slot, 70_000);
        assert_eq!(progress.measure(slot, None), Taken::AtLeast(70_000));
        assert_eq!(progress.measure(slot, None), Taken::AtLeast(0));
    }
}

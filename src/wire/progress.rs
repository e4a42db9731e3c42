//! How many bytes clients with a backlog have taken, and how many bytes the kernel holds from clients that are
//! paused. The bytes given to the kernel since the last measurement are known; less the bytes that the kernel still
//! has, they are the bytes that the client has taken. `measuring` asks the kernel.

use crate::ids::Slot;
use crate::slack::Look;
use rustc_hash::FxHashMap;

/// The bytes that the kernel is assumed to hold from a paused client before it was asked: about the first TCP window.
pub(super) const UNREAD_BYTES: usize = 64 * 1024;

/// The bytes that a client with a backlog has taken since the last measurement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Taken {
    /// This is the first measurement since the backlog began.
    Unknown,
    /// This many bytes.
    Bytes(u64),
    /// At least this many bytes: the kernel cannot tell exactly (before Linux 6.7, and on Unix sockets).
    AtLeast(u64),
}

/// The measurements of all clients with a backlog, and of all paused clients.
#[derive(Default)]
pub(super) struct Progress {
    clients: FxHashMap<Slot, Behind>,
    /// Bytes that the kernel had for all clients with a backlog, by the last measurement of each.
    unacknowledged: usize,
    /// For each paused client, bytes that the kernel held from it beyond [`UNREAD_BYTES`], at the last measurement.
    unread: FxHashMap<Slot, usize>,
    /// The sum of `unread`.
    unread_bytes: usize,
    /// Clients that are still to be measured.
    waiting: Vec<Slot>,
    /// Questions that the kernel has not answered yet.
    pub asked: usize,
}

/// A client with a backlog, since its first measurement.
struct Behind {
    /// Bytes that were given to the kernel.
    given: u64,
    /// `given` less `unacknowledged`, at the last measurement.
    taken: i64,
    /// Bytes that the kernel had for the client at the last measurement.
    unacknowledged: usize,
}

impl Progress {
    /// Records that the kernel took `bytes` of the backlog of `slot`.
    pub fn gave(&mut self, slot: Slot, bytes: usize) {
        if let Some(behind) = self.clients.get_mut(&slot) {
            behind.given += bytes as u64;
        }
    }

    /// Forgets `slot`, which has no backlog any more.
    pub fn forget(&mut self, slot: Slot) {
        if !self.clients.is_empty() {
            let behind = self.clients.remove(&slot);
            self.unacknowledged -= behind.map_or(0, |behind| behind.unacknowledged);
        }
    }

    /// Bytes that the kernel had for clients with a backlog, by the last measurements.
    pub fn in_kernel(&self) -> usize {
        self.unacknowledged
    }

    /// Bytes that the kernel had for the client of `slot`, by the last measurement.
    pub fn in_kernel_for(&self, slot: Slot) -> usize {
        self.clients.get(&slot).map_or(0, |behind| behind.unacknowledged)
    }

    /// Forgets the unread bytes of `slot`, which is not paused any more.
    pub fn is_read(&mut self, slot: Slot) {
        if !self.unread.is_empty() {
            self.unread_bytes -= self.unread.remove(&slot).unwrap_or_default();
        }
    }

    /// Bytes beyond [`UNREAD_BYTES`] that the kernel holds from all paused clients.
    pub fn unread(&self) -> usize {
        self.unread_bytes
    }

    /// Bytes beyond [`UNREAD_BYTES`] that the kernel holds from the client of `slot`.
    pub fn unread_of(&self, slot: Slot) -> usize {
        self.unread.get(&slot).copied().unwrap_or_default()
    }

    /// The clients with a backlog that have been measured.
    pub fn clients(&self) -> impl Iterator<Item = Slot> {
        self.clients.keys().copied()
    }

    /// Whether `slot` has a backlog and has been measured.
    pub fn has(&self, slot: Slot) -> bool {
        self.clients.contains_key(&slot)
    }

    /// Lets `look` shrink its tables.
    pub fn look_at_tables(&mut self, look: &mut Look<'_>) {
        look.at(&mut self.clients);
        look.at(&mut self.unread);
        look.at(&mut self.waiting);
    }

    /// Whether clients are still to be measured.
    pub fn is_going_on(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Adds `slots` to the clients that are to be measured.
    pub fn begin(&mut self, slots: impl Iterator<Item = Slot>) {
        self.waiting.extend(slots);
    }

    /// The next client to be measured.
    pub fn next_waiting(&mut self) -> Option<Slot> {
        self.waiting.pop()
    }

    /// Records that the kernel holds `bytes` from the paused client of `slot`.
    pub fn measure_unread(&mut self, slot: Slot, bytes: usize) {
        let bytes = bytes.saturating_sub(UNREAD_BYTES);
        self.unread_bytes += bytes;
        self.unread_bytes -= self.unread.insert(slot, bytes).unwrap_or_default();
    }

    /// Returns the bytes that the client of `slot` has taken, if the kernel still has `unacknowledged` bytes for it.
    /// `None` means that the kernel cannot tell.
    pub fn measure(&mut self, slot: Slot, unacknowledged: Option<u64>) -> Taken {
        let before = self.in_kernel_for(slot);
        // If the kernel cannot tell now, none of the bytes it had before are known to be taken.
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

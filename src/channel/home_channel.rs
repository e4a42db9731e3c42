//! One channel at its home: its interested cores, and its order. The home keeps it while any core is interested.

use super::message::ToCore;
use super::sequence::Sequence;
use crate::ids::CoreId;
use crate::proto::grip::Publication;
use smallvec::SmallVec;
use std::sync::Arc;

#[derive(Default)]
pub(super) struct HomeChannel {
    /// The interested cores, each once, with the epoch of its request.
    pub(super) interested: SmallVec<[(CoreId, u32); 4]>,
    pub sequence: Sequence,
}

impl HomeChannel {
    /// Adds the interest of `core`, by a request with this epoch.
    pub fn admit(&mut self, core: CoreId, epoch: u32) {
        match self.interested.iter_mut().find(|(known, _)| *known == core) {
            Some((_, known_epoch)) => *known_epoch = epoch,
            None => self.interested.push((core, epoch)),
        }
    }

    /// Ends the interest of `core` from the request with this epoch. A later request has another epoch, and stays.
    pub fn dismiss(&mut self, core: CoreId, epoch: u32) {
        self.interested.retain(|entry| *entry != (core, epoch));
    }

    /// Whether any core is interested.
    pub fn has_interest(&self) -> bool {
        !self.interested.is_empty()
    }

    /// The interested cores.
    pub fn cores(&self) -> impl Iterator<Item = CoreId> {
        self.interested.iter().map(|(core, _)| *core)
    }

    /// Sends `publication`, and the items that waited for it, to the interested cores. Returns the bytes of the items
    /// that had waited.
    pub fn deliver(&mut self, publication: Arc<Publication>, out: &mut impl FnMut(CoreId, ToCore)) -> usize {
        let (mut turn, mut waited_bytes) = (Some(publication), 0);
        while let Some(publication) = turn {
            self.sequence.release(&publication);
            place(&publication, Some(self.interested.len() as u16), out);
            self.cores().for_each(|core| out(core, ToCore::Deliver(publication.clone())));
            turn = self.sequence.next();
            waited_bytes += turn.as_ref().map_or(0, |next| next.weight());
        }
        waited_bytes
    }

    /// Sends the item that has waited longest, if `may_go` accepts its number, and the items that waited for it.
    /// Returns the bytes of the items that had waited.
    pub fn deliver_oldest_if(
        &mut self,
        may_go: impl FnOnce(u64) -> bool,
        out: &mut impl FnMut(CoreId, ToCore),
    ) -> Option<usize> {
        let oldest = self.sequence.oldest_if(may_go)?;
        let weight = oldest.weight();
        Some(weight + self.deliver(oldest, out))
    }

    /// Sends all waiting items, as if their time were up. Returns their bytes.
    pub fn deliver_all(&mut self, out: &mut impl FnMut(CoreId, ToCore)) -> usize {
        let mut waited_bytes = 0;
        while let Some(bytes) = self.deliver_oldest_if(|_| true, out) {
            waited_bytes += bytes;
        }
        waited_bytes
    }

    /// Forgets the last id, and sends all waiting items, because they have no known predecessor to wait for. Returns
    /// their bytes.
    pub fn forget(&mut self, out: &mut impl FnMut(CoreId, ToCore)) -> usize {
        let waited_bytes = self.deliver_all(out);
        self.sequence.forget();
        waited_bytes
    }
}

/// Tells the publisher's core, if it asked for a receipt, that `publication` goes to `cores` cores.
pub(super) fn place(publication: &Publication, cores: Option<u16>, out: &mut impl FnMut(CoreId, ToCore)) {
    if let Some(receipt) = publication.receipt {
        out(receipt.core, ToCore::Placed { receipt, cores });
    }
}

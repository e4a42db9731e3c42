//! One channel at its home: the cores that are interested in it, and its order. The home keeps it while there is interest.

use super::message::ToCore;
use super::sequence::Sequence;
use crate::ids::CoreId;
use crate::proto::grip::Publication;
use smallvec::SmallVec;
use std::sync::Arc;

#[derive(Default)]
pub(super) struct HomeChannel {
    /// Interested cores, each with the epoch of its request; no core twice.
    interested: SmallVec<[(CoreId, u32); 4]>,
    pub sequence: Sequence,
}

impl HomeChannel {
    /// `core` is interested, by a request of this epoch.
    pub fn admit(&mut self, core: CoreId, epoch: u32) {
        match self.interested.iter_mut().find(|(known, _)| *known == core) {
            Some((_, known_epoch)) => *known_epoch = epoch,
            None => self.interested.push((core, epoch)),
        }
    }

    /// The request of `core` with this epoch is over. One that was made since then has its own epoch, and stands.
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

    /// Sends `publication` to the interested cores, and everything that waited for it; the bytes of the latter.
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

    /// Delivers the publication that has waited for longest, if `may_go` says so of its number, and everything that waited
    /// for it; the bytes of all that has waited.
    pub fn deliver_oldest_if(
        &mut self,
        may_go: impl FnOnce(u64) -> bool,
        out: &mut impl FnMut(CoreId, ToCore),
    ) -> Option<usize> {
        let oldest = self.sequence.oldest_if(may_go)?;
        let weight = oldest.weight();
        Some(weight + self.deliver(oldest, out))
    }

    /// Delivers everything that waits, as if its time were up; its bytes.
    pub fn deliver_all(&mut self, out: &mut impl FnMut(CoreId, ToCore)) -> usize {
        let mut waited_bytes = 0;
        while let Some(bytes) = self.deliver_oldest_if(|_| true, out) {
            waited_bytes += bytes;
        }
        waited_bytes
    }

    /// Forgets the last id. What waits has nothing to wait for any more and is delivered; its bytes.
    pub fn forget(&mut self, out: &mut impl FnMut(CoreId, ToCore)) -> usize {
        let waited_bytes = self.deliver_all(out);
        self.sequence.forget();
        waited_bytes
    }
}

/// Tells who wants to know that `publication` goes to `cores` cores.
pub(super) fn place(publication: &Publication, cores: Option<u16>, out: &mut impl FnMut(CoreId, ToCore)) {
    if let Some(receipt) = publication.receipt {
        out(receipt.core, ToCore::Placed { receipt, cores });
    }
}

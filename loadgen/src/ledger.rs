//! Records which messages of its channel a subscriber has received: the next expected number and, only while there are
//! gaps, the missing numbers. So late, repeated and lost messages can be distinguished.

/// One subscriber's record of its channel.
#[derive(Default)]
pub(crate) struct Ledger {
    /// One more than the largest number that was received.
    next: u32,
    /// Disjoint ranges of missing numbers below `next`, in order.
    missing: Option<Box<Gaps>>,
    /// Number of messages that were published when the ledger was last settled.
    settled: u32,
}

/// Ranges of missing numbers. They are boxed, so that a subscriber without gaps needs one word for them.
#[derive(Default)]
struct Gaps {
    ranges: Vec<(u32, u32)>,
}

/// The kind of a received message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Received in order.
    New,
    /// Received for the first time, but after a message that was published later.
    OutOfOrder,
    /// Received again.
    Duplicate,
}

impl Ledger {
    /// Records a received message.
    pub fn enter(&mut self, sequence: u32) -> Standing {
        if sequence >= self.next {
            if sequence > self.next {
                self.missing.get_or_insert_default().ranges.push((self.next, sequence));
            }
            self.next = sequence.saturating_add(1);
            return Standing::New;
        }
        if self.fill(sequence) { Standing::OutOfOrder } else { Standing::Duplicate }
    }

    /// Removes `sequence` from the gaps. Returns whether it was missing.
    fn fill(&mut self, sequence: u32) -> bool {
        let Some(gaps) = &mut self.missing else { return false };
        let missing = &mut gaps.ranges;
        let index = missing.partition_point(|&(_, end)| end <= sequence);
        let Some(&(start, end)) = missing.get(index) else { return false };
        if sequence < start {
            return false;
        }
        missing.splice(
            index..=index,
            [(start, sequence), (sequence + 1, end)].into_iter().filter(|(a, b)| a < b),
        );
        if missing.is_empty() {
            self.missing = None;
        }
        true
    }

    /// How many of `published` messages were published since the ledger was last settled.
    pub fn unsettled(&self, published: u32) -> u32 {
        published.saturating_sub(self.settled)
    }

    /// Settles the ledger of a channel to which `published` messages were sent. Returns the number of lost messages.
    pub fn settle(&mut self, published: u32) -> u64 {
        self.settled = self.settled.max(published);
        let gaps = self.missing.take().unwrap_or_default();
        let lost = gaps.ranges.iter().map(|&(start, end)| u64::from(end - start)).sum::<u64>();
        let behind = published.saturating_sub(self.next);
        self.next = self.next.max(published);
        lost + u64::from(behind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_kind_of_trouble_is_told_apart() {
        let mut ledger = Ledger::default();
        let standings = [0, 3, 1, 3, 1, 4].map(|sequence| ledger.enter(sequence));
        use Standing::*;
        assert_eq!(standings, [New, New, OutOfOrder, Duplicate, Duplicate, New]);
        assert_eq!(ledger.settle(7), 3);
        assert_eq!((ledger.settle(7), ledger.enter(2)), (0, Duplicate));
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_set(arrivals in prop::collection::vec(0u32..40, 0..80)) {
            let (mut ledger, mut had) = (Ledger::default(), BTreeSet::new());
            for sequence in arrivals {
                let largest = had.last().copied();
                let expected = match (had.insert(sequence), largest) {
                    (false, _) => Standing::Duplicate,
                    (true, Some(largest)) if largest > sequence => Standing::OutOfOrder,
                    (true, _) => Standing::New,
                };
                prop_assert_eq!(ledger.enter(sequence), expected);
            }
            prop_assert_eq!(ledger.settle(40), 40 - had.len() as u64);
        }
    }
}

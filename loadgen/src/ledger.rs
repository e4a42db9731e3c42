//! Which messages of its channel a subscriber has had. It keeps the next number it expects and, only while there are
//! gaps, the numbers missing; so it tells apart what is late, what comes twice and what never came.

/// One subscriber's account of its channel.
#[derive(Default)]
pub(crate) struct Ledger {
    /// One more than the largest number that came.
    next: u32,
    /// Disjoint ranges below `next` that have not come, in order.
    missing: Option<Box<Gaps>>,
    /// What was published when the account was last settled.
    settled: u32,
}

/// In a box, so that who misses nothing pays one word for it.
#[derive(Default)]
struct Gaps {
    ranges: Vec<(u32, u32)>,
}

/// What a message is to the subscriber that received it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// After everything that came before it.
    New,
    /// For the first time, but after a message that was published later.
    OutOfOrder,
    /// Not for the first time.
    Duplicate,
}

impl Ledger {
    /// Enters a message that came.
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

    /// Takes `sequence` out of the gaps; whether it was in one.
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

    /// How many of `published` messages were published since the account was last settled.
    pub fn unsettled(&self, published: u32) -> u32 {
        published.saturating_sub(self.settled)
    }

    /// Closes the account of a channel to which `published` messages went; how many of them never came.
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

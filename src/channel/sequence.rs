//! The order of one channel, as its publisher means it: an item that names its predecessor (`prev-id`) waits until
//! that one has come. The home asks this value about every item; it has no clock, so who gives up on a predecessor is
//! the home too. Nothing is ever dropped here, and what waits is released in the order it came in, as far as ids allow.

use super::message::{LastId, last_id_after};
use crate::proto::grip::Publication;
use std::collections::VecDeque;
use std::sync::Arc;

/// The last id of a channel, and what waits for another.
#[derive(Default)]
pub(super) struct Sequence {
    last_id: LastId,
    /// In the order they came in, each with the number it waits under. None of them follows `last_id`.
    waiting: VecDeque<(u64, Arc<Publication>)>,
}

impl Sequence {
    /// The id of what was released last, if it had one.
    pub fn last_id(&self) -> &LastId {
        &self.last_id
    }

    /// Whether it is this item's turn: it is outside the sequence, or its predecessor is the last one, or nobody can
    /// know that it is not.
    pub fn is_turn_of(&self, publication: &Publication) -> bool {
        publication.no_seq || follows(&self.last_id, publication)
    }

    /// Lets an item wait under `number`; it is not its turn.
    pub fn wait(&mut self, number: u64, publication: Arc<Publication>) {
        debug_assert!(!self.is_turn_of(&publication));
        self.waiting.push_back((number, publication));
    }

    /// This item is delivered, whoever's turn it is.
    pub fn release(&mut self, publication: &Publication) {
        last_id_after(&mut self.last_id, publication);
    }

    /// Takes out the first item whose turn it is now.
    pub fn next(&mut self) -> Option<Arc<Publication>> {
        let place = self.waiting.iter().position(|(_, publication)| self.is_turn_of(publication))?;
        self.waiting.remove(place).map(|(_, publication)| publication)
    }

    /// Takes out the item that has waited longest, if `may_go` says so of its number.
    pub fn oldest_if(&mut self, may_go: impl FnOnce(u64) -> bool) -> Option<Arc<Publication>> {
        self.waiting.pop_front_if(|(number, _)| may_go(*number)).map(|(_, publication)| publication)
    }

    /// Nothing is known of what came before.
    pub fn forget(&mut self) {
        self.last_id = None;
    }

    /// Whether the item with this number still waits.
    pub fn has(&self, number: u64) -> bool {
        self.waiting.iter().any(|(other, _)| *other == number)
    }

    /// How many items wait, and their bytes.
    pub fn waiting(&self) -> (usize, usize) {
        (self.waiting.len(), self.waiting.iter().map(|(_, publication)| publication.weight()).sum())
    }
}

/// Whether `publication` may come after what has `last_id`, for all that is known.
pub(super) fn follows(last_id: &LastId, publication: &Publication) -> bool {
    match (last_id, &publication.prev_id) {
        (Some(last_id), Some(prev_id)) => last_id == prev_id,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(id: &str, prev_id: &str) -> Arc<Publication> {
        let mut publication = Publication::new("c");
        publication.id = (!id.is_empty()).then(|| id.into());
        publication.prev_id = (!prev_id.is_empty()).then(|| prev_id.into());
        Arc::new(publication)
    }

    /// The ids in the order they are released in, when nobody's patience ends.
    fn released(items: &[(&str, &str)]) -> String {
        let (mut sequence, mut order) = (Sequence::default(), String::new());
        for (number, (id, prev_id)) in items.iter().enumerate() {
            let item = item(id, prev_id);
            if !sequence.is_turn_of(&item) {
                sequence.wait(number as u64, item);
                continue;
            }
            let mut turn = Some(item);
            while let Some(item) = turn {
                sequence.release(&item);
                order.push_str(item.id.as_deref().unwrap_or("-"));
                turn = sequence.next();
            }
        }
        order
    }

    #[test]
    fn an_item_waits_for_the_one_it_names() {
        assert_eq!(released(&[("1", ""), ("3", "2"), ("2", "1"), ("4", "3")]), "1234");
        assert_eq!(released(&[("1", ""), ("4", "3"), ("3", "2"), ("2", "1")]), "1234");
    }

    #[test]
    fn what_cannot_be_known_is_not_waited_for() {
        assert_eq!(released(&[("7", "6"), ("8", "7")]), "78", "the first of all");
        assert_eq!(released(&[("1", ""), ("5", ""), ("6", "5")]), "156", "one that names nobody");
        assert_eq!(
            released(&[("1", ""), ("3", "2"), ("", ""), ("9", "8")]),
            "1-3",
            "after one without an id"
        );
    }

    #[test]
    fn the_oldest_goes_when_its_number_may() {
        let mut sequence = Sequence::default();
        sequence.release(&item("1", ""));
        sequence.wait(7, item("3", "2"));
        sequence.wait(8, item("4", "3"));
        assert!(sequence.has(8) && sequence.oldest_if(|number| number == 8).is_none());
        let oldest = sequence.oldest_if(|number| number == 7).map(|item| item.id.clone());
        assert_eq!(oldest.flatten().as_deref(), Some("3"));
        assert_eq!((sequence.waiting().0, sequence.has(7)), (1, false));
    }
}

//! The order of one channel, as its publisher intends it: an item that names its predecessor (`prev-id`) waits until
//! the predecessor has arrived. The home asks this value about every item. This value has no clock, so the home
//! decides when to give up on a predecessor. No item is dropped here; waiting items are released in order of arrival,
//! as far as their ids allow.

use super::message::{LastId, last_id_after};
use crate::proto::grip::Publication;
use std::collections::VecDeque;
use std::sync::Arc;

/// The last id of a channel, and the items that wait for a predecessor.
#[derive(Default)]
pub(super) struct Sequence {
    pub(super) last_id: LastId,
    /// Waiting items in order of arrival, each with its number. None of them follows `last_id`.
    pub(super) waiting: VecDeque<(u64, Arc<Publication>)>,
}

impl Sequence {
    /// The id of the item that was released last, if it has one.
    pub fn last_id(&self) -> &LastId {
        &self.last_id
    }

    /// Whether the item can be released: it is outside the sequence, or it follows the last item, or it is not known
    /// whether it does.
    pub fn is_turn_of(&self, publication: &Publication) -> bool {
        publication.no_seq || follows(&self.last_id, publication)
    }

    /// Adds a waiting item with this number. It cannot be released yet.
    pub fn wait(&mut self, number: u64, publication: Arc<Publication>) {
        debug_assert!(!self.is_turn_of(&publication));
        self.waiting.push_back((number, publication));
    }

    /// Updates the last id for an item that is released, even out of order.
    pub fn release(&mut self, publication: &Publication) {
        last_id_after(&mut self.last_id, publication);
    }

    /// Removes and returns the first waiting item that can be released now.
    pub fn next(&mut self) -> Option<Arc<Publication>> {
        let place = self.waiting.iter().position(|(_, publication)| self.is_turn_of(publication))?;
        self.waiting.remove(place).map(|(_, publication)| publication)
    }

    /// Removes and returns the item that has waited longest, if `may_go` accepts its number.
    pub fn oldest_if(&mut self, may_go: impl FnOnce(u64) -> bool) -> Option<Arc<Publication>> {
        self.waiting.pop_front_if(|(number, _)| may_go(*number)).map(|(_, publication)| publication)
    }

    /// Adds an item that waited in another process. The last id is set afterwards.
    pub fn take_over(&mut self, number: u64, publication: Arc<Publication>) {
        self.waiting.push_back((number, publication));
    }

    /// Sets the last id, which another process had.
    pub fn set_last_id(&mut self, last_id: LastId) {
        self.last_id = last_id;
    }

    /// Forgets the last id.
    pub fn forget(&mut self) {
        self.last_id = None;
    }

    /// Whether the item with this number still waits.
    pub fn has(&self, number: u64) -> bool {
        self.waiting.iter().any(|(other, _)| *other == number)
    }

    /// The number of waiting items, and their bytes.
    pub fn waiting(&self) -> (usize, usize) {
        (self.waiting.len(), self.waiting.iter().map(|(_, publication)| publication.weight()).sum())
    }
}

/// Whether `publication` may follow the item with `last_id`, as far as is known.
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

    /// The ids in the order of their release, if no item times out.
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
        assert_eq!(released(&[("7", "6"), ("8", "7")]), "78", "the first item of the channel");
        assert_eq!(released(&[("1", ""), ("5", ""), ("6", "5")]), "156", "an item without a prev-id");
        assert_eq!(
            released(&[("1", ""), ("3", "2"), ("", ""), ("9", "8")]),
            "1-3",
            "after an item without an id"
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

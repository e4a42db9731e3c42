//! The followers of a channel on one core: subscribers whose application gave the id of the last item in its answer
//! (`prev-id`), so that the application can be asked for later items. Almost always a follower's last id is the
//! channel's last id, because all subscribers get equal items. So a delivery looks at single followers only if an
//! item does not follow the item before it, or if the channel's last id was unknown when a follower came. Few
//! channels have followers; fan-out never reads this value.
//!
//! The latest items are kept for followers that return after a request to their application.

use super::message::LastId;
use super::roster::before;
use super::sequence::follows;
use super::transport::Transport;
use crate::ids::Slot;
use crate::proto::grip::{Publication, ResponseFormat, StreamFormat};
use rustc_hash::FxHashMap;
use std::collections::VecDeque;
use std::sync::Arc;

/// The number of items that are kept, and their bytes.
const RECENT: usize = 100;
const RECENT_BYTES: usize = 256 * 1024;
/// Hints that are remembered: more than can wait for fan-out between two uses of this list.
const HINTS: usize = 16;

/// The followers of one channel on one core.
#[derive(Default)]
pub(super) struct Followed {
    followers: FxHashMap<Slot, Follower>,
    /// Followers with `until: None`.
    undecided: usize,
    /// The latest items, each of which follows the item before it. All of them have ids.
    recent: VecDeque<Arc<Publication>>,
    recent_bytes: usize,
    /// The items at which followers are gapped, by the core's count, in order.
    turns: VecDeque<Turn>,
    /// The latest hints. The item that a hint announces has reached no subscriber.
    hints: VecDeque<Hint>,
    /// The channel's last id before the items that are not yet written to all subscribers.
    pub settled_id: LastId,
}

/// The state of a follower.
enum Follower {
    /// The subscription is not in force yet. The follower has all items up to this id.
    Asked(Box<str>),
    /// The follower has all items up to `id`, until it gets the item with the count `until`; from then on its last id
    /// is the channel's. `until` is `None` while that item is not known, because the channel's last id was unknown
    /// when the follower came.
    Own { id: Box<str>, until: Option<u32> },
}

struct Hint {
    count: u32,
    /// Whether the hint is for streams, and whether it is for long polls.
    to_streams: bool,
    to_polls: bool,
    /// The channel's last id before the hint.
    id_before: LastId,
}

/// Followers that are gapped at the item with this count, and must not get it.
pub(super) struct Turn {
    pub count: u32,
    pub slots: Vec<Slot>,
}

/// The items that a new follower has missed.
#[derive(Default)]
pub struct Missed {
    /// The missed items that are known.
    pub items: Vec<Arc<Publication>>,
    /// More items were missed, or it is not known which: the application must be asked.
    pub more: bool,
}

impl Followed {
    /// A value without followers, for a channel with this last id.
    pub fn after_all_up_to(settled_id: LastId) -> Followed {
        Followed { settled_id, ..Followed::default() }
    }

    /// Adds `slot` as a follower that has all items up to `id`. Its subscription may not be in force yet.
    pub fn follow(&mut self, slot: Slot, id: &str) {
        self.forget(slot);
        self.followers.insert(slot, Follower::Asked(id.into()));
    }

    /// Puts the subscription of `slot` into force, from the item with the count `next` on. The channel's last id is
    /// `last_id`. Adds the items between to `missed`.
    pub fn begin(&mut self, slot: Slot, last_id: &LastId, next: u32, missed: &mut Missed) {
        let Some(follower) = self.followers.get_mut(&slot) else { return };
        let Follower::Asked(id) = &*follower else { return };
        let id = id.clone();
        match last_id {
            None => {
                self.undecided += 1;
                *follower = Follower::Own { id, until: None };
            }
            Some(last_id) if *last_id == id => *follower = Follower::Own { id, until: Some(next) },
            Some(last_id) => match self.after(&id) {
                Some(items) => {
                    missed.items.extend(items);
                    self.followers.insert(slot, Follower::Own { id: last_id.clone(), until: Some(next) });
                }
                None => missed.more = true,
            },
        }
    }

    /// Handles the arrival of `publication` after the item with `last_id`. If there are subscribers, its count is
    /// `count`.
    pub fn arrives(
        &mut self,
        publication: &Arc<Publication>,
        last_id: &LastId,
        count: u32,
        for_anybody: bool,
    ) {
        if for_anybody && is_hint(publication) {
            self.remember_hint(publication, last_id, count);
        }
        if publication.no_seq {
            return;
        }
        let in_order = follows(last_id, publication);
        if !in_order || self.undecided > 0 {
            let slots = self.gapped(publication, in_order, count);
            if !slots.is_empty() {
                self.turns.push_back(Turn { count, slots });
            }
        }
        self.remember(publication, in_order);
    }

    /// The followers that `publication` leaves with a gap. For the others with `until: None`, sets `until`.
    fn gapped(&mut self, publication: &Publication, in_order: bool, count: u32) -> Vec<Slot> {
        let mut gapped = Vec::new();
        for (slot, follower) in &mut self.followers {
            match follower {
                Follower::Own { id, until: until @ None } => {
                    if publication.prev_id.as_ref().is_some_and(|prev_id| prev_id != id) {
                        gapped.push(*slot);
                    } else {
                        *until = Some(count);
                        self.undecided -= 1;
                    }
                }
                Follower::Own { .. } if !in_order => gapped.push(*slot),
                _ => {}
            }
        }
        gapped
    }

    fn remember_hint(&mut self, publication: &Publication, last_id: &LastId, count: u32) {
        let to_streams = matches!(publication.stream, Some(StreamFormat::Hint));
        let to_polls = matches!(publication.response, Some(ResponseFormat::Hint));
        self.hints.push_back(Hint { count, to_streams, to_polls, id_before: last_id.clone() });
        if self.hints.len() > HINTS {
            self.hints.pop_front();
        }
    }

    /// The channel's last id before a hint to `transport`, if the item with the count before `next` is such a hint.
    fn id_before_hint(&self, next: u32, transport: Transport) -> Option<&LastId> {
        let is_poll = transport.is_poll();
        let hint = self.hints.iter().rev().find(|hint| hint.count.wrapping_add(1) == next)?;
        (if is_poll { hint.to_polls } else { hint.to_streams }).then_some(&hint.id_before)
    }

    fn remember(&mut self, publication: &Arc<Publication>, in_order: bool) {
        if !in_order || publication.id.is_none() {
            self.forget_recent();
        }
        if publication.id.is_some() {
            self.recent_bytes += publication.weight();
            self.recent.push_back(publication.clone());
        }
        while self.recent.len() > RECENT || self.recent_bytes > RECENT_BYTES {
            let Some(oldest) = self.recent.pop_front() else { break };
            self.recent_bytes -= oldest.weight();
        }
    }

    /// The items after the item with `id`, if all of them are known and none of them is a hint.
    fn after(&self, id: &str) -> Option<Vec<Arc<Publication>>> {
        let place = self.recent.iter().position(|item| item.id.as_deref() == Some(id)).map(|place| place + 1);
        let first = || self.recent.front().filter(|first| first.prev_id.as_deref() == Some(id)).map(|_| 0);
        let items: Vec<_> = self.recent.iter().skip(place.or_else(first)?).cloned().collect();
        items.iter().all(|item| !is_hint(item)).then_some(items)
    }

    /// Removes and returns the followers that must not get the next item, if its count is `count`.
    pub fn turn_at(&mut self, count: u32) -> Option<Turn> {
        self.turns.pop_front_if(|turn| turn.count == count)
    }

    /// The count of the next item at which followers are gapped.
    pub fn next_turn(&self) -> Option<u32> {
        self.turns.front().map(|turn| turn.count)
    }

    /// Whether `slot` is a follower.
    pub fn has(&self, slot: Slot) -> bool {
        self.followers.contains_key(&slot)
    }

    /// The id of the last item that `slot` has: its own id while it has got no item, then the channel's last id at
    /// its position. `next` is the count of the item it gets next. Hints do not count as items.
    pub fn id_of(
        &self,
        slot: Slot,
        next: u32,
        transport: Transport,
        channels: impl FnOnce() -> LastId,
    ) -> LastId {
        let before_hint = self.id_before_hint(next, transport);
        let got = if before_hint.is_some() { next.wrapping_sub(1) } else { next };
        match self.followers.get(&slot)? {
            Follower::Asked(id) => Some(id.clone()),
            Follower::Own { id, until } if until.is_none_or(|until| !before(until, got)) => Some(id.clone()),
            Follower::Own { .. } => before_hint.cloned().unwrap_or_else(channels),
        }
    }

    /// Removes `slot` from the followers.
    pub fn forget(&mut self, slot: Slot) {
        if let Some(Follower::Own { until: None, .. }) = self.followers.remove(&slot) {
            self.undecided -= 1;
        }
    }

    /// Forgets the latest items, because an item between them and the next one is missing.
    pub fn forget_recent(&mut self) {
        self.recent.clear();
        self.recent_bytes = 0;
    }
}

/// Whether an item is a hint: it only says that the application has something new.
fn is_hint(publication: &Publication) -> bool {
    matches!(publication.stream, Some(StreamFormat::Hint))
        || matches!(publication.response, Some(ResponseFormat::Hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(id: &str, prev_id: &str) -> Arc<Publication> {
        let mut publication = Publication::new("c");
        publication.id = Some(id.into());
        publication.prev_id = Some(prev_id.into());
        Arc::new(publication)
    }

    /// Items with these ids arrive, one after the other, from a channel's start.
    fn with(ids: &[&str]) -> (Followed, LastId) {
        let (mut followed, mut last_id) = (Followed::default(), None);
        for (count, pair) in ids.windows(2).enumerate() {
            followed.arrives(&item(pair[1], pair[0]), &last_id, count as u32, true);
            last_id = Some(pair[1].into());
        }
        (followed, last_id)
    }

    fn missed(followed: &mut Followed, id: &str, last_id: &LastId) -> (Vec<String>, bool) {
        let mut missed = Missed::default();
        followed.follow(Slot(1), id);
        followed.begin(Slot(1), last_id, 9, &mut missed);
        let ids = missed.items.iter().filter_map(|item| item.id.as_deref().map(str::to_owned));
        (ids.collect(), missed.more)
    }

    #[test]
    fn who_comes_late_gets_what_is_at_hand_or_is_told_that_it_is_not() {
        let (mut followed, last_id) = with(&["3", "4", "5", "6"]);
        let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
        assert_eq!(missed(&mut followed, "6", &last_id), (ids(&[]), false));
        assert_eq!(missed(&mut followed, "4", &last_id), (ids(&["5", "6"]), false));
        assert_eq!(missed(&mut followed, "3", &last_id), (ids(&["4", "5", "6"]), false));
        assert_eq!(missed(&mut followed, "2", &last_id), (ids(&[]), true));
        followed.arrives(&item("9", "8"), &last_id, 3, true);
        assert_eq!(missed(&mut followed, "6", &Some("9".into())), (ids(&[]), true), "there is a gap");
        assert_eq!(missed(&mut followed, "8", &Some("9".into())), (ids(&["9"]), false));
    }

    #[test]
    fn an_item_out_of_order_leads_all_astray_but_those_it_follows() {
        let (mut followed, last_id) = with(&["1", "2"]);
        missed(&mut followed, "2", &last_id);
        followed.arrives(&item("3", "2"), &last_id, 1, true);
        assert!(followed.turn_at(1).is_none());
        followed.arrives(&item("5", "4"), &Some("3".into()), 2, true);
        assert_eq!(followed.next_turn(), Some(2));
        assert_eq!(followed.turn_at(2).map(|turn| turn.slots), Some(vec![Slot(1)]));
    }

    #[test]
    fn who_came_when_nobody_knew_goes_by_its_own_id_until_an_item_comes() {
        let mut followed = Followed::default();
        for (slot, id) in [(1, "7"), (2, "6")] {
            followed.follow(Slot(slot), id);
            followed.begin(Slot(slot), &None, 0, &mut Missed::default());
        }
        followed.arrives(&item("8", "7"), &None, 0, true);
        assert_eq!(followed.turn_at(0).map(|turn| turn.slots), Some(vec![Slot(2)]));
        let channels = || Some("8".into());
        assert_eq!(
            followed.id_of(Slot(1), 0, Transport::StreamRaw, channels).as_deref(),
            Some("7"),
            "the follower has not got the item yet"
        );
        assert_eq!(followed.id_of(Slot(1), 1, Transport::StreamRaw, channels).as_deref(), Some("8"));
        followed.forget(Slot(2));
        assert_eq!(followed.undecided, 0);
    }
}

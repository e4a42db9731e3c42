//! The home of the channels whose name hashes to this core: the one place where a channel has an order. The home
//! knows the interested cores and sends them every item in one order. It sends items as they arrive, except items
//! whose predecessor is missing, which wait for it (`sequence`), and items that were published before (`recent_ids`).
//! A channel without interested cores is not kept, nor is its last id. The home has no clock; it is told the time in
//! ticks, which may wrap.

use super::home_channel::{HomeChannel, place};
use super::message::{LastId, ToCore, ToHome};
use super::recent_ids::RecentIds;
use crate::ids::{CoreId, NameMap, spread};
use crate::proto::grip::Publication;
use crate::slack::Look;
use smallvec::SmallVec;
use std::collections::VecDeque;
use std::sync::Arc;

/// Limits on the items of one channel that wait for their predecessors, and on the bytes of all waiting items of a
/// home. Beyond them, the oldest items of the channel are sent as if their time were up.
const CHANNEL_WAITING: usize = 100;
const WAITING_BYTES: usize = 16 * 1024 * 1024;

/// The core that is the home of `channel`. The hash has a random key: applications name channels after names that
/// clients choose, and without the key a client could give all its channels the same home.
pub fn home_of(channel: &str, cores: usize) -> CoreId {
    CoreId(spread(channel.as_bytes(), cores) as u16)
}

/// Times that a home waits and remembers, in ticks.
#[derive(Clone, Copy, Debug)]
pub struct HomeTimes {
    /// How long an item waits for its predecessor.
    pub message_wait: u32,
    /// How long the id of an item is remembered; 0 turns this off.
    pub duplicate_ids: u32,
}

/// The channels that have their home on one core.
pub struct Home {
    pub(super) id: CoreId,
    pub(super) times: HomeTimes,
    pub(super) now_tick: u32,
    /// Boxed, so that growing and shrinking the table moves pointers only.
    pub(super) channels: NameMap<Arc<str>, Box<HomeChannel>>,
    pub(super) recent_ids: RecentIds,
    /// When waiting items time out, in that order. Some of these items may have been sent already.
    pub(super) deadlines: VecDeque<Deadline>,
    /// The number of items that have waited since start.
    pub(super) numbers: u64,
    pub(super) waiting_bytes: usize,
    /// Channels that got their first interested core, or lost their last, if somebody watches.
    pub(super) changes: Option<Vec<Change>>,
}

/// A channel, and whether it has interested cores now.
pub type Change = (Arc<str>, bool);

pub(super) struct Deadline {
    pub tick: u32,
    pub channel: Arc<str>,
    pub number: u64,
}

impl Home {
    /// A home on core `id`, without channels.
    pub fn new(id: CoreId, times: HomeTimes) -> Home {
        Home {
            id,
            times,
            now_tick: 0,
            channels: NameMap::default(),
            recent_ids: RecentIds::new(times.duplicate_ids),
            deadlines: VecDeque::new(),
            numbers: 0,
            waiting_bytes: 0,
            changes: None,
        }
    }

    /// Records from now on the channels that gain or lose interest, for [`Home::take_changes`].
    pub fn watch(&mut self) {
        self.changes.get_or_insert_default();
    }

    /// The changes since the previous call, in order.
    pub fn take_changes(&mut self) -> Vec<Change> {
        self.changes.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Sets how long the home waits and remembers.
    pub fn set_times(&mut self, times: HomeTimes) {
        self.times = times;
        self.recent_ids.set_keep(times.duplicate_ids);
    }

    /// Sets the time.
    pub fn set_now(&mut self, tick: u32) {
        self.now_tick = tick;
        self.recent_ids.forget_old(tick);
    }

    /// Handles one message of core `from`, and calls `out` for every message it causes, in order.
    pub fn handle(&mut self, from: CoreId, message: ToHome, out: &mut impl FnMut(CoreId, ToCore)) {
        match message {
            ToHome::Subscribe { channel, epoch } => {
                let known = self.channels.entry(channel.clone()).or_default();
                if !known.has_interest() {
                    self.changes.iter_mut().for_each(|changes| changes.push((channel.clone(), true)));
                }
                known.admit(from, epoch);
                let last_id = known.sequence.last_id().clone();
                out(from, ToCore::Subscribed { channel, epoch, last_id });
            }
            ToHome::Unsubscribe { channel, epoch } => self.dismiss(from, &channel, epoch, out),
            ToHome::Publish(publication) => self.publish(publication, out),
            ToHome::Confirm { ticket } => out(from, ToCore::Sequenced { ticket }),
            ToHome::Recover => self.recover(out),
            ToHome::RecoverChannel { channel } => self.recover_channel(channel, out),
            ToHome::TakeOver(packed) => self.take_over(*packed),
        }
    }

    /// Sends one item that has timed out by tick `until`, with the items that follow it; returns whether there was
    /// one. `until` may be earlier than the time that was set: messages that have arrived since must be handled
    /// first.
    pub fn lose_patience(&mut self, until: u32, out: &mut impl FnMut(CoreId, ToCore)) -> bool {
        while let Some(deadline) = self.deadlines.front() {
            if (deadline.tick.wrapping_sub(until) as i32) > 0 {
                return false;
            }
            let Some(Deadline { channel, number, .. }) = self.deadlines.pop_front() else { return false };
            let Some(known) = self.channels.get_mut(&channel) else { continue };
            if let Some(bytes) = known.deliver_oldest_if(|oldest| oldest == number, out) {
                self.waiting_bytes -= bytes;
                return true;
            }
        }
        false
    }

    /// The id of the last item on `channel`, if it is known.
    pub fn last_id(&self, channel: &str) -> LastId {
        self.channels.get(channel)?.sequence.last_id().clone()
    }

    /// Whether some core is interested in `channel`.
    pub fn has_interest(&self, channel: &str) -> bool {
        self.channels.contains_key(channel)
    }

    /// The number of channels with interested cores.
    pub fn channels(&self) -> usize {
        self.channels.len()
    }

    /// Lets `look` shrink all tables.
    pub fn look_at_tables(&mut self, look: &mut Look<'_>) {
        look.at(&mut self.channels);
        look.at(&mut self.deadlines);
        self.recent_ids.look_at_tables(look);
    }

    /// Bytes of the items that wait for their predecessors.
    pub fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }

    fn dismiss(
        &mut self,
        core: CoreId,
        channel: &Arc<str>,
        epoch: u32,
        out: &mut impl FnMut(CoreId, ToCore),
    ) {
        let Some(known) = self.channels.get_mut(channel) else { return };
        known.dismiss(core, epoch);
        if !known.has_interest() {
            // No core is interested, so the waiting items reach nobody.
            self.waiting_bytes -= known.deliver_all(out);
            self.channels.remove(channel);
            self.changes.iter_mut().for_each(|changes| changes.push((channel.clone(), false)));
        }
    }

    fn publish(&mut self, publication: Arc<Publication>, out: &mut impl FnMut(CoreId, ToCore)) {
        if let Some(id) = &publication.id
            && self.recent_ids.is_repeated(&publication.channel, id, self.now_tick)
        {
            return place(&publication, None, out);
        }
        let Some(known) = self.channels.get_mut(&publication.channel) else {
            return place(&publication, Some(0), out);
        };
        if known.sequence.is_turn_of(&publication) {
            self.waiting_bytes -= known.deliver(publication, out);
            return;
        }
        self.numbers += 1;
        self.waiting_bytes += publication.weight();
        let tick = self.now_tick.wrapping_add(self.times.message_wait);
        self.deadlines.push_back(Deadline {
            tick,
            channel: publication.channel.clone(),
            number: self.numbers,
        });
        known.sequence.wait(self.numbers, publication);
        while known.sequence.waiting().0 > CHANNEL_WAITING || self.waiting_bytes > WAITING_BYTES {
            let Some(bytes) = known.deliver_oldest_if(|_| true, out) else { break };
            self.waiting_bytes -= bytes;
        }
        self.forget_stale_deadlines();
    }

    /// Forgets the last ids of all channels, and tells interested cores.
    fn recover(&mut self, out: &mut impl FnMut(CoreId, ToCore)) {
        let mut interested: SmallVec<[CoreId; 16]> = SmallVec::new();
        for known in self.channels.values_mut() {
            self.waiting_bytes -= known.forget(out);
            for core in known.cores() {
                if !interested.contains(&core) {
                    interested.push(core);
                }
            }
        }
        interested.into_iter().for_each(|core| out(core, ToCore::Recover { home: self.id }));
    }

    /// Forgets the last id of `channel`, and tells interested cores.
    fn recover_channel(&mut self, channel: Arc<str>, out: &mut impl FnMut(CoreId, ToCore)) {
        let Some(known) = self.channels.get_mut(&channel) else { return };
        self.waiting_bytes -= known.forget(out);
        known.cores().for_each(|core| out(core, ToCore::RecoverChannel { channel: channel.clone() }));
    }

    /// Removes deadlines of items that were sent in time from the front, so that the list does not outgrow the items.
    fn forget_stale_deadlines(&mut self) {
        while let Some(Deadline { channel, number, .. }) = self.deadlines.front() {
            if self.channels.get(channel).is_some_and(|known| known.sequence.has(*number)) {
                return;
            }
            self.deadlines.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::grip::{Publication, Receipt};

    fn home() -> Home {
        Home::new(CoreId(0), HomeTimes { message_wait: 50, duplicate_ids: 600 })
    }

    /// The ids of the items that go to core 1 when items with these ids and prev-ids are published.
    fn delivered(home: &mut Home, items: &[(&str, &str)]) -> Vec<String> {
        let mut ids = Vec::new();
        for (id, prev_id) in items {
            let mut publication = Publication::new("c");
            publication.id = Some((*id).into());
            publication.prev_id = (!prev_id.is_empty()).then(|| (*prev_id).into());
            let message = ToHome::Publish(Arc::new(publication));
            home.handle(CoreId(0), message, &mut |_, message| ids.extend(id_of(&message)));
        }
        ids
    }

    fn id_of(message: &ToCore) -> Option<String> {
        let ToCore::Deliver(publication) = message else { return None };
        publication.id.as_deref().map(str::to_owned)
    }

    fn lost_patience(home: &mut Home, tick: u32) -> Vec<String> {
        let mut ids = Vec::new();
        home.set_now(tick);
        while home.lose_patience(tick, &mut |_, message| ids.extend(id_of(&message))) {}
        ids
    }

    #[test]
    fn patience_ends_by_what_is_judged_and_not_by_the_time() {
        let mut home = home();
        told(&mut home, 1, subscribe(1));
        assert_eq!(delivered(&mut home, &[("1", ""), ("3", "2")]), ["1"]);
        // Much time has passed, and the messages that arrived meanwhile are still to be handled.
        home.set_now(10_000);
        assert!(!home.lose_patience(49, &mut |_, _| {}));
        assert_eq!(delivered(&mut home, &[("2", "1")]), ["2", "3"]);
        assert!(!home.lose_patience(10_000, &mut |_, _| {}));
    }

    fn told(home: &mut Home, from: u16, message: ToHome) -> Vec<u16> {
        let mut cores = Vec::new();
        home.handle(CoreId(from), message, &mut |core, _| cores.push(core.0));
        cores
    }

    fn subscribe(epoch: u32) -> ToHome {
        ToHome::Subscribe { channel: "c".into(), epoch }
    }

    fn unsubscribe(epoch: u32) -> ToHome {
        ToHome::Unsubscribe { channel: "c".into(), epoch }
    }

    fn publish() -> ToHome {
        ToHome::Publish(Arc::new(Publication::new("c")))
    }

    #[test]
    fn a_publication_goes_to_the_interested_cores_only() {
        let mut home = home();
        assert_eq!(told(&mut home, 0, publish()), [] as [u16; 0]);
        told(&mut home, 2, subscribe(1));
        told(&mut home, 5, subscribe(1));
        assert_eq!(told(&mut home, 0, publish()), [2, 5]);
        told(&mut home, 2, unsubscribe(1));
        assert_eq!(told(&mut home, 0, publish()), [5]);
        told(&mut home, 5, unsubscribe(1));
        assert_eq!(home.channels(), 0);
    }

    #[test]
    fn who_watches_hears_of_the_first_interest_and_of_the_last() {
        let mut home = home();
        told(&mut home, 1, subscribe(1));
        home.watch();
        told(&mut home, 2, subscribe(1));
        told(&mut home, 1, unsubscribe(1));
        assert_eq!(home.take_changes(), []);
        told(&mut home, 2, unsubscribe(1));
        told(&mut home, 2, subscribe(2));
        assert_eq!(home.take_changes(), [("c".into(), false), ("c".into(), true)]);
    }

    #[test]
    fn a_confirmation_goes_to_whoever_asked_behind_what_was_published_before() {
        let mut home = home();
        told(&mut home, 2, subscribe(1));
        let mut sent = Vec::new();
        for message in [publish(), ToHome::Confirm { ticket: 7 }] {
            home.handle(CoreId(2), message, &mut |core, message| sent.push((core.0, message)));
        }
        assert!(matches!(&sent[..], [(2, ToCore::Deliver(_)), (2, ToCore::Sequenced { ticket: 7 })]));
    }

    #[test]
    fn whoever_wants_a_receipt_hears_how_many_cores_will_report() {
        let mut home = home();
        let mut placed = |before: &[ToHome]| {
            let mut publication = Publication::new("c");
            publication.id = Some("1".into());
            publication.receipt = Some(Receipt { core: CoreId(7), ticket: 1, item: 0 });
            let mut told = Vec::new();
            for message in before.iter().cloned().chain([ToHome::Publish(Arc::new(publication))]) {
                home.handle(CoreId(1), message, &mut |core, message| {
                    if let ToCore::Placed { cores, .. } = message {
                        told.push((core.0, cores));
                    }
                });
            }
            told
        };
        assert_eq!(placed(&[]), [(7, Some(0))]);
        assert_eq!(placed(&[subscribe(1)]), [(7, None)], "a repetition");
        let mut waits = Publication::new("c");
        (waits.id, waits.prev_id) = (Some("3".into()), Some("2".into()));
        waits.receipt = Some(Receipt { core: CoreId(7), ticket: 2, item: 0 });
        let mut first = Publication::new("c");
        first.id = Some("0".into());
        let messages = [first, waits].map(|item| ToHome::Publish(Arc::new(item)));
        let gone = [&messages[..], &[unsubscribe(1)]].concat();
        assert_eq!(placed(&gone), [(7, Some(0)), (7, None)], "no core is left for the waiting item");
    }

    #[test]
    fn the_last_id_is_known_while_there_is_interest() {
        fn last_id(home: &mut Home, from: u16) -> LastId {
            let mut told = None;
            home.handle(CoreId(from), subscribe(1), &mut |_, message| told = Some(message));
            let Some(ToCore::Subscribed { last_id, .. }) = told else { panic!("an acknowledgement") };
            last_id
        }
        let publish = |home: &mut Home, id: Option<&str>, no_seq| {
            let mut publication = Publication::new("c");
            (publication.id, publication.no_seq) = (id.map(Box::from), no_seq);
            told(home, 0, ToHome::Publish(Arc::new(publication)));
        };
        let mut home = home();
        publish(&mut home, Some("0"), false);
        assert_eq!(last_id(&mut home, 1), None);
        publish(&mut home, Some("1"), false);
        publish(&mut home, Some("beside"), true);
        assert_eq!(last_id(&mut home, 2).as_deref(), Some("1"));
        publish(&mut home, None, false);
        assert_eq!(last_id(&mut home, 3), None);
    }

    #[test]
    fn an_unsubscribe_of_the_past_does_not_end_a_newer_request() {
        let mut home = home();
        told(&mut home, 1, subscribe(1));
        told(&mut home, 1, subscribe(2));
        told(&mut home, 1, unsubscribe(1));
        assert_eq!(told(&mut home, 0, publish()), [1]);
    }

    #[test]
    fn what_waits_goes_with_its_predecessor_or_when_patience_ends() {
        let mut home = home();
        told(&mut home, 1, subscribe(1));
        assert_eq!(
            delivered(&mut home, &[("1", ""), ("3", "2"), ("4", "3"), ("2", "1")]),
            ["1", "2", "3", "4"]
        );
        home.set_now(7);
        assert_eq!(delivered(&mut home, &[("6", "5"), ("9", "8"), ("7", "6")]), [] as [&str; 0]);
        assert_eq!(lost_patience(&mut home, 56), [] as [&str; 0]);
        assert_eq!(lost_patience(&mut home, 57), ["6", "7", "9"]);
        assert_eq!((home.waiting_bytes(), home.deadlines.len()), (0, 0));
    }

    #[test]
    fn an_item_that_comes_again_is_dropped_even_while_it_waits() {
        let mut home = home();
        told(&mut home, 1, subscribe(1));
        let twice = [("1", ""), ("1", ""), ("3", "2"), ("3", "2"), ("2", "1"), ("2", "1")];
        assert_eq!(delivered(&mut home, &twice), ["1", "2", "3"]);
        home.set_now(600);
        assert_eq!(delivered(&mut home, &[("1", "")]), ["1"]);
    }

    #[test]
    fn too_many_that_wait_push_out_the_oldest_and_none_is_lost() {
        let mut home = home();
        told(&mut home, 1, subscribe(1));
        delivered(&mut home, &[("0", "")]);
        let ids: Vec<String> = (0..=2 * CHANNEL_WAITING).map(|number| (2 * number).to_string()).collect();
        let missing: Vec<String> =
            (0..=2 * CHANNEL_WAITING).map(|number| (2 * number + 1).to_string()).collect();
        let items: Vec<(&str, &str)> =
            ids.iter().zip(&missing).skip(1).map(|(id, prev)| (id.as_str(), prev.as_str())).collect();
        assert_eq!(delivered(&mut home, &items), ids[1..=CHANNEL_WAITING]);
        assert_eq!(lost_patience(&mut home, 50), ids[CHANNEL_WAITING + 1..]);
    }

    #[test]
    fn what_was_missed_on_one_channel_is_asked_for_there_alone() {
        let mut home = home();
        let miss = |home: &mut Home, name: &str| {
            let mut missed = Vec::new();
            let message = ToHome::RecoverChannel { channel: name.into() };
            home.handle(CoreId(0), message, &mut |core, message| missed.push((core.0, message)));
            missed
        };
        assert!(miss(&mut home, "c").is_empty(), "no core is interested");
        told(&mut home, 1, subscribe(1));
        told(&mut home, 2, subscribe(1));
        delivered(&mut home, &[("1", ""), ("3", "2")]);
        assert!(miss(&mut home, "other").is_empty());
        let missed = miss(&mut home, "c");
        let ids: Vec<_> = missed.iter().filter_map(|(_, message)| id_of(message)).collect();
        assert_eq!(ids, ["3", "3"], "the waiting items are sent");
        let is_missed =
            |message: &ToCore| matches!(message, ToCore::RecoverChannel { channel } if &**channel == "c");
        let cores = missed.iter().filter(|(_, message)| is_missed(message)).map(|(core, _)| *core);
        assert_eq!(cores.collect::<Vec<_>>(), [1, 2]);
        assert_eq!((home.waiting_bytes(), home.last_id("c")), (0, None));
    }

    #[test]
    fn what_waits_goes_with_the_last_interest() {
        let mut home = home();
        told(&mut home, 1, subscribe(1));
        delivered(&mut home, &[("1", ""), ("3", "2")]);
        assert!(home.waiting_bytes() > 0);
        told(&mut home, 1, unsubscribe(1));
        assert_eq!((home.waiting_bytes(), lost_patience(&mut home, 50).len()), (0, 0));
    }
}

//! Packs the homes of a core for the hand-over to another process, and takes over the homes of another process. Interest
//! is not packed: the other process has the subscribers, and they subscribe there.

use super::home::Home;
use super::home_channel::HomeChannel;
use super::packed_homes::{PackedChannel, PackedHomes};
use super::sequence::Sequence;
use crate::proto::grip::Publication;
use crate::proto::grip::compact;
use bytes::Bytes;
use rustc_hash::FxHashMap;
use std::sync::Arc;

impl Home {
    /// The state of the homes here.
    pub fn pack(&self) -> PackedHomes {
        // A field that is added is to be named here, and packed if another process needs it.
        let Home {
            channels,
            recent_ids,
            deadlines,
            now_tick,
            // What the other process has of its own, or finds out when its clients subscribe.
            id: _,
            times: _,
            numbers: _,
            waiting_bytes: _,
            changes: _,
        } = self;
        let ticks: FxHashMap<u64, u32> =
            deadlines.iter().map(|deadline| (deadline.number, deadline.tick)).collect();
        let left = |number: u64| {
            ticks.get(&number).map_or(0, |tick| (tick.wrapping_sub(*now_tick) as i32).max(0) as u32)
        };
        let channels = channels.iter().filter_map(|(name, known)| {
            let HomeChannel { interested: _, sequence } = &**known;
            let Sequence { last_id, waiting } = sequence;
            let waiting: Vec<(u32, Bytes)> = waiting
                .iter()
                .map(|(number, item)| (left(*number), compact::encode([&**item]).into()))
                .collect();
            let is_needed = last_id.is_some() || !waiting.is_empty();
            is_needed.then(|| PackedChannel { name: name.clone(), last_id: last_id.clone(), waiting })
        });
        PackedHomes { channels: channels.collect(), recent_ids: recent_ids.pack(*now_tick) }
    }

    /// Takes over channels and ids of another process. A channel that no core here is interested in is kept until
    /// [`Home::forget_unwanted`].
    pub fn take_over(&mut self, packed: PackedHomes) {
        let PackedHomes { channels, recent_ids } = packed;
        for PackedChannel { name, last_id, waiting } in channels {
            let mut items = Vec::new();
            for (ticks, item) in waiting {
                let before = items.len();
                // An item of another version's form is lost here, and its successors are not.
                if compact::decode(&item, &mut items).is_ok() {
                    items.drain(before..).for_each(|item| self.wait_for(&name, ticks, Arc::new(item)));
                }
            }
            self.channels.entry(name).or_default().sequence.set_last_id(last_id);
        }
        self.recent_ids.take_over(recent_ids, self.now_tick);
    }

    fn wait_for(&mut self, name: &Arc<str>, ticks: u32, item: Arc<Publication>) {
        self.numbers += 1;
        self.waiting_bytes += item.weight();
        let tick = self.now_tick.wrapping_add(ticks);
        let number = self.numbers;
        let later = self.deadlines.partition_point(|known| (known.tick.wrapping_sub(tick) as i32) <= 0);
        self.deadlines.insert(later, super::home::Deadline { tick, channel: name.clone(), number });
        self.channels.entry(name.clone()).or_default().sequence.take_over(number, item);
    }

    /// Forgets the channels that were taken over and that no core is interested in.
    pub fn forget_unwanted(&mut self) {
        let mut dropped_bytes = 0;
        self.channels.retain(|_, known| {
            let is_wanted = known.has_interest();
            dropped_bytes += if is_wanted { 0 } else { known.sequence.waiting().1 };
            is_wanted
        });
        self.waiting_bytes -= dropped_bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::{HomeTimes, LastId, ToCore, ToHome};
    use crate::ids::CoreId;
    use crate::proto::grip::StreamFormat;

    fn home() -> Home {
        Home::new(CoreId(0), HomeTimes { message_wait: 50, duplicate_ids: 600 })
    }

    fn item(id: &str, prev_id: Option<&str>) -> ToHome {
        let mut item = Publication::new("c");
        (item.id, item.prev_id) = (Some(id.into()), prev_id.map(Into::into));
        item.stream = Some(StreamFormat::Content(id.to_owned().into()));
        ToHome::Publish(Arc::new(item))
    }

    fn ids(home: &mut Home, message: ToHome) -> Vec<String> {
        let mut ids = Vec::new();
        home.handle(CoreId(0), message, &mut |_, message| {
            if let ToCore::Deliver(item) = message {
                ids.extend(item.id.as_deref().map(str::to_owned));
            }
        });
        ids
    }

    fn subscribe(home: &mut Home) -> LastId {
        let mut known = None;
        home.handle(CoreId(0), ToHome::Subscribe { channel: "c".into(), epoch: 1 }, &mut |_, message| {
            if let ToCore::Subscribed { last_id, .. } = message {
                known = last_id;
            }
        });
        known
    }

    #[test]
    fn a_channel_goes_on_in_its_order_with_its_ids_and_with_what_waits() {
        let mut before = home();
        before.set_now(7);
        subscribe(&mut before);
        assert_eq!(ids(&mut before, item("1", None)), ["1"]);
        assert_eq!(ids(&mut before, item("3", Some("2"))), [] as [&str; 0]);
        before.set_now(17);
        let packed = postcard::to_allocvec(&before.pack()).unwrap();
        let mut after = home();
        after.take_over(postcard::from_bytes(&packed).unwrap());
        assert_eq!(subscribe(&mut after).as_deref(), Some("1"));
        after.forget_unwanted();
        assert_eq!(ids(&mut after, item("1", None)), [] as [&str; 0], "a repetition");
        let mut lost = Vec::new();
        let mut out = |_, message| {
            if let ToCore::Deliver(item) = message {
                lost.extend(item.id.as_deref().map(str::to_owned));
            }
        };
        assert!(!after.lose_patience(39, &mut out));
        assert!(after.lose_patience(40, &mut out));
        assert_eq!((lost, after.waiting_bytes()), (vec!["3".to_owned()], 0));
    }

    #[test]
    fn a_channel_without_interest_is_not_kept() {
        let mut before = home();
        subscribe(&mut before);
        ids(&mut before, item("1", None));
        ids(&mut before, item("3", Some("2")));
        let mut after = home();
        after.take_over(before.pack());
        after.forget_unwanted();
        assert_eq!((after.channels(), after.waiting_bytes()), (0, 0));
    }
}

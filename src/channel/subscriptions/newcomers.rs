//! The entries of newcomers: subscribers that came while messages of their channel's home were in transit.

use super::Subscriptions;
use crate::channel::dispatched::Dispatched;
use crate::ids::{ChannelId, CoreId, Slot};
use std::sync::Arc;

impl Subscriptions {
    /// Counts messages in transit from now on: `dispatched` has the number of messages that homes have sent to this
    /// core, `own`, and [`Subscriptions::took`] counts those that were taken. No message was sent yet.
    pub fn set_dispatched(&mut self, dispatched: Arc<Dispatched>, own: CoreId) {
        self.newcomers.set_dispatched(dispatched, own);
    }

    /// Counts one more message of `home`, of any kind, that was taken and handled.
    pub fn took(&mut self, home: CoreId) {
        self.newcomers.took(home);
        while let Some((slot, id)) = self.newcomers.next_due(home) {
            self.unpark(slot, id);
        }
    }

    /// Lets `slot` get all items that arrive on the channel from now on, if it is in the channel's lists.
    pub(super) fn unpark(&mut self, slot: Slot, id: ChannelId) {
        let Some(link) = self.links_of(slot).iter().find(|link| link.channel == id).copied() else { return };
        let (transport, index) = link.place();
        let Some(channel) = self.channel_mut(id) else { return };
        let next = channel.next;
        if let Some(entry) = channel.roster.list(transport).get_mut(index as usize) {
            debug_assert_eq!(entry.slot, slot);
            entry.next = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::{Readiness, Slice, SliceKind, ToCore, ToHome, Transport};
    use crate::proto::grip::{Publication, StreamFormat};

    const HOME: CoreId = CoreId(0);

    /// A table of one core that gets its home's messages through a ring, with a subscriber in slot 0.
    fn table() -> (Subscriptions, Arc<Dispatched>) {
        let (mut table, dispatched) = (Subscriptions::new(1, 1), Arc::new(Dispatched::new(1)));
        table.set_dispatched(dispatched.clone(), HOME);
        let mut epoch = 0;
        table.subscribe(Slot(0), Transport::StreamRaw, &["c"], &mut |_, message| {
            if let ToHome::Subscribe { epoch: asked, .. } = message {
                epoch = asked;
            }
        });
        dispatched.count(HOME, HOME);
        take(&mut table, ToCore::Subscribed { channel: "c".into(), epoch, last_id: Some("0".into()) });
        (table, dispatched)
    }

    fn take(table: &mut Subscriptions, message: ToCore) {
        table.handle(message, &mut Vec::new());
        table.took(HOME);
    }

    fn item(id: u32) -> ToCore {
        let mut publication = Publication::new("c");
        publication.id = Some(id.to_string().into());
        publication.prev_id = Some((id - 1).to_string().into());
        publication.stream = Some(StreamFormat::Content(format!("{id};").into()));
        ToCore::Deliver(publication.into())
    }

    fn subscribe(table: &mut Subscriptions, slot: u32) {
        let readiness = table.subscribe(Slot(slot), Transport::StreamRaw, &["c"], &mut |_, _| {});
        assert_eq!(readiness, Readiness::Ready);
    }

    /// The items written to each slot, for slots 0 to 3.
    fn written(table: &mut Subscriptions) -> [String; 4] {
        let (mut slice, mut all) = (Slice::default(), <[String; 4]>::default());
        while table.next_slice(9, &mut slice) {
            let SliceKind::Stream { frame, .. } = &slice.kind else { continue };
            let whole = slice.slots.iter().map(|slot| (*slot, frame.clone()));
            for (slot, part) in whole.chain(slice.partial.iter().cloned()) {
                all[slot.index()].push_str(std::str::from_utf8(&part).unwrap());
            }
        }
        all
    }

    #[test]
    fn what_was_sent_before_a_subscriber_asked_is_not_for_it() {
        let (mut table, dispatched) = table();
        (0..2).for_each(|_| dispatched.count(HOME, HOME));
        subscribe(&mut table, 1);
        dispatched.count(HOME, HOME);
        subscribe(&mut table, 2);
        take(&mut table, item(1));
        take(&mut table, item(2));
        // The slot unsubscribes and subscribes again, so it must not get the items that are in transit now.
        table.unsubscribe(Slot(2));
        dispatched.count(HOME, HOME);
        subscribe(&mut table, 2);
        dispatched.count(HOME, HOME);
        (3..6).for_each(|id| take(&mut table, item(id)));
        assert_eq!(written(&mut table), ["1;2;3;4;5;", "3;4;5;", "5;", ""]);
        (0..3).for_each(|slot| table.unsubscribe(Slot(slot)));
        assert!(table.newcomers.is_empty());
    }

    #[test]
    fn a_follower_of_ids_gets_what_is_under_way_after_what_it_has() {
        let (mut table, dispatched) = table();
        table.follow(Slot(0), "c", "0");
        (0..2).for_each(|_| dispatched.count(HOME, HOME));
        subscribe(&mut table, 1);
        table.follow(Slot(1), "c", "0");
        take(&mut table, item(1));
        subscribe(&mut table, 3);
        take(&mut table, item(2));
        let missed = table.take_missed(Slot(1));
        assert!(missed.items.is_empty() && !missed.more);
        assert_eq!(written(&mut table), ["1;2;", "1;2;", "", ""]);
        assert_eq!(table.heard(Slot(1)), [("c".into(), "2".into())]);
    }
}

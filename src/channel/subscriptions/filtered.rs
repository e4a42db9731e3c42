//! Subscriptions with filters. Items are not sent to them unchanged, so they have lists of their own, which the
//! fan-out to other subscribers does not read.

use super::Subscriptions;
use crate::channel::roster::Link;
use crate::ids::{ChannelId, Slot};

impl Subscriptions {
    /// Marks the subscription of `slot` to `channel`, in force or not, as one with filters until it ends. No item is
    /// lost or repeated by this.
    pub fn filter(&mut self, slot: Slot, channel: &str) {
        let Some(&id) = self.names.get(channel) else { return };
        if self.filtered.insert((slot, id)) {
            self.move_to_filtered(slot, id);
        }
    }

    /// Whether the subscription of `slot` to `channel` has filters.
    pub fn is_filtered(&self, slot: Slot, channel: &str) -> bool {
        self.names.get(channel).is_some_and(|id| self.filtered.contains(&(slot, *id)))
    }

    /// Moves the entry to the list for filters. A pass serves these lists last, so the subscriber either was served
    /// before, or gets the items of the pass there.
    fn move_to_filtered(&mut self, slot: Slot, id: ChannelId) {
        let Some(link) = self.links_of(slot).iter().find(|link| link.channel == id).copied() else { return };
        let (transport, index) = link.place();
        if transport.is_filtered() {
            return;
        }
        let Some(entry) =
            self.channel(id).and_then(|channel| channel.roster.entry(transport, index)).copied()
        else {
            return;
        };
        self.take_entry(slot, link);
        let Some(channel) = self.channel_mut(id) else { return };
        let place = channel.roster.add(transport.filtered(), entry);
        let links = self.links.get_mut(slot).map(|links| links.as_mut_slice()).unwrap_or_default();
        if let Some(link) = links.iter_mut().find(|link| link.channel == id) {
            *link = Link::new(id, transport.filtered(), place);
        }
    }

    pub(super) fn forget_filters(&mut self, slot: Slot, id: ChannelId) {
        if !self.filtered.is_empty() {
            self.filtered.remove(&(slot, id));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::{Slice, SliceKind, ToCore, ToHome, Transport};
    use crate::proto::grip::{Publication, StreamFormat};
    use std::sync::Arc;

    fn content(text: &'static str) -> ToCore {
        let mut publication = Publication::new("c");
        publication.stream = Some(StreamFormat::Content(text.into()));
        ToCore::Deliver(Arc::new(publication))
    }

    /// The slots that get the items next: unchanged, and through filters.
    fn served(table: &mut Subscriptions) -> (Vec<u32>, Vec<u32>) {
        let (mut slice, mut plain, mut filtered) = (Slice::default(), Vec::new(), Vec::new());
        while table.next_slice(1, &mut slice) {
            if let SliceKind::Filtered { deliveries } = &slice.kind {
                filtered.extend(deliveries.iter().map(|(slot, _)| slot.0));
            }
            plain.extend(slice.slots.iter().map(|slot| slot.0));
        }
        (plain, filtered)
    }

    #[test]
    fn filters_come_with_the_subscription_or_later_and_go_with_it() {
        let mut table = Subscriptions::new(1, 1);
        let mut epoch = 0;
        for slot in 0..4 {
            table.subscribe(Slot(slot), Transport::StreamRaw, &["c"], &mut |_, message| {
                if let ToHome::Subscribe { epoch: asked, .. } = message {
                    epoch = asked;
                }
            });
        }
        table.filter(Slot(1), "c");
        table.filter(Slot(1), "unknown");
        table.handle(ToCore::Subscribed { channel: "c".into(), epoch, last_id: None }, &mut Vec::new());
        table.handle(content("a"), &mut Vec::new());
        // During a pass, from the front of the list and from its end.
        assert!(table.next_slice(1, &mut Slice::default()));
        table.filter(Slot(0), "c");
        table.filter(Slot(3), "c");
        let (mut plain, mut filtered) = served(&mut table);
        table.handle(content("b"), &mut Vec::new());
        let (more_plain, more_filtered) = served(&mut table);
        plain.extend(more_plain);
        filtered.extend(more_filtered);
        plain.sort_unstable();
        filtered.sort_unstable();
        // The first slice served one of 0, 2 and 3.
        assert_eq!((plain.len() + filtered.len() + 1, table.subscriptions()), (8, 4));
        assert!(table.is_filtered(Slot(3), "c") && !table.is_filtered(Slot(2), "c"));
        (0..4).for_each(|slot| table.unsubscribe(Slot(slot)));
        assert!(table.filtered.is_empty() && table.subscriptions() == 0);
    }
}

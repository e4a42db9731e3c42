//! Shrinks the subscription tables of a core when they have been nearly empty for a while (`crate::slack`).

use super::{LocalChannel, Subscriptions};
use crate::channel::roster::SlotLinks;
use crate::ids::ChannelId;
use crate::slack::{Look, Places, Table};

impl Subscriptions {
    /// Lets `look` shrink all tables.
    pub fn look_at_tables(&mut self, look: &mut Look<'_>) {
        look.at(&mut self.names);
        look.at(&mut ChannelPlaces {
            channels: &mut self.channels,
            free: &mut self.free,
            used: self.names.len(),
        });
        // There are no more slots with links than there are links.
        let used = self.subscriptions;
        self.links.look_at(used, |links: &SlotLinks| !links.is_empty(), look);
        self.waiting.look_at_tables(look);
        self.joining.look_at_tables(look);
        look.at(&mut self.queue);
        look.at(&mut self.lingering);
        look.at(&mut self.missed);
        look.at(&mut self.filtered);
        if let Some(changed) = &mut self.changed {
            look.at(changed);
        }
        if let Some(by_route) = &mut self.by_route {
            by_route.look_at_tables(used, look);
        }
        self.newcomers.look_at_tables(look);
    }
}

/// The places of channels, and the free places.
struct ChannelPlaces<'a> {
    channels: &'a mut Vec<Option<Box<LocalChannel>>>,
    free: &'a mut Vec<ChannelId>,
    used: usize,
}

impl Table for ChannelPlaces<'_> {
    fn used(&self) -> usize {
        self.used
    }

    fn room(&self) -> usize {
        self.channels.capacity()
    }

    fn place_bytes(&self) -> usize {
        size_of::<Option<Box<LocalChannel>>>() + size_of::<ChannelId>()
    }

    /// Removes the free places at the end. From then on the lowest free places are used first, so that the end
    /// becomes free again.
    fn shrink(&mut self) {
        let used = |list: &mut Vec<Option<Box<LocalChannel>>>| {
            Places { list, used: 0, is_used: Option::is_some }.shrink();
        };
        used(self.channels);
        let free = self.channels.iter().enumerate().rev().filter(|(_, channel)| channel.is_none());
        *self.free = free.map(|(place, _)| ChannelId(place as u32)).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::{ToCore, ToHome, Transport};
    use crate::ids::Slot;
    use crate::proto::grip::Publication;
    use crate::slack::Slack;

    const MANY: u32 = 50_000;

    fn subscribe(table: &mut Subscriptions, slot: u32, channel: &str) {
        let mut asked = Vec::new();
        table.subscribe(Slot(slot), Transport::StreamRaw, &[channel], &mut |_, message| asked.push(message));
        for message in asked {
            let ToHome::Subscribe { channel, epoch } = message else { continue };
            table.handle(ToCore::Subscribed { channel, epoch, last_id: None }, &mut Vec::new());
        }
    }

    #[test]
    fn tables_shrink_around_those_who_stay() {
        let mut table = Subscriptions::new(1, 1);
        (0..MANY).for_each(|slot| subscribe(&mut table, slot, &format!("c{slot}")));
        (0..MANY).filter(|slot| *slot != 7).for_each(|slot| table.unsubscribe(Slot(slot)));
        table.set_now(1);
        table.expire(usize::MAX, &mut |_, _| {});
        let mut slack = Slack::default();
        let given_back: usize = (0..30)
            .map(|tick| {
                let mut look = slack.look(tick);
                table.look_at_tables(&mut look);
                look.given_back()
            })
            .sum();
        assert!(given_back > 50 * MANY as usize, "{given_back} bytes");
        assert_eq!((table.channels.len(), table.links.places(), table.free.len()), (8, 8 + 1, 7));
        // Subscribers that stayed get their items, and new subscribers take the free places.
        (0..7).for_each(|slot| subscribe(&mut table, slot, &format!("d{slot}")));
        assert_eq!((table.channels.len(), table.channels_of(Slot(7))), (8, vec!["c7".into()]));
        let mut item = Publication::new("c7");
        item.stream = Some(crate::proto::grip::StreamFormat::Content("x".into()));
        table.handle(ToCore::Deliver(item.into()), &mut Vec::new());
        assert_eq!(table.pending().0, 1);
    }
}

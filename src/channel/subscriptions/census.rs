//! Lists channels and subscribers for operators, in pages, so that no query costs more than one page. Channels are
//! listed by their places in the table, which do not change. The subscribers of a channel are listed from the end of
//! its lists downwards: if a subscriber leaves, its place is taken by one from above, which was listed already. So a
//! subscriber that stays during the whole listing is always listed.

use super::Subscriptions;
use crate::channel::audience::Audience;
use crate::channel::roster::{number_of, place_of};
use crate::channel::transport::Transport;
use crate::ids::Slot;
use std::sync::Arc;

/// Places of the table that are examined for one page.
const LOOKED_AT: usize = 10_000;

/// One page of a listing.
pub struct Page<T> {
    /// The items of this page.
    pub items: Vec<T>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<u32>,
}

impl Subscriptions {
    /// Up to `limit` channels that have subscribers and whose names begin with `prefix`, beginning at place `from`.
    pub fn list(&self, from: u32, prefix: &str, limit: usize) -> Page<Arc<str>> {
        let mut items = Vec::new();
        for (place, channel) in self.channels.iter().enumerate().skip(from as usize) {
            if items.len() == limit || place - from as usize == LOOKED_AT {
                return Page { items, next: Some(place as u32) };
            }
            let listed = channel.as_ref().filter(|it| it.roster.len() > 0 && it.name.starts_with(prefix));
            items.extend(listed.map(|channel| channel.name.clone()));
        }
        Page { items, next: None }
    }

    /// The numbers of subscribers of `channel`.
    pub fn audience(&self, channel: &str) -> Audience {
        let channel = self.names.get(channel).and_then(|id| self.channel(*id));
        channel.map_or_else(Audience::default, |channel| Audience::all(&channel.roster))
    }

    /// Up to `limit` subscribers of `channel`, from below position `before` downwards.
    pub fn members(&self, channel: &str, before: u32, limit: usize) -> Page<(Slot, Transport)> {
        let mut items = Vec::new();
        let Some(channel) = self.names.get(channel).and_then(|id| self.channel(*id)) else {
            return Page { items, next: None };
        };
        let (from, index) = place_of(before);
        for transport in Transport::ALL.into_iter().rev().filter(|by| number_of(*by, 0) <= before) {
            let entries = channel.roster.entries(transport);
            let below = if transport == from { entries.len().min(index as usize) } else { entries.len() };
            for (place, entry) in entries.iter().enumerate().take(below).rev() {
                if items.len() == limit {
                    return Page { items, next: Some(number_of(transport, place as u32 + 1)) };
                }
                items.push((entry.slot, transport));
            }
        }
        Page { items, next: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::{ToCore, ToHome};

    /// A table with slots 0.. subscribed as `subscribed` lists: each has a transport and a channel.
    fn table(subscribed: &[(Transport, &str)]) -> Subscriptions {
        let mut table = Subscriptions::new(1, 1);
        for (slot, (transport, channel)) in subscribed.iter().enumerate() {
            let mut asked = Vec::new();
            table.subscribe(Slot(slot as u32), *transport, &[channel], &mut |_, message| asked.push(message));
            for message in asked {
                let ToHome::Subscribe { channel, epoch } = message else { continue };
                table.handle(ToCore::Subscribed { channel, epoch, last_id: None }, &mut Vec::new());
            }
        }
        table
    }

    #[test]
    fn channels_are_listed_in_pages_and_only_with_subscribers() {
        let by = Transport::StreamChunked;
        let mut table = table(&[(by, "a1"), (by, "b"), (by, "a2"), (by, "a3")]);
        table.unsubscribe(Slot(2));
        let page = table.list(0, "a", 1);
        assert_eq!((page.items, page.next), (vec!["a1".into()], Some(1)));
        let page = table.list(1, "a", 1);
        assert_eq!((page.items, page.next), (vec!["a3".into()], None));
        let page = table.list(9, "", 1);
        assert_eq!((page.items.len(), page.next), (0, None));
    }

    #[test]
    fn members_are_listed_once_even_if_others_leave_meanwhile() {
        let (poll, socket) = (Transport::Response, Transport::Socket);
        let mut table = table(&[(poll, "c"), (poll, "c"), (poll, "c"), (socket, "c"), (socket, "c")]);
        let audience = Audience { responses: 3, streams: 0, sockets: 2 };
        assert_eq!((table.audience("c"), table.audience("d")), (audience, Audience::default()));
        let slots =
            |page: &Page<(Slot, Transport)>| page.items.iter().map(|item| item.0.0).collect::<Vec<_>>();
        let first = table.members("c", u32::MAX, 3);
        assert_eq!(slots(&first), [4, 3, 2]);
        table.unsubscribe(Slot(0));
        let second = table.members("c", first.next.unwrap(), 3);
        assert_eq!((slots(&second), second.next), (vec![1, 2], None));
    }
}

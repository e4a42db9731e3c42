//! WebSockets join and leave single channels while they are open. Each joined channel comes into force by itself,
//! when its home has acknowledged it.

use super::{Readiness, Subscriptions};
use crate::channel::home::home_of;
use crate::channel::message::ToHome;
use crate::channel::roster::Link;
use crate::channel::transport::Transport;
use crate::ids::{CoreId, Slot};
use smallvec::SmallVec;

impl Subscriptions {
    /// Subscribes a WebSocket to another channel; `transport` is that of its other channels. Returns
    /// [`Readiness::Waiting`] if the home must acknowledge first. A channel that it has or waits for already stays as
    /// it is.
    pub fn join(
        &mut self,
        slot: Slot,
        transport: Transport,
        channel: &str,
        out: &mut impl FnMut(CoreId, ToHome),
    ) -> Readiness {
        debug_assert!(!self.waiting.contains(slot), "a WebSocket joins when its first channels are in force");
        let id = self.find_or_ask(channel, out);
        if self.joining.contains(slot, id) {
            return Readiness::Waiting;
        }
        let is_live = self.channel(id).is_some_and(|channel| channel.live);
        let has_it = self.links_of(slot).iter().any(|link| link.channel == id);
        if !has_it {
            self.newcomers.add(slot, id, home_of(channel, self.cores));
        }
        match (has_it, is_live) {
            (true, _) => {}
            (false, true) => self.admit(slot, transport, &[id]),
            (false, false) => {
                self.joining.add(slot, transport, id);
                return Readiness::Waiting;
            }
        }
        Readiness::Ready
    }

    /// Whether a WebSocket waits for a channel to come into force.
    pub fn is_joining(&self, slot: Slot) -> bool {
        self.joining.channels_of(slot).next().is_some()
    }

    /// Removes a WebSocket from one channel; returns whether it was subscribed or waited for it.
    pub fn leave(&mut self, slot: Slot, channel: &str) -> bool {
        let Some(&id) = self.names.get(channel) else { return false };
        if self.joining.remove(slot, id) {
            self.forget(slot, id);
            self.maybe_linger(id);
            return true;
        }
        let links = self.links.get_mut(slot);
        let place = |links: &SmallVec<_>| links.iter().position(|link: &Link| link.channel == id);
        let Some((links, place)) = links.and_then(|links| place(links).map(|place| (links, place))) else {
            return false;
        };
        let link = links.swap_remove(place);
        self.remove_entry(slot, link);
        self.maybe_linger(id);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::message::ToCore;

    fn join(table: &mut Subscriptions, slot: u32, channel: &str) -> (Readiness, Option<u32>) {
        let mut asked = None;
        let readiness = table.join(Slot(slot), Transport::Socket, channel, &mut |_, message| {
            if let ToHome::Subscribe { epoch, .. } = message {
                asked = Some(epoch);
            }
        });
        (readiness, asked)
    }

    #[test]
    fn a_channel_joined_twice_counts_once_and_left_early_is_not_joined() {
        let mut table = Subscriptions::new(1, 1);
        let (readiness, epoch) = join(&mut table, 1, "a");
        assert_eq!((readiness, epoch.is_some()), (Readiness::Waiting, true));
        assert_eq!(join(&mut table, 1, "a"), (Readiness::Waiting, None));
        assert_eq!(join(&mut table, 2, "a"), (Readiness::Waiting, None));
        assert!(table.leave(Slot(2), "a") && !table.leave(Slot(2), "a") && !table.leave(Slot(2), "b"));
        let mut ready = Vec::new();
        let epoch = epoch.unwrap_or_default();
        table.handle(ToCore::Subscribed { channel: "a".into(), epoch, last_id: None }, &mut ready);
        assert_eq!((ready, table.subscriptions()), (vec![Slot(1)], 1));
        assert_eq!(join(&mut table, 1, "a"), (Readiness::Ready, None));
        assert_eq!(join(&mut table, 2, "a"), (Readiness::Ready, None));
        assert!(table.leave(Slot(1), "a"));
        assert_eq!(table.channels_of(Slot(2)), ["a".into()]);
        table.unsubscribe(Slot(2));
        assert_eq!(table.subscriptions(), 0);
    }
}

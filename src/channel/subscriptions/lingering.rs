//! Channels without subscribers. They stay for a while with their interest kept, so that long polls, which leave and
//! come back with every item, cause no messages in the mesh.

use super::{LocalChannel, Subscriptions};
use crate::channel::home::home_of;
use crate::channel::message::ToHome;
use crate::ids::{ChannelId, CoreId};

impl Subscriptions {
    /// Removes channels that have lingered long enough, and looks at no more than `limit`; `out` gets the messages to
    /// their homes. Returns whether there may be more.
    pub fn expire(&mut self, limit: usize, out: &mut impl FnMut(CoreId, ToHome)) -> bool {
        for _ in 0..limit {
            let Some(&(since, id)) = self.lingering.front() else { return false };
            if self.now_tick.wrapping_sub(since) < self.linger_ticks {
                return false;
            }
            self.lingering.pop_front();
            let (now, linger) = (self.now_tick, self.linger_ticks);
            let Some(channel) = self.channel_mut(id) else { continue };
            channel.lingers = false;
            let since = channel.idle_since;
            if !self.is_idle(id) {
                continue;
            }
            if now.wrapping_sub(since) >= linger {
                self.give_up(id, out);
            } else {
                self.linger(id);
            }
        }
        true
    }

    /// Lets `id` linger, if it is not in use any more.
    pub(super) fn maybe_linger(&mut self, id: ChannelId) {
        if !self.is_idle(id) {
            return;
        }
        let now = self.now_tick;
        if let Some(channel) = self.channel_mut(id) {
            channel.idle_since = now;
            self.linger(id);
        }
    }

    /// Queues `id` to be examined when it may have lingered long enough. The queue is in order of time, so a channel
    /// that was in use meanwhile is examined again, and lingers up to twice as long.
    fn linger(&mut self, id: ChannelId) {
        let now = self.now_tick;
        let Some(channel) = self.channel_mut(id) else { return };
        if !std::mem::replace(&mut channel.lingers, true) {
            self.lingering.push_back((now, id));
        }
    }

    /// Whether the channel has no subscribers, no waiting rows, and nothing to write.
    fn is_idle(&self, id: ChannelId) -> bool {
        let unused = |channel: &LocalChannel| channel.roster.len() == 0 && !channel.queued;
        self.channel(id).is_some_and(unused) && !self.waiting.any_with(id) && !self.joining.any_for(id)
    }

    fn give_up(&mut self, id: ChannelId, out: &mut impl FnMut(CoreId, ToHome)) {
        let Some(channel) = self.channels.get_mut(id.0 as usize).and_then(Option::take) else { return };
        self.names.remove(&channel.name);
        self.free.push(id);
        let home = home_of(&channel.name, self.cores);
        out(home, ToHome::Unsubscribe { channel: channel.name, epoch: channel.epoch });
    }
}

//! The update on first subscription (`channels.update_on_first_subscription`): a while after this core began to listen
//! to a channel, every hold on the channel refetches. Publishers that send only subscribed channels (ZeroMQ's XPUB)
//! hear of a subscription some time after it is in force here, and the refetch finds the items that they held back
//! meanwhile. Publishers that call the control port do not need it.

use super::Delivery;
use crate::channel::ToCore;
use crate::context::ticks;
use std::collections::VecDeque;
use std::sync::Arc;

/// How long a publisher may take to hear of a subscription, ms. Pushpin waits as long.
const DELAY_MS: u64 = 1_000;

/// Channels that this core has listened to for a short while, each with the tick at which its holds refetch, in the
/// order of these ticks.
pub(super) type FirstSubscriptions = VecDeque<(u32, Arc<str>)>;

impl Delivery {
    /// If `message` says that this core now listens to a channel, schedules the refetches of the channel.
    pub(super) fn note_first_subscription(&self, message: &ToCore) {
        if let ToCore::Subscribed { channel, .. } = message
            && self.context.settings().channels.update_on_first_subscription
        {
            let due = self.context.now().wrapping_add(ticks(DELAY_MS));
            self.first_subscriptions.borrow_mut().push_back((due, channel.clone()));
        }
    }

    /// Has the holds on all channels whose time has come refetch.
    pub fn update_first_subscribed(&self) {
        loop {
            let channel = {
                let mut waiting = self.first_subscriptions.borrow_mut();
                let is_due = |due: u32| (due.wrapping_sub(self.context.now()) as i32) <= 0;
                let Some((_, channel)) = waiting.pop_front_if(|(due, _)| is_due(*due)) else { return };
                channel
            };
            let held = self.subscriptions.borrow().held_on_channel(&channel);
            held.into_iter().for_each(|slot| self.lost_track(slot));
        }
    }
}

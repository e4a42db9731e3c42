//! The update on first subscription, for those who ask for it: a while after a core began to listen to a channel, who is
//! held on it asks its application again. Publishers that send only what is listened to (ZeroMQ's XPUB) hear of a
//! subscription some time after it is in force here; what they held back meanwhile is found that way. Publishers that
//! call Gripwire need none of it.

use super::Delivery;
use crate::channel::ToCore;
use crate::context::ticks;
use std::collections::VecDeque;
use std::sync::Arc;

/// How long a publisher may take to hear of a subscription, ms. Pushpin waits as long.
const DELAY_MS: u64 = 1_000;

/// Channels that are listened to since a short while, and when that is over, in that order.
pub(super) type FirstSubscriptions = VecDeque<(u32, Arc<str>)>;

impl Delivery {
    /// Notes what a home has said, if it is that this core listens to a channel from now on.
    pub(super) fn note_first_subscription(&self, message: &ToCore) {
        if let ToCore::Subscribed { channel, .. } = message
            && self.context.settings().channels.update_on_first_subscription
        {
            let due = self.context.now().wrapping_add(ticks(DELAY_MS));
            self.first_subscriptions.borrow_mut().push_back((due, channel.clone()));
        }
    }

    /// Has those ask again whose channel's time has come.
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

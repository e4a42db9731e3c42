//! What a core knows of its channels, on its way to another process.

use super::Delivery;
use crate::channel::{ChannelActivity, HeardUpTo};
use crate::ids::Slot;

impl Delivery {
    /// Whether this core has taken all messages that homes have sent it.
    pub fn has_taken_all(&self) -> bool {
        self.subscriptions.borrow().has_taken_all()
    }

    /// For each channel whose ids the subscriber follows, the id of the last item that was put out for it: items that
    /// wait for its filters are among those that it has.
    pub fn heard_before_filters(&self, slot: Slot) -> Vec<HeardUpTo> {
        self.subscriptions.borrow().heard(slot)
    }

    /// How many messages of homes this core has taken.
    pub fn taken(&self) -> u64 {
        self.subscriptions.borrow().taken()
    }

    /// When items last arrived on the channels here.
    pub fn pack_activity(&self) -> Vec<ChannelActivity> {
        self.subscriptions.borrow().pack_activity()
    }

    /// Items last arrived on channels in another process, as `activity` says.
    pub fn take_over_activity(&self, activity: Vec<ChannelActivity>) {
        self.subscriptions.borrow_mut().take_over_activity(activity);
    }
}

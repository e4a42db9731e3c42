//! Takes the messages of channels' homes for this core.

use super::Delivery;
use crate::channel::{Reach, ToCore};
use crate::clients::Reason;
use crate::ids::{CoreId, Slot};
use crate::proto::grip::Receipt;
use std::rc::Rc;

/// While this many publications, or this many bytes of them, wait for fan-out, no more are taken.
const PENDING_PUBLICATIONS: usize = 16 * 1024;
const PENDING_BYTES: usize = 64 * 1024 * 1024;

impl Delivery {
    /// Takes a message of a home about subscriptions or items.
    pub fn take(self: &Rc<Self>, message: ToCore) {
        if let ToCore::Placed { receipt, cores } = message {
            return self.receipts.borrow_mut().placed(receipt, cores);
        }
        if let ToCore::Recover { home } = message {
            return self.recover_from(home);
        }
        if let ToCore::RecoverChannel { channel } = message {
            return self.recover_on(&channel);
        }
        self.note_first_subscription(&message);
        if let ToCore::Deliver(publication) = &message {
            self.tell_of_delivery(publication);
        }
        let mut ready: Vec<Slot> = Vec::new();
        self.subscriptions.borrow_mut().handle(message, &mut ready);
        self.book_pending();
        for slot in ready {
            if let Some(held) = self.clients.held(slot) {
                held.subscribed(slot);
            }
        }
        self.report_unheard();
        self.context.wake();
    }

    /// Books the bytes of the items that wait for the fan-out.
    pub(super) fn book_pending(&self) {
        let (_, bytes) = self.subscriptions.borrow().pending();
        self.pending.borrow_mut().set(bytes);
    }

    /// Whether the fan-out has room for more publications.
    pub fn has_room(&self) -> bool {
        let (publications, bytes) = self.subscriptions.borrow().pending();
        publications < PENDING_PUBLICATIONS && bytes < PENDING_BYTES
    }

    /// Counts a message that was taken from `home`.
    pub fn took_from(&self, home: CoreId) {
        self.subscriptions.borrow_mut().took(home);
    }

    /// An item of this core has been written to the last of its subscribers on another core. `reach` counts that core's
    /// subscribers.
    pub fn reached(&self, receipt: Receipt, reach: Reach) {
        self.receipts.borrow_mut().reached(receipt, reach);
    }

    /// The hold in `slot` may have missed an item: has it refetch.
    pub fn lost_track(&self, slot: Slot) {
        if let Some(held) = self.clients.held(slot) {
            held.refetch(slot, Reason::Missed);
        }
    }

    /// The home on core `home` has forgotten its last ids: has all holds on its channels refetch.
    fn recover_from(&self, home: CoreId) {
        let held = self.subscriptions.borrow().held_on(home);
        held.into_iter().for_each(|slot| self.lost_track(slot));
        self.subscriptions.borrow_mut().forget_last_ids(home);
    }

    /// The home of `channel` has forgotten the last id of `channel`: has all holds on it refetch.
    fn recover_on(&self, channel: &str) {
        let held = self.subscriptions.borrow().held_on_channel(channel);
        held.into_iter().for_each(|slot| self.lost_track(slot));
        self.subscriptions.borrow_mut().forget_last_id(channel);
    }

    /// Logs and reports that `publication` is about to be delivered to its subscribers on this core.
    fn tell_of_delivery(&self, publication: &std::sync::Arc<crate::proto::grip::Publication>) {
        let logs = self.context.settings().log.requests;
        if self.context.stats_reporter.is_none() && !logs {
            return;
        }
        let receivers = self.audience(&publication.channel).concerned_by(publication);
        if logs {
            let channel = &*publication.channel;
            let (id, receivers) = (publication.id.as_deref(), receivers.total());
            tracing::info!(channel, id, receivers, "published");
        }
        if let Some(reporter) = &self.context.stats_reporter {
            reporter.tell_of_delivery(publication, receivers);
        }
    }
}

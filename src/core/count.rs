//! What goes to and fro between clients, this server and applications, counted for the route of each client: for the reports
//! of the stats socket, and nothing without one. Everything that is counted is counted by what is here.

use super::Core;
use crate::bridge::Tally;
use crate::ids::Slot;

impl Core {
    /// Counts something for the route of the client in `slot`.
    pub(super) fn count_for(&self, slot: Slot, count: impl FnOnce(&mut Tally)) {
        let Some(watch) = &self.watch else { return };
        let tally = self.rows.borrow_mut().get(slot).map(|row| row.tally);
        if let Some(tally) = tally {
            watch.tallies.borrow_mut().count(tally, count);
        }
    }

    /// Counts what was published to the clients of each route.
    pub(super) fn count_sent(&self) {
        let Some(watch) = &self.watch else { return };
        let mut tallies = watch.tallies.borrow_mut();
        for (tally, sent) in self.subscriptions.borrow_mut().take_sent() {
            tallies.count(tally, |tally| {
                tally.sent += sent.items.total() as u64;
                tally.responses_sent += sent.items.responses as u64;
                tally.blocks_sent += sent.blocks;
                tally.client.sent.content_bytes += sent.content_bytes;
                tally.client.sent.messages += sent.items.sockets as u64;
            });
        }
    }
}

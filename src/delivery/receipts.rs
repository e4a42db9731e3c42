//! Receipts, as far as delivery is concerned with them: publish calls that wait to hear whom their items reached, and
//! this core's reports to the cores of publishers. `channel::Receipts` keeps the state of both.

use super::Delivery;
use crate::bell::Bell;
use crate::channel::{Counting, Reach, Sent, TooMany};
use crate::proto::grip::Publication;
use std::rc::Rc;

/// A publish call that waits for its receipts. Dropping this value forgets the call.
pub struct ExpectedReceipts {
    delivery: Rc<Delivery>,
    ticket: u64,
    bell: Rc<Bell>,
}

impl Drop for ExpectedReceipts {
    fn drop(&mut self) {
        self.delivery.receipts.borrow_mut().forget(self.ticket);
    }
}

impl ExpectedReceipts {
    /// Waits until every item is settled.
    pub async fn settled(&self) {
        while self.delivery.receipts.borrow().is_waiting(self.ticket) {
            self.bell.rung().await;
        }
    }

    /// The state of each item, as far as it is known by now.
    pub fn into_items(self) -> Vec<Sent> {
        self.delivery.receipts.borrow_mut().forget(self.ticket).unwrap_or_default()
    }
}

impl Delivery {
    /// Asks for receipts of all `publications`, which are about to be published.
    ///
    /// # Errors
    /// If too many receipts are under way already.
    pub fn expect_receipts(
        self: &Rc<Self>,
        publications: &mut [Publication],
    ) -> Result<ExpectedReceipts, TooMany> {
        let (ticket, bell) = self.receipts.borrow_mut().expect(self.context.id, publications)?;
        Ok(ExpectedReceipts { delivery: self.clone(), ticket, bell })
    }

    /// Counts the subscribers that an item was written to. After the last of them, tells the publisher of the item.
    pub(super) fn count_reach(&self, Counting { receipt, is_last, .. }: Counting, reach: Reach) {
        let all = self.receipts.borrow_mut().count(receipt, reach, is_last);
        if let Some(reach) = all {
            self.queries.report(receipt, reach);
        }
    }

    /// Tells publishers of items that found no subscriber here.
    pub(super) fn report_unheard(&self) {
        let unheard = self.subscriptions.borrow_mut().take_unheard();
        unheard.into_iter().for_each(|receipt| self.queries.report(receipt, Reach::default()));
    }
}

//! What of receipts is this room's: publish calls that wait to hear whom their items reached, and reports to the cores whose
//! publishers do. `channel::Receipts` keeps both ends.

use super::Delivery;
use crate::bell::Bell;
use crate::channel::{Counting, Reach, Sent, TooMany};
use crate::proto::grip::Publication;
use std::rc::Rc;

/// A publish call that wants a receipt; nobody waits for it any more when this is dropped.
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

    /// What is known by now.
    pub fn into_items(self) -> Vec<Sent> {
        self.delivery.receipts.borrow_mut().forget(self.ticket).unwrap_or_default()
    }
}

impl Delivery {
    /// Asks for receipts of all `publications`, which are about to be published.
    pub fn expect_receipts(
        self: &Rc<Self>,
        publications: &mut [Publication],
    ) -> Result<ExpectedReceipts, TooMany> {
        let (ticket, bell) = self.receipts.borrow_mut().expect(self.context.id, publications)?;
        Ok(ExpectedReceipts { delivery: self.clone(), ticket, bell })
    }

    /// Counts those who were written to, and tells the publisher of their item when they were the last.
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

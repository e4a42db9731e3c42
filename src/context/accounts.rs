//! What a core keeps for its clients, in bytes: booked where it is kept, and given back when its owner lets go of it. The
//! limits of `[limits]` and `[websocket]` are rules over one account each, the memory ceiling is a rule over all of them
//! (`ceiling`).

use std::cell::Cell;
use std::rc::Rc;

/// The accounts of a core.
#[derive(Default)]
pub struct Accounts {
    /// Parts of request heads, and requests that came behind another one.
    pub heads: Account,
    /// Requests that are being answered: their heads, and what of their bodies is kept.
    pub requests: Account,
    /// What WebSockets keep of what their clients send.
    pub incoming: Account,
    /// Held long polls: their requests, to ask again, and their answers for when their time is up.
    pub polls: Account,
    /// Memory is short, and resetting the largest clients does not help: new clients and requests are refused.
    is_full: Cell<bool>,
}

/// The bytes that all owners of one kind keep on a core.
#[derive(Clone, Default)]
pub struct Account(Rc<Cell<usize>>);

/// The bytes that one owner keeps.
#[derive(Default)]
pub struct Booking {
    account: Option<Account>,
    bytes: usize,
}

impl Accounts {
    /// Bytes on all accounts.
    pub fn bytes(&self) -> usize {
        let Accounts { heads, requests, incoming, polls, is_full: _ } = self;
        [heads, requests, incoming, polls].into_iter().map(Account::bytes).sum()
    }

    /// Whether new clients and requests are refused because memory is short.
    pub fn is_full(&self) -> bool {
        self.is_full.get()
    }

    /// From now on new clients and requests are refused, or not.
    pub fn set_full(&self, is_full: bool) {
        self.is_full.set(is_full);
    }
}

impl Account {
    /// Bytes on this account.
    pub fn bytes(&self) -> usize {
        self.0.get()
    }

    /// A booking of `bytes` on this account.
    pub fn book(&self, bytes: usize) -> Booking {
        let mut booking = Booking { account: Some(self.clone()), bytes: 0 };
        booking.set(bytes);
        booking
    }
}

impl Booking {
    /// The owner keeps `bytes` now. A booking that is on no account stays empty.
    pub fn set(&mut self, bytes: usize) {
        let Some(Account(all)) = &self.account else { return };
        all.set(all.get() - self.bytes + bytes);
        self.bytes = bytes;
    }

    /// Bytes that the owner keeps.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Booking {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_booked_is_given_back_however_it_ends() {
        let accounts = Accounts::default();
        let mut one = accounts.polls.book(10);
        let other = accounts.polls.book(5);
        one.set(3);
        assert_eq!((accounts.polls.bytes(), accounts.bytes()), (8, 8));
        one.set(0);
        one.set(1);
        drop((one, other));
        assert_eq!(accounts.bytes(), 0);
        let mut on_none = Booking::default();
        on_none.set(7);
        assert_eq!((on_none.bytes(), accounts.bytes()), (0, 0));
    }
}

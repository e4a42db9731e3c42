//! The owners of kept bytes. An owner is a client, with the slot of its connection, its address, and the application that its
//! requests go to. All bookings of one client share one [`Owner`], which is created with the first of them and dropped
//! with the last. So a change of a booking adds to a few numbers and looks nothing up. The table finds owners by slot, and
//! has only weak references to them.

use super::kind::Kind;
use super::sums::{Share, Sums};
use crate::ids::{ApplicationId, Slot};
use crate::proto::client_network::ClientNetwork;
use crate::slack::Look;
use rustc_hash::FxHashMap;
use std::cell::{Cell, RefCell};
use std::hash::Hash;
use std::rc::{Rc, Weak};

/// The sums of all owners, and the sums by key.
#[derive(Default)]
pub(super) struct Table {
    by_kind: [Cell<usize>; Kind::COUNT],
    clients: RefCell<FxHashMap<Slot, Weak<Owner>>>,
    pub networks: Sums<ClientNetwork>,
    pub applications: Sums<ApplicationId>,
}

/// A client, or another owner, for whom bytes are kept.
pub struct Owner {
    table: Rc<Table>,
    /// The slot of its connection, if it has one.
    slot: Option<Slot>,
    network: RefCell<Option<Share<ClientNetwork>>>,
    application: RefCell<Option<Share<ApplicationId>>>,
    /// Bytes that are freed when its connection is reset.
    own: Cell<usize>,
    /// The bytes of `own`, and those that are kept for a while after a reset.
    all: Cell<usize>,
}

impl Table {
    pub fn bytes(&self) -> usize {
        self.by_kind.iter().map(Cell::get).sum()
    }

    pub fn of_kind(&self, kind: Kind) -> &Cell<usize> {
        let [heads, requests, incoming, polls, filters, variables, conversations, items] = &self.by_kind;
        match kind {
            Kind::Heads => heads,
            Kind::Requests => requests,
            Kind::Incoming => incoming,
            Kind::Polls => polls,
            Kind::Filters => filters,
            Kind::Variables => variables,
            Kind::Conversations => conversations,
            Kind::Items => items,
        }
    }

    /// The owner for the client in `slot`, if anything is booked for it.
    pub fn client(&self, slot: Slot) -> Option<Rc<Owner>> {
        self.clients.borrow().get(&slot).and_then(Weak::upgrade)
    }

    pub fn forget_client(&self, slot: Slot) {
        self.clients.borrow_mut().remove(&slot);
    }

    pub fn look_at_tables(&self, look: &mut Look<'_>) {
        look.at(&mut *self.clients.borrow_mut());
        self.networks.look_at_tables(look);
        self.applications.look_at_tables(look);
    }

    /// The number of clients in the table.
    #[cfg(test)]
    pub fn clients(&self) -> usize {
        self.clients.borrow().len()
    }
}

impl Owner {
    /// A new owner, for whom nothing is booked yet.
    pub(super) fn new(table: &Rc<Table>, slot: Option<Slot>, network: Option<ClientNetwork>) -> Rc<Owner> {
        let owner = Rc::new(Owner {
            table: table.clone(),
            slot,
            network: network.map(|network| table.networks.join(network)).into(),
            application: RefCell::default(),
            own: Cell::default(),
            all: Cell::default(),
        });
        if let Some(slot) = slot {
            table.clients.borrow_mut().insert(slot, Rc::downgrade(&owner));
        }
        owner
    }

    /// Sets the client's address, which its request has shown.
    pub fn is_at(&self, network: ClientNetwork) {
        self.table.networks.change_key(&mut self.network.borrow_mut(), Some(network), self.all.get());
    }

    /// Sets the application that the client's requests go to. `None` stands for one in this process.
    pub fn asks(&self, application: Option<ApplicationId>) {
        self.table.applications.change_key(&mut self.application.borrow_mut(), application, self.all.get());
    }

    /// Bytes that are freed when its connection is reset.
    pub(super) fn bytes(&self) -> usize {
        self.own.get()
    }

    /// Counts that a booking has `after` bytes instead of `before`.
    pub(super) fn change(&self, kind: Kind, outlives_connection: bool, before: usize, after: usize) {
        let change = |sum: &Cell<usize>| sum.set(sum.get() - before + after);
        change(self.table.of_kind(kind));
        change(&self.all);
        if !outlives_connection {
            change(&self.own);
        }
        change_share(&self.network, before, after);
        change_share(&self.application, before, after);
    }
}

fn change_share<K: Copy + Eq + Hash>(share: &RefCell<Option<Share<K>>>, before: usize, after: usize) {
    if let Some(share) = &*share.borrow() {
        share.change(before, after);
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        debug_assert_eq!((self.own.get(), self.all.get()), (0, 0), "its bookings were dropped before it");
        self.table.networks.change_key(self.network.get_mut(), None, 0);
        self.table.applications.change_key(self.application.get_mut(), None, 0);
        let Some(slot) = self.slot else { return };
        let mut clients = self.table.clients.borrow_mut();
        // Another client may be in the slot by now.
        if clients.get(&slot).is_some_and(|known| std::ptr::eq(known.as_ptr(), self)) {
            clients.remove(&slot);
        }
    }
}

//! Counts the bytes that a core keeps, by kind, client, address and application. The code that keeps bytes makes a
//! [`Booking`] for them. The booking names its [`Owner`], and subtracts its bytes from all sums when it is dropped. An owner is
//! in the table only while it has a booking, so a client for whom nothing is kept costs nothing here. The limits in
//! `[limits]` and `[websocket]` each apply to one kind, and the memory ceiling applies to all of them (`context::rules`,
//! `core::ceiling`). `owner` has the sums of one owner, `sums` those of an address or an application.

mod booking;
mod kind;
mod owner;
mod sums;
#[cfg(test)]
mod tests;

pub use booking::Booking;
pub use kind::Kind;
pub use owner::Owner;

use crate::ids::{ApplicationId, Slot};
use crate::proto::client_network::ClientNetwork;
use crate::slack::Look;
use owner::Table;
use std::cell::Cell;
use std::rc::Rc;

/// The accounts of a core.
#[derive(Default)]
pub struct Accounts {
    table: Rc<Table>,
    /// New clients and requests are refused, because memory is short and resetting the largest clients does not help.
    is_full: Cell<bool>,
}

impl Accounts {
    /// Bytes of all bookings.
    pub fn bytes(&self) -> usize {
        self.table.bytes()
    }

    /// Bytes of all bookings of one kind.
    pub fn bytes_of(&self, kind: Kind) -> usize {
        self.table.of_kind(kind).get()
    }

    /// Bytes that would be freed if the client in `slot` were reset.
    pub fn client_bytes(&self, slot: Slot) -> usize {
        self.table.client(slot).map_or(0, |owner| owner.bytes())
    }

    /// The owner for the client in `slot`. If it is new, its address is `peer`.
    pub fn client(&self, slot: Slot, peer: impl FnOnce() -> ClientNetwork) -> Rc<Owner> {
        self.table.client(slot).unwrap_or_else(|| Owner::new(&self.table, Some(slot), Some(peer())))
    }

    /// A new owner for a client without a connection of its own.
    pub fn without_connection(&self, network: ClientNetwork) -> Rc<Owner> {
        Owner::new(&self.table, None, Some(network))
    }

    /// A new owner for bytes that are kept for many clients, or for a client that is not known.
    pub fn nobody(&self) -> Rc<Owner> {
        Owner::new(&self.table, None, None)
    }

    /// Tells that the connection in `slot` has ended, so that the next client in that slot gets an owner of its own. Bookings
    /// of the old client still count for its address and its application until they are dropped.
    pub fn ended(&self, slot: Slot) {
        self.table.forget_client(slot);
    }

    /// The address for whose clients most bytes are kept, and their number.
    pub fn heaviest_network(&self) -> Option<(ClientNetwork, usize)> {
        self.table.networks.heaviest()
    }

    /// The application for whose clients most bytes are kept, and their number.
    pub fn heaviest_application(&self) -> Option<(ApplicationId, usize)> {
        self.table.applications.heaviest()
    }

    /// Whether new clients and requests are refused because memory is short.
    pub fn is_full(&self) -> bool {
        self.is_full.get()
    }

    /// Sets whether new clients and requests are refused.
    pub fn set_full(&self, is_full: bool) {
        self.is_full.set(is_full);
    }

    /// Shows the tables to `look`, which shrinks tables that have been nearly empty for a while.
    pub fn look_at_tables(&self, look: &mut Look<'_>) {
        self.table.look_at_tables(look);
    }
}

//! A booking: bytes that are kept for one owner in one place. They are in the sums for as long as the booking exists.

use super::kind::Kind;
use super::owner::Owner;
use std::rc::Rc;

/// The bytes that are kept for one owner in one place.
#[derive(Default)]
pub struct Booking(Option<Entry>);

struct Entry {
    owner: Rc<Owner>,
    kind: Kind,
    /// The bytes are not freed with the owner's connection.
    outlives_connection: bool,
    bytes: usize,
}

impl Owner {
    /// A booking of `bytes` that are freed when the owner's connection is reset.
    pub fn book(self: Rc<Self>, kind: Kind, bytes: usize) -> Booking {
        Booking::new(self, kind, false, bytes)
    }

    /// A booking of `bytes` that are kept for a while after the owner's connection is reset, so that a reset does not free
    /// them at once.
    pub fn book_beyond_connection(self: Rc<Self>, kind: Kind, bytes: usize) -> Booking {
        Booking::new(self, kind, true, bytes)
    }
}

impl Booking {
    fn new(owner: Rc<Owner>, kind: Kind, outlives_connection: bool, bytes: usize) -> Booking {
        let mut booking = Booking(Some(Entry { owner, kind, outlives_connection, bytes: 0 }));
        booking.set(bytes);
        booking
    }

    /// Changes the booking to `bytes`. A booking without an owner stays empty.
    pub fn set(&mut self, bytes: usize) {
        if let Some(entry) = &mut self.0 {
            entry.owner.change(entry.kind, entry.outlives_connection, entry.bytes, bytes);
            entry.bytes = bytes;
        }
    }

    /// Bytes that are kept.
    pub fn bytes(&self) -> usize {
        self.0.as_ref().map_or(0, |entry| entry.bytes)
    }

    /// The owner of the bytes.
    pub fn owner(&self) -> Option<&Rc<Owner>> {
        self.0.as_ref().map(|entry| &entry.owner)
    }
}

impl Drop for Booking {
    fn drop(&mut self) {
        self.set(0);
    }
}

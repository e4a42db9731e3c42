//! Holds clients again that another process has packed. In the new process a hold is [`Adopted`] until the homes have
//! acknowledged its client's subscriptions, like a hold that is opened for the first time.

use super::Holds;
use super::packed::{Adoptable, HoldKind, Packed};
use crate::channel::Readiness;
use crate::clients::{CloseReason, Description, Held, InKernel, ItemOffer, Reason, Undeliverable};
use crate::ids::Slot;
use crate::proto::grip::Publication;
use bytes::Bytes;
use std::os::fd::OwnedFd;
use std::rc::Rc;

/// A hold whose client's subscriptions are not in force again yet. Nothing happens to the client meanwhile, because
/// nothing is read or published.
struct Adopted {
    holds: Rc<Holds>,
    hold: Rc<dyn Adoptable>,
}

/// In the process that takes clients over.
impl Holds {
    /// Adds the descriptors of the connections to applications that belong to the clients which are taken over next.
    pub fn give_connections(&self, connections: Vec<OwnedFd>) {
        let mut connections = connections;
        // They are taken from the end.
        connections.reverse();
        *self.connections.borrow_mut() = connections;
    }

    /// Holds the client in `slot`, which was taken over, as it was held in the other process.
    ///
    /// # Errors
    /// When `packed` cannot be read; the client is not held.
    pub fn take_over(self: &Rc<Self>, slot: Slot, packed: &[u8]) -> Result<(), postcard::Error> {
        let Packed { kind, hold, channels, heard, filtering } = postcard::from_bytes(packed)?;
        let hold = self.hold_of(slot, kind, &hold)?;
        let transport = hold.transport();
        self.adopting.set(self.adopting.get() + 1);
        self.clients.hold_again(slot, Rc::new(Adopted { holds: self.clone(), hold }));
        let names: Vec<&str> = channels.iter().map(|name| &**name).collect();
        let mut asks = Vec::new();
        let readiness = self.delivery.subscribe(slot, transport, &names, &mut asks);
        self.publishing.send_home_all(asks);
        heard.iter().for_each(|(channel, id)| self.delivery.follow(slot, channel, id));
        if let Some(filtering) = filtering {
            self.filters.take_over(slot, filtering);
        }
        if readiness == Readiness::Ready
            && let Some(held) = self.clients.held(slot)
        {
            held.subscribed(slot);
        }
        Ok(())
    }

    /// How many clients whose subscriptions are not in force again are held here.
    pub fn adopting(&self) -> usize {
        self.adopting.get()
    }

    fn hold_of(
        self: &Rc<Self>,
        slot: Slot,
        kind: HoldKind,
        packed: &[u8],
    ) -> Result<Rc<dyn Adoptable>, postcard::Error> {
        Ok(match kind {
            HoldKind::Poll => self.poll_again(slot, postcard::from_bytes(packed)?),
            HoldKind::Stream => self.stream_again(postcard::from_bytes(packed)?),
            HoldKind::Linked => self.linked_again(postcard::from_bytes(packed)?),
            HoldKind::WebSocket => self.socket_again(slot, postcard::from_bytes(packed)?)?,
        })
    }
}

impl Held for Adopted {
    fn describe(&self) -> Description {
        self.hold.describe()
    }

    fn received(self: Rc<Self>, slot: Slot, bytes: &[u8]) {
        self.holds.clients.keep_ahead(slot, bytes);
    }

    fn is_due(self: Rc<Self>, _slot: Slot) {}

    fn ended(self: Rc<Self>, slot: Slot) {
        self.holds.adopting.set(self.holds.adopting.get() - 1);
        self.hold.clone().ended(slot);
    }

    fn subscribed(self: Rc<Self>, slot: Slot) {
        self.holds.adopting.set(self.holds.adopting.get() - 1);
        self.holds.clients.hold_by(slot, self.hold.clone());
        self.hold.clone().adopted(slot);
    }

    fn offer(&self, _item: &Publication) -> Option<ItemOffer> {
        None
    }

    fn deliver(self: Rc<Self>, _: Slot, _: &Publication, _: Option<Bytes>) -> Result<(), Undeliverable> {
        Err(Undeliverable::Dropped)
    }

    fn end(self: Rc<Self>, _slot: Slot) {}

    fn close(self: Rc<Self>, slot: Slot, _reason: CloseReason<'_>) {
        self.holds.clients.reset(slot, InKernel::Delivered);
    }

    fn refetch(self: Rc<Self>, _slot: Slot, _reason: Reason) {}

    fn pack(self: Rc<Self>, _slot: Slot) -> Option<Bytes> {
        None
    }

    fn moved(self: Rc<Self>, _slot: Slot) {}

    fn refresh(self: Rc<Self>, _slot: Slot) -> bool {
        false
    }
}

//! Gives a client's row to a hold, and takes it back. A held client may send the bytes of its next request ahead; its
//! row keeps them.

use super::Clients;
use super::exchange::{Asked, Exchange, INBOX_BYTES};
use super::held::Held;
use super::request::Request;
use super::row::Phase;
use crate::ids::Slot;
use crate::proto::http1::{BodyLength, Version};
use bytes::BytesMut;
use std::rc::Rc;

impl Clients {
    /// The hold of the client in `slot`, if it is held.
    pub fn held(&self, slot: Slot) -> Option<Rc<dyn Held>> {
        self.rows.borrow_mut().get(slot).and_then(|row| row.held().cloned())
    }

    /// Whether `held` is the hold of the client in `slot`.
    pub fn is_held_by<H: Held + 'static>(&self, slot: Slot, held: &Rc<H>) -> bool {
        let current = self.held(slot);
        current.is_some_and(|current| Rc::as_ptr(&current).cast::<()>() == Rc::as_ptr(held).cast())
    }

    /// Makes `held` the hold of the client of `exchange`. Returns the bytes that the client has sent ahead; `None` if
    /// the client is gone.
    pub fn hold(&self, exchange: &Rc<Exchange>, held: Rc<dyn Held>) -> Option<BytesMut> {
        let rest = exchange.take_rest();
        {
            let mut rows = self.rows.borrow_mut();
            let row = rows.get(exchange.slot).filter(|row| row.is_answered_by(exchange))?;
            row.phase = Phase::Held(held);
        }
        self.cancel_timer(exchange.slot);
        Some(rest)
    }

    /// Replaces the hold of the client in `slot` by `held`.
    pub fn hold_by(&self, slot: Slot, held: Rc<dyn Held>) {
        if let Some(row) = self.rows.borrow_mut().get(slot) {
            debug_assert!(row.held().is_some(), "only a client that is held changes hands");
            row.phase = Phase::Held(held);
        }
    }

    /// Keeps `bytes` that the client has sent ahead. If there are many of them, the client is paused.
    pub fn keep_ahead(&self, slot: Slot, bytes: &[u8]) {
        let ahead = {
            let mut rows = self.rows.borrow_mut();
            rows.get(slot).map_or(0, |row| row.keep(bytes, row.owner(slot, &self.context.accounts)))
        };
        if ahead > INBOX_BYTES {
            self.pause(slot);
        }
    }

    /// Takes the client out of its hold: its row waits for a request. Returns the bytes that the client has sent ahead;
    /// `None` if the client is not held.
    pub fn let_go(&self, slot: Slot) -> Option<BytesMut> {
        let ahead = {
            let mut rows = self.rows.borrow_mut();
            let row = rows.get(slot).filter(|row| row.held().is_some())?;
            row.phase = Phase::Head;
            row.carry.take().map(|carry| carry.into_bytes()).unwrap_or_default()
        };
        self.read_on(slot, ahead.len());
        Some(ahead)
    }

    /// Begins an exchange for the refetch of a client that [`Clients::let_go`] took out of its hold. `asked` says how
    /// the answer must look, `ahead` are the bytes that the client has sent ahead.
    pub fn answer_refetch(
        self: &Rc<Self>,
        slot: Slot,
        asked: Asked,
        ahead: BytesMut,
    ) -> Option<Rc<Exchange>> {
        let exchange = Exchange::new(self.clone(), slot, asked, BodyLength::None, false, ahead);
        {
            let mut rows = self.rows.borrow_mut();
            rows.get(slot)?.phase = Phase::Exchange(exchange.clone());
        }
        self.set_timer(slot, self.context.settings().http.idle_timeout_ms);
        Some(exchange)
    }

    /// Begins an exchange for `request`, which this server itself has sent by the virtual `slot`.
    pub fn begin_virtual(self: &Rc<Self>, slot: Slot, request: &Request) -> Option<Rc<Exchange>> {
        self.rows.borrow_mut().open(slot, request.service, request.peer);
        let asked = Asked { version: Version::Http11, keep_alive: true, head: false };
        self.answer_refetch(slot, asked, BytesMut::new())
    }
}

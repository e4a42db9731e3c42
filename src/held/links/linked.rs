//! A stream with links: it is held, or continues with its next link at once.

use super::gone::GoneLink;
use super::state::{Doing, Due, State, remaining};
use super::target::Next;
use crate::channel::Missed;
use crate::clients::{Asked, CloseReason, Description, Held, ItemOffer, Reason, Undeliverable};
use crate::context::ticks;
use crate::held::Holds;
use crate::held::keep_alive::StreamTerms;
use crate::held::opens::Opens;
use crate::held::stream;
use crate::ids::Slot;
use crate::proto::grip::{Format, Publication, Then};
use crate::requests::Origin;
use bytes::Bytes;
use std::cell::RefCell;
use std::rc::Rc;

/// A stream with links.
pub(in crate::held) struct Linked {
    pub(super) holds: Rc<Holds>,
    pub(super) origin: Rc<Origin>,
    /// How the stream's body is written.
    pub(super) asked: Asked,
    /// The body is a list of Server-Sent Events.
    pub(super) is_events: bool,
    pub(super) state: RefCell<State>,
}

impl Linked {
    /// A stream on `terms` that is held, or that continues with its link at once (`goes_on`).
    pub fn new(
        holds: &Rc<Holds>,
        origin: Rc<Origin>,
        terms: StreamTerms,
        next: Option<Next>,
        gone: Option<GoneLink>,
        goes_on: bool,
    ) -> Rc<Linked> {
        let StreamTerms { keep_alive, asked, is_events, debug: _ } = terms;
        let state = State::new(keep_alive, next, gone, goes_on).into();
        Rc::new(Linked { holds: holds.clone(), origin, asked, is_events, state })
    }

    /// The stream was opened, or its link's answer was appended: starts its clock.
    pub(super) fn is_open(self: &Rc<Self>, slot: Slot) {
        let (delay_ms, goes_on) = {
            let mut state = self.state.borrow_mut();
            (state.restart_clock(self.holds.context.now()), state.goes_on())
        };
        match delay_ms {
            Some(delay_ms) => self.holds.clients.set_timer(slot, delay_ms),
            None => self.holds.clients.cancel_timer(slot),
        }
        if goes_on && !self.holds.clients.is_backlogged(slot) {
            self.fetch_next(slot, Reason::Hint);
        }
    }

    /// Delivers the items that the stream had missed when its subscription came into force.
    pub(super) fn make_up(self: &Rc<Self>, slot: Slot) {
        let Missed { items, more } = self.holds.delivery.take_missed(slot);
        let behind = {
            let mut state = self.state.borrow_mut();
            let after = if more { state.behind + 1 } else { 0 };
            std::mem::replace(&mut state.behind, after)
        };
        for item in &items {
            match self.holds.delivery.is_filtered(slot, &item.channel) {
                true => self.holds.filters.deliver_filtered(slot, std::slice::from_ref(item)),
                false => self.make_up_with(slot, item),
            }
        }
        self.holds.context.wake();
        if more {
            self.fetch_next(slot, Reason::Behind(behind));
        }
    }

    fn make_up_with(self: &Rc<Self>, slot: Slot, item: &Publication) {
        if !self.holds.clients.is_held_by(slot, self) {
            return;
        }
        let part = self.asked.body_writer().published(item);
        let part = part.filter(|_| item.is_plain(Format::Stream)).cloned().unwrap_or_default();
        if self.holds.clients.send(slot, part).is_err() {
            return self.holds.clients.reset_overflowed(slot);
        }
        if item.then_stream() == Then::End {
            self.clone().end_body(slot);
        }
    }

    /// Ends the stream's body, and with it the stream.
    pub(super) fn end_body(self: Rc<Self>, slot: Slot) {
        self.holds.end_body(slot, self.asked);
        self.tell_gone(slot);
    }

    /// The ticks until all channels of `slot` will have been quiet for `timeout_s`, if nothing is published; `None` if
    /// they have been already.
    fn quiet_for(&self, slot: Slot, timeout_s: u64) -> Option<u32> {
        let (since, now) = (self.holds.delivery.quiet_since(slot)?, self.holds.context.now());
        let due = since.wrapping_add(ticks(timeout_s.saturating_mul(1000)));
        ((due.wrapping_sub(now) as i32) > 0).then(|| remaining(due, now))
    }

    /// Drops the gone link, which notifies the application, if this stream no longer holds the client.
    fn tell_gone(self: &Rc<Self>, slot: Slot) {
        if !self.holds.clients.is_held_by(slot, self) {
            let mut state = self.state.borrow_mut();
            state.doing = Doing::Held;
            drop(state.gone.take());
        }
    }
}

impl Held for Linked {
    fn describe(&self) -> Description {
        stream::describe(self.asked, self.origin.route().debug)
    }

    fn received(self: Rc<Self>, slot: Slot, bytes: &[u8]) {
        self.holds.clients.keep_ahead(slot, bytes);
    }

    fn drained(self: Rc<Self>, slot: Slot) {
        let goes_on = self.state.borrow().goes_on();
        if goes_on {
            self.fetch_next(slot, Reason::Hint);
        }
    }

    fn is_due(self: Rc<Self>, slot: Slot) {
        let now = self.holds.context.now();
        let Due { keep_alive, next_after_s } = self.state.borrow_mut().take_due(now);
        let keep_alive_ms = keep_alive.map(|keep_alive| self.holds.keep_stream_alive(slot, &keep_alive));
        let next_in = next_after_s.and_then(|timeout_s| self.quiet_for(slot, timeout_s));
        let delay_ms = self.state.borrow_mut().wind(now, keep_alive_ms, next_in);
        if let Some(delay_ms) = delay_ms {
            self.holds.clients.set_timer(slot, delay_ms);
        }
        if next_after_s.is_some() && next_in.is_none() {
            self.fetch_next(slot, Reason::Missed);
        }
    }

    fn ended(self: Rc<Self>, slot: Slot) {
        self.holds.delivery.unsubscribe(slot);
        self.tell_gone(slot);
    }

    fn subscribed(self: Rc<Self>, slot: Slot) {
        self.holds.release_stream(slot);
        if self.holds.clients.is_held_by(slot, &self) {
            self.make_up(slot);
        }
    }

    fn offer(&self, item: &Publication) -> Option<ItemOffer> {
        stream::offer(item)
    }

    fn deliver(
        self: Rc<Self>,
        slot: Slot,
        item: &Publication,
        content: Option<Bytes>,
    ) -> Result<(), Undeliverable> {
        match self.holds.write_to_stream(slot, self.asked, item, content)? {
            Then::Refetch => self.fetch_next(slot, Reason::Hint),
            Then::End => self.tell_gone(slot),
            Then::Stay | Then::Refresh => {}
        }
        Ok(())
    }

    fn end(self: Rc<Self>, slot: Slot) {
        self.holds.end_stream(slot, self.asked);
        self.tell_gone(slot);
    }

    fn close(self: Rc<Self>, slot: Slot, reason: CloseReason<'_>) {
        self.holds.close_stream(slot, self.asked, self.is_events, reason);
        self.tell_gone(slot);
    }

    fn refetch(self: Rc<Self>, slot: Slot, reason: Reason) {
        self.fetch_next(slot, reason);
    }

    fn pack(self: Rc<Self>, slot: Slot) -> Option<Bytes> {
        self.packed(slot)
    }

    fn moved(self: Rc<Self>, slot: Slot) {
        self.holds.delivery.unsubscribe(slot);
        let gone = {
            let mut state = self.state.borrow_mut();
            state.doing = Doing::Held;
            state.gone.take()
        };
        gone.into_iter().for_each(GoneLink::disarm);
    }

    fn refresh(self: Rc<Self>, slot: Slot) -> bool {
        let can_ask = self.state.borrow().next.is_some();
        if can_ask {
            self.fetch_next(slot, Reason::Hint);
        }
        can_ask
    }
}

impl Opens for Linked {
    fn opened(self: Rc<Self>, slot: Slot) {
        self.is_open(slot);
        self.make_up(slot);
    }
}

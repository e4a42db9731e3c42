//! Held streams without links, and the functions that all streams share. Such a stream is nothing but the row of its
//! client and its entries in the subscription table: one [`Stream`] holds all streams on the same terms.

use super::Holds;
use super::keep_alive::{KeepAlive, StreamTerms};
use super::opens::Opens;
use crate::clients::{Asked, CloseReason, Description, Held, InKernel, ItemOffer, Reason, Undeliverable};
use crate::context::TICK_MS;
use crate::ids::Slot;
use crate::proto::grip::{Format, KeepAliveMode, Publication, StreamFormat, Then};
use crate::wire::Overflow;
use bytes::Bytes;
use std::rc::Rc;

/// The hold of all streams on the same terms.
pub(super) struct Stream {
    holds: Rc<Holds>,
    terms: StreamTerms,
}

impl Stream {
    /// A hold for a stream on `terms`, shared with other streams on these terms.
    pub fn share(holds: &Rc<Holds>, terms: StreamTerms) -> Rc<dyn Opens> {
        let last =
            holds.last_stream.borrow().as_ref().filter(|(last, _)| *last == terms).map(|(_, it)| it.clone());
        if let Some(same) = last.and_then(|last| last.upgrade()) {
            return same;
        }
        let stream: Rc<dyn Opens> = Rc::new(Stream { holds: holds.clone(), terms: terms.clone() });
        *holds.last_stream.borrow_mut() = Some((terms, Rc::downgrade(&stream)));
        stream
    }
}

impl Held for Stream {
    fn describe(&self) -> Description {
        describe(self.terms.asked, self.terms.debug)
    }

    fn received(self: Rc<Self>, slot: Slot, bytes: &[u8]) {
        self.holds.clients.keep_ahead(slot, bytes);
    }

    fn is_due(self: Rc<Self>, slot: Slot) {
        if let Some(keep_alive) = &self.terms.keep_alive {
            let delay_ms = self.holds.keep_stream_alive(slot, keep_alive);
            self.holds.clients.set_timer(slot, delay_ms);
        }
    }

    fn ended(self: Rc<Self>, slot: Slot) {
        self.holds.delivery.unsubscribe(slot);
    }

    fn subscribed(self: Rc<Self>, _slot: Slot) {
        debug_assert!(false, "a stream without links is open when its channels are in force");
    }

    fn offer(&self, item: &Publication) -> Option<ItemOffer> {
        offer(item)
    }

    fn deliver(
        self: Rc<Self>,
        slot: Slot,
        item: &Publication,
        content: Option<Bytes>,
    ) -> Result<(), Undeliverable> {
        self.holds.write_to_stream(slot, self.terms.asked, item, content).map(drop)
    }

    fn end(self: Rc<Self>, slot: Slot) {
        self.holds.end_stream(slot, self.terms.asked);
    }

    fn close(self: Rc<Self>, slot: Slot, reason: CloseReason<'_>) {
        self.holds.close_stream(slot, self.terms.asked, self.terms.is_events, reason);
    }

    fn refetch(self: Rc<Self>, _slot: Slot, _reason: Reason) {}

    fn refresh(self: Rc<Self>, _slot: Slot) -> bool {
        false
    }
}

impl Opens for Stream {
    fn opened(self: Rc<Self>, slot: Slot) {
        // Without a link, missed items cannot be requested.
        drop(self.holds.delivery.take_missed(slot));
    }
}

/// The description of a stream.
pub(super) fn describe(asked: Asked, debug: bool) -> Description {
    let transport = Some(asked.body_writer().transport());
    Description { transport, debug, can_end: true, ..Description::default() }
}

/// The part of `item` for a stream.
pub(super) fn offer(item: &Publication) -> Option<ItemOffer> {
    let content = match item.stream.as_ref()? {
        StreamFormat::Content(content) => Some(content.clone()),
        StreamFormat::Hint | StreamFormat::Close => None,
    };
    Some(ItemOffer { format: Format::Stream, content })
}

impl Holds {
    /// Writes `item` to a stream. If filters have made other `content`, it replaces the item's. Returns what follows
    /// the item.
    ///
    /// # Errors
    /// If the backlog has no room for it.
    pub(super) fn write_to_stream(
        &self,
        slot: Slot,
        asked: Asked,
        item: &Publication,
        content: Option<Bytes>,
    ) -> Result<Then, Undeliverable> {
        let body = asked.body_writer();
        let part = match content {
            None => body.published(item).cloned().unwrap_or_default(),
            Some(content) => body.part(&content),
        };
        if !part.is_empty() && self.clients.send(slot, part).is_err() {
            self.delivery.overflowed(slot);
            return Err(Undeliverable::Dropped);
        }
        let then = item.then_stream();
        if then == Then::End {
            self.end_body(slot, asked);
        }
        Ok(then)
    }

    /// Ends the stream in `slot`, whose end was sent.
    pub(super) fn end_stream(&self, slot: Slot, asked: Asked) {
        self.delivery.unsubscribe(slot);
        self.release_stream(slot);
        let Some(ahead) = self.clients.let_go(slot) else { return };
        match asked.keep_alive && asked.body_writer().leaves_connection() {
            true => self.clients.next_request(slot, ahead),
            false => self.clients.close(slot, !ahead.is_empty()),
        }
    }

    /// Ends the body of the stream in `slot`, and with it the stream.
    pub(super) fn end_body(&self, slot: Slot, asked: Asked) {
        let end = asked.body_writer().end();
        if !end.is_empty() && self.clients.send(slot, end).is_err() {
            return self.clients.reset_overflowed(slot);
        }
        self.end_stream(slot, asked);
        self.context.wake();
    }

    /// Closes the stream in `slot`, with the proper end of its body. `is_events` says that its client reads Server-Sent
    /// Events.
    pub(super) fn close_stream(&self, slot: Slot, asked: Asked, is_events: bool, reason: CloseReason<'_>) {
        match reason {
            CloseReason::Drain => self.drain_stream(slot, asked, is_events),
            CloseReason::Operator => match self.clients.send(slot, asked.body_writer().end()) {
                Ok(()) => self.clients.close(slot, true),
                Err(Overflow) => self.clients.reset(slot, InKernel::Delivered),
            },
            CloseReason::Undelivered(error) => {
                let part = asked.body_writer().part(format!("\n\n{error}\n").as_bytes());
                match self.clients.send(slot, part) {
                    Ok(()) => self.end_body(slot, asked),
                    Err(Overflow) => self.clients.reset_overflowed(slot),
                }
            }
        }
    }

    /// Sends the bytes that have waited for the channels of the stream in `slot`, if all channels are in force.
    pub(super) fn release_stream(&self, slot: Slot) {
        if self.delivery.is_joining(slot) {
            return;
        }
        match self.clients.uncork(slot) {
            Ok(()) => self.context.wake(),
            Err(Overflow) => self.clients.reset_overflowed(slot),
        }
    }

    /// Sends the stream in `slot` its keep-alive, unless it was sent something else lately. Returns when to look again,
    /// ms from now.
    pub(super) fn keep_stream_alive(&self, slot: Slot, keep_alive: &KeepAlive) -> u64 {
        if keep_alive.mode == KeepAliveMode::Idle {
            let quiet_ms = match self.delivery.last_stream_activity(slot) {
                Some(last) => u64::from(self.context.now().wrapping_sub(last)) * TICK_MS,
                None => keep_alive.period_ms,
            };
            if quiet_ms < keep_alive.period_ms {
                return keep_alive.period_ms - quiet_ms;
            }
        }
        // A client with a backlog needs no keep-alive.
        if !self.clients.is_backlogged(slot) {
            self.context.metrics.keep_alives_total.add(1);
            let _ = self.clients.send(slot, keep_alive.frame.clone());
            self.clients.count_for(slot, |route_stats| route_stats.activity += 1);
        }
        self.context.wake();
        keep_alive.period_ms
    }
}

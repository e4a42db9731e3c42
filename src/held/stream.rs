//! Held streams without links, and the functions that all streams share. Such a stream is nothing but the row of its
//! client and its entries in the subscription table: one [`Stream`] holds all streams on the same terms.

use super::Holds;
use super::keep_alive::{KeepAlive, StreamTerms};
use super::opens::Opens;
use super::packed::{Adoptable, HoldKind};
use crate::channel::Transport;
use crate::clients::{Asked, CloseReason, Description, Held, InKernel, ItemOffer, Reason, Undeliverable};
use crate::context::TICK_MS;
use crate::ids::Slot;
use crate::proto::grip::{Format, KeepAliveMode, Publication, StreamFormat, Then};
use crate::wire::Overflow;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::rc::Rc;

/// The hold of all streams on the same terms.
pub(super) struct Stream {
    holds: Rc<Holds>,
    terms: StreamTerms,
}

impl Stream {
    /// A hold for a stream on `terms`, shared with other streams on these terms.
    pub fn share(holds: &Rc<Holds>, terms: StreamTerms) -> Rc<Stream> {
        let last =
            holds.last_stream.borrow().as_ref().filter(|(last, _)| *last == terms).map(|(_, it)| it.clone());
        if let Some(same) = last.and_then(|last| last.upgrade()) {
            return same;
        }
        let stream = Rc::new(Stream { holds: holds.clone(), terms: terms.clone() });
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

    fn pack(self: Rc<Self>, slot: Slot) -> Option<Bytes> {
        let Stream { holds, terms } = &*self;
        holds.pack(slot, HoldKind::Stream, &PackedTerms::of(terms))
    }

    fn moved(self: Rc<Self>, slot: Slot) {
        self.holds.delivery.unsubscribe(slot);
    }
}

/// The terms of a stream without links, as a value.
#[derive(Serialize, Deserialize)]
pub(super) struct PackedTerms {
    keep_alive: Option<KeepAlive>,
    asked: Asked,
    debug: bool,
    is_events: bool,
}

impl PackedTerms {
    pub fn of(terms: &StreamTerms) -> PackedTerms {
        let StreamTerms { keep_alive, asked, debug, is_events } = terms;
        let keep_alive = keep_alive.as_ref().map(|keep_alive| (**keep_alive).clone());
        PackedTerms { keep_alive, asked: *asked, debug: *debug, is_events: *is_events }
    }
}

impl Holds {
    /// The stream that was packed in another process.
    pub(super) fn stream_again(self: &Rc<Self>, packed: PackedTerms) -> Rc<Stream> {
        let PackedTerms { keep_alive, asked, debug, is_events } = packed;
        let keep_alive = keep_alive.map(|keep_alive| keep_alive.share_with(&self.last_keep_alive));
        Stream::share(self, StreamTerms { keep_alive, asked, debug, is_events })
    }
}

impl Adoptable for Stream {
    fn transport(&self) -> Transport {
        self.terms.asked.body_writer().transport()
    }

    fn adopted(self: Rc<Self>, slot: Slot) {
        self.opened(slot);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::pinned::pinned;
    use serde_json::json;

    #[test]
    fn the_form_of_the_first_version_is_pinned() {
        let keep_alive = json!({ "frame": [10], "period_ms": 55_000, "mode": "Idle" });
        let asked = json!({ "version": "Http10", "keep_alive": false, "head": false });
        pinned::<PackedTerms>(
            json!({ "keep_alive": keep_alive, "asked": asked, "debug": false, "is_events": true }),
            "01010ad8ad03000000000001",
        );
    }
}

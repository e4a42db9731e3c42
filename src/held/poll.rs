//! A held long poll: what it is answered with when nothing is published, and how to ask its application again.

use super::Holds;
use super::kept_request::KeptRequest;
use super::opens::Opens;
use crate::channel::Transport;
use crate::clients::{
    Asked, CloseReason, Description, Held, InKernel, ItemOffer, Reason, Undeliverable, answer,
};
use crate::context::Booking;
use crate::ids::Slot;
use crate::proto::grip::{Answer, Format, Publication, ResponseFormat};
use bytes::{Bytes, BytesMut};
use std::cell::RefCell;
use std::rc::Rc;

/// A held long poll.
pub(super) struct Poll {
    holds: Rc<Holds>,
    /// What it is answered with when its time is up.
    timeout_answer: Answer,
    /// How it is answered.
    asked: Asked,
    /// Its client is told why something fails.
    debug: bool,
    /// What it asked; `None` once it is over.
    again: RefCell<Option<Box<KeptRequest>>>,
    /// The bytes of all this.
    booking: Booking,
}

impl Poll {
    /// A long poll that is answered as `asked`, with `timeout_answer` unless something is published.
    pub fn new(
        holds: &Rc<Holds>,
        timeout_answer: Answer,
        asked: Asked,
        debug: bool,
        again: KeptRequest,
        booking: Booking,
    ) -> Rc<Poll> {
        let (holds, again) = (holds.clone(), RefCell::new(Some(again.into())));
        Rc::new(Poll { holds, timeout_answer, asked, debug, again, booking })
    }

    /// Takes the client out of its hands, with what it sent ahead; the client waits for what comes next. `None` if it was
    /// not in them.
    fn take(self: &Rc<Self>, slot: Slot) -> Option<(Box<KeptRequest>, BytesMut)> {
        if !self.holds.clients.is_held_by(slot, self) {
            return None;
        }
        let again = self.again.take()?;
        self.holds.delivery.unsubscribe(slot);
        Some((again, self.holds.clients.let_go(slot)?))
    }

    /// Answers with `answer`, which ends the poll; whether there was room for it.
    fn answer(self: &Rc<Self>, slot: Slot, mut answer: Answer) -> Result<(), Undeliverable> {
        let Holds { context, clients, .. } = &*self.holds;
        let (again, ahead) = self.take(slot).ok_or(Undeliverable::Dropped)?;
        if let Some(cross_origin) = &again.cross_origin {
            answer = cross_origin.answer(&answer);
        }
        clients.count_for(slot, |route_stats| answer::count(route_stats, self.asked, &answer));
        let (bytes, keep) = answer::whole(self.asked, &answer);
        if clients.send(slot, bytes).is_err() {
            clients.reset_overflowed(slot);
            return Err(Undeliverable::Dropped);
        }
        match keep {
            true => clients.next_request(slot, ahead),
            false => clients.close(slot, !ahead.is_empty()),
        }
        context.wake();
        Ok(())
    }
}

impl Held for Poll {
    fn describe(&self) -> Description {
        Description { transport: Some(Transport::Response), debug: self.debug, ..Description::default() }
    }

    fn kept_bytes(&self) -> usize {
        self.booking.bytes()
    }

    fn received(self: Rc<Self>, slot: Slot, bytes: &[u8]) {
        self.holds.clients.keep_ahead(slot, bytes);
    }

    fn is_due(self: Rc<Self>, slot: Slot) {
        let _ = self.answer(slot, self.timeout_answer.clone());
    }

    fn ended(self: Rc<Self>, slot: Slot) {
        self.holds.delivery.unsubscribe(slot);
        // Whoever is to be told that the client is gone is told now.
        drop(self.again.take());
    }

    fn subscribed(self: Rc<Self>, _slot: Slot) {
        debug_assert!(false, "a long poll is open when its channels are in force");
    }

    fn offer(&self, item: &Publication) -> Option<ItemOffer> {
        let content = match item.response.as_ref()? {
            ResponseFormat::Send(message) => message.body_over(&self.timeout_answer),
            ResponseFormat::Hint => None,
        };
        Some(ItemOffer { format: Format::Response, content })
    }

    fn deliver(
        self: Rc<Self>,
        slot: Slot,
        item: &Publication,
        content: Option<Bytes>,
    ) -> Result<(), Undeliverable> {
        match &item.response {
            Some(ResponseFormat::Send(message)) => {
                let answer = match content {
                    Some(content) => message.answer_with(&self.timeout_answer, content),
                    None => message.answer(&self.timeout_answer),
                };
                self.answer(slot, answer)
            }
            Some(ResponseFormat::Hint) => {
                self.refetch(slot, Reason::Hint);
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn end(self: Rc<Self>, _slot: Slot) {}

    fn close(self: Rc<Self>, slot: Slot, reason: CloseReason<'_>) {
        match reason {
            CloseReason::Operator => self.holds.clients.reset(slot, InKernel::Delivered),
            CloseReason::Undelivered(error) => {
                let _ = self.answer(slot, answer::text(502, format!("{error}\n")));
            }
        }
    }

    /// Sends the request to its application again, on behalf of the client.
    fn refetch(self: Rc<Self>, slot: Slot, reason: Reason) {
        let heard = self.holds.delivery.heard_by(slot);
        let Some((mut again, ahead)) = self.take(slot) else { return };
        again.heard = heard;
        let Some(exchange) = self.holds.clients.answer_refetch(slot, self.asked, ahead) else { return };
        exchange.set_cross_origin(again.cross_origin.clone());
        self.holds.refetch_in_task(exchange, again, reason);
    }

    fn refresh(self: Rc<Self>, slot: Slot) -> bool {
        self.refetch(slot, Reason::Hint);
        true
    }
}

impl Opens for Poll {
    /// Gives it what it had missed when its subscription came into force.
    fn opened(self: Rc<Self>, slot: Slot) {
        let missed = self.holds.delivery.take_missed(slot);
        let behind = {
            let mut again = self.again.borrow_mut();
            let Some(again) = again.as_mut() else { return };
            let after = if missed.more { again.behind + 1 } else { 0 };
            std::mem::replace(&mut again.behind, after)
        };
        // The first that answers ends the poll, and the others come to nothing.
        for item in &missed.items {
            if self.holds.delivery.is_filtered(slot, &item.channel) {
                self.holds.filters.deliver_filtered(slot, std::slice::from_ref(item));
            } else if item.is_plain(Format::Response) {
                let _ = self.clone().deliver(slot, item, None);
            }
        }
        if missed.more {
            self.refetch(slot, Reason::Behind(behind));
        }
    }
}

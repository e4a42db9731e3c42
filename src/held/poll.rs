//! A held long poll: its answer if it times out, and its request, which is made again for a refetch.

use super::Holds;
use super::kept_request::{KeptRequest, PackedRequest};
use super::links::GoneLink;
use super::opens::Opens;
use super::packed::{Adoptable, HoldKind};
use crate::channel::Transport;
use crate::clients::counting::{answer_bytes, request_bytes};
use crate::clients::{
    Asked, CloseReason, Description, Held, InKernel, ItemOffer, Reason, Request, Undeliverable, answer,
};
use crate::context::{Booking, Kind};
use crate::ids::Slot;
use crate::proto::grip::{Answer, Format, Publication, ResponseFormat};
use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::rc::Rc;

/// A held long poll.
pub(super) struct Poll {
    holds: Rc<Holds>,
    /// The answer if the poll times out.
    timeout_answer: Answer,
    /// How the answer must look.
    asked: Asked,
    /// The client is told why something fails.
    debug: bool,
    /// The client's request; `None` once the poll has ended.
    again: RefCell<Option<Box<KeptRequest>>>,
    /// The bytes that are kept for the poll, for as long as it is held.
    _booking: Booking,
}

impl Poll {
    /// A long poll that is answered as `asked`, with `timeout_answer` if no item is published in time.
    pub fn new(
        holds: &Rc<Holds>,
        timeout_answer: Answer,
        asked: Asked,
        debug: bool,
        again: KeptRequest,
        booking: Booking,
    ) -> Rc<Poll> {
        let (holds, again) = (holds.clone(), RefCell::new(Some(again.into())));
        Rc::new(Poll { holds, timeout_answer, asked, debug, again, _booking: booking })
    }

    /// Ends the poll: its client's row waits for a request. Returns the poll's request, and the bytes that the client
    /// has sent ahead; `None` if the poll did not hold the client.
    fn take(self: &Rc<Self>, slot: Slot) -> Option<(Box<KeptRequest>, BytesMut)> {
        if !self.holds.clients.is_held_by(slot, self) {
            return None;
        }
        let again = self.again.take()?;
        self.holds.delivery.unsubscribe(slot);
        Some((again, self.holds.clients.let_go(slot)?))
    }

    /// Answers the client, which ends the poll.
    ///
    /// # Errors
    /// If the client's backlog has no room, or the poll does not hold the client.
    fn answer(self: &Rc<Self>, slot: Slot, mut answer: Answer) -> Result<(), Undeliverable> {
        let Holds { context, clients, .. } = &*self.holds;
        let (again, ahead) = self.take(slot).ok_or(Undeliverable::Dropped)?;
        if let Some(cross_origin) = &again.cross_origin {
            answer = cross_origin.answer(&answer);
        }
        clients.count_for(slot, |route_stats| answer::count(route_stats, self.asked, &answer));
        let keep_alive = self.asked.keep_alive && clients.goes_on(slot);
        let (bytes, keep) = answer::whole(Asked { keep_alive, ..self.asked }, &answer);
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
        let transport = Some(Transport::Response);
        Description { transport, debug: self.debug, can_end: true, ..Description::default() }
    }

    fn received(self: Rc<Self>, slot: Slot, bytes: &[u8]) {
        self.holds.clients.keep_ahead(slot, bytes);
    }

    fn is_due(self: Rc<Self>, slot: Slot) {
        let _ = self.answer(slot, self.timeout_answer.clone());
    }

    fn ended(self: Rc<Self>, slot: Slot) {
        self.holds.delivery.unsubscribe(slot);
        // This drops the gone link, which notifies the application.
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
            CloseReason::Drain => drop(self.answer(slot, self.timeout_answer.clone())),
            CloseReason::Undelivered(error) => {
                let _ = self.answer(slot, answer::text(502, format!("{error}\n")));
            }
        }
    }

    /// Makes the client's request to its application again.
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

    fn pack(self: Rc<Self>, slot: Slot) -> Option<Bytes> {
        // A field that is added is to be named here, and packed if another process needs it.
        let Poll { holds, timeout_answer, asked, debug, again, _booking: _ } = &*self;
        let again = PackedRequest::of(again.borrow().as_deref()?);
        let packed =
            PackedPoll { timeout_answer: timeout_answer.clone(), asked: *asked, debug: *debug, again };
        holds.pack(slot, HoldKind::Poll, &packed)
    }

    fn moved(self: Rc<Self>, slot: Slot) {
        self.holds.delivery.unsubscribe(slot);
        let again = self.again.take();
        again.and_then(|again| again.gone).into_iter().for_each(GoneLink::disarm);
    }
}

/// A long poll as a value.
#[derive(Serialize, Deserialize)]
pub(super) struct PackedPoll {
    timeout_answer: Answer,
    asked: Asked,
    debug: bool,
    again: PackedRequest,
}

impl Holds {
    /// The long poll of the client in `slot` that was packed in another process.
    pub(super) fn poll_again(self: &Rc<Self>, slot: Slot, packed: PackedPoll) -> Rc<Poll> {
        let PackedPoll { timeout_answer, asked, debug, again } = packed;
        let again = self.request_again(again);
        let booking = self.clients.owner(slot).book(Kind::Polls, poll_bytes(&again, &timeout_answer));
        Poll::new(self, timeout_answer, asked, debug, again, booking)
    }
}

/// The bytes that are kept for a long poll.
pub(super) fn poll_bytes(again: &KeptRequest, answer: &Answer) -> usize {
    let Request { method, target, headers, .. } = &again.request;
    let heads = request_bytes(method.as_str(), target.as_bytes(), headers)
        + answer_bytes(answer.status, answer.reason.as_deref(), &answer.headers);
    heads as usize + again.body.len() + answer.body.len()
}

impl Adoptable for Poll {
    fn transport(&self) -> Transport {
        Transport::Response
    }

    fn adopted(self: Rc<Self>, slot: Slot) {
        self.opened(slot);
    }
}

impl Opens for Poll {
    /// Delivers the items that the client had missed when its subscription came into force.
    fn opened(self: Rc<Self>, slot: Slot) {
        let missed = self.holds.delivery.take_missed(slot);
        let behind = {
            let mut again = self.again.borrow_mut();
            let Some(again) = again.as_mut() else { return };
            let after = if missed.more { again.behind + 1 } else { 0 };
            std::mem::replace(&mut again.behind, after)
        };
        // The first item that answers the poll ends it; delivering the other items then does nothing.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::pinned::pinned;
    use serde_json::json;

    #[test]
    fn the_form_of_the_first_version_is_pinned() {
        let fields = json!([[[88], [49]]]);
        let origin = json!({
            "asked_for": { "https": true, "authority": "a", "path_and_query": "/" }, "client": 7, "route": "r",
        });
        let request = json!({
            "method": [71, 69, 84], "target": "/p", "host": "a", "headers": fields, "body": { "Length": 3 },
            "peer": null, "service": "Control", "is_trusted": false,
        });
        let gone = json!({
            "target": { "https": false, "authority": "b", "path_and_query": "/gone" }, "origin": origin,
        });
        let allowance = json!({ "origin": [42], "method": null, "headers": null });
        let cross_origin = json!({
            "allowance": allowance, "script": { "callback": "f", "mode": "Extended" },
        });
        let again = json!({
            "request": request, "body": [1, 2, 3], "heard": [["c", "1"]], "behind": 2,
            "cross_origin": cross_origin, "gone": gone,
        });
        let answer = json!({ "status": 200, "reason": "OK", "headers": fields, "body": [111] });
        let asked = json!({ "version": "Http11", "keep_alive": true, "head": false });
        pinned::<PackedPoll>(
            json!({ "timeout_answer": answer, "asked": asked, "debug": true, "again": again }),
            "c80101024f4b0101580131016f0101000103474554022f70016101015801310103000100030102030101630131020101012a00000101660001000162052f676f6e65010161012f070172",
        );
    }
}

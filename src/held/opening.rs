//! Opens holds over HTTP. The task of the request ends; the row, the subscriptions and one timer remain. A hold opens
//! when the homes of all its channels have acknowledged its subscriptions. So every item that is published after the
//! client has seen the opening reaches the client.

use super::Holds;
use super::keep_alive::{KeepAlive, StreamTerms};
use super::kept_request::KeptRequest;
use super::links::{GoneLink, Linked, Links};
use super::opens::Opens;
use super::poll::{Poll, poll_bytes};
use super::stream::Stream;
use crate::channel::{Readiness, Transport};
use crate::clients::answer;
use crate::clients::{
    Asked, CloseReason, Description, Exchange, Held, InKernel, ItemOffer, Reason, Request, Undeliverable,
};
use crate::context::{Booking, Kind};
use crate::ids::Slot;
use crate::origin::RETRY_AFTER_S;
use crate::proto::grip::{Answer, Hold, Mode, Publication};
use crate::requests::Origin;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, header};
use std::cell::RefCell;
use std::rc::Rc;

/// The origin of a hold, and its links.
pub(super) struct HeldFor {
    pub origin: Rc<Origin>,
    pub links: Links,
    /// The answer does not hold the client: the next link is requested as soon as the client has taken the opening.
    pub goes_on: bool,
}

/// A hold that waits until its channels are in force.
struct Unopened {
    holds: Rc<Holds>,
    /// The bytes that the client is sent then.
    opening: RefCell<Bytes>,
    hold: Rc<dyn Opens>,
    /// The delay of the first timer, ms after the opening; 0 is no timer.
    timeout_ms: u64,
}

impl Holds {
    /// Holds the client of `exchange` as `hold` says. `answer` is the opening of a stream, or the answer of a long poll
    /// that times out. `rest_of_opening` is the rest of an opening whose beginning was already sent.
    pub(super) fn hold(
        self: &Rc<Self>,
        exchange: &Rc<Exchange>,
        hold: Hold,
        answer: Answer,
        mut again: KeptRequest,
        rest_of_opening: Option<Bytes>,
        held_for: HeldFor,
    ) {
        let (asked, slot) = (exchange.asked, exchange.slot);
        let mut booking = Booking::default();
        if hold.mode == Mode::Response && !self.may_keep_poll(&mut booking, exchange, &again, &answer) {
            self.context.metrics.refused_holds_total.add(1);
            return answer::send_whole(exchange, &no_room());
        }
        self.log_subscriptions(&hold, &again.request);
        let HeldFor { origin, links, goes_on } = held_for;
        let debug = origin.route().debug;
        let gone = match (links.gone.map(|target| self.gone_link(target, &origin)), again.gone.take()) {
            (Some(gone), before) => {
                before.into_iter().for_each(GoneLink::disarm);
                Some(gone)
            }
            (None, before) => before,
        };
        let (opening, timeout_ms, opens): (Bytes, u64, Rc<dyn Opens>) = match hold.mode {
            Mode::Response => {
                let timeout_ms = hold.timeout_s.saturating_mul(1000);
                let again = KeptRequest { gone, ..again };
                (Bytes::new(), timeout_ms, Poll::new(self, answer, asked, debug, again, booking))
            }
            Mode::Stream => {
                let is_events = is_events(&answer);
                let opening = match rest_of_opening {
                    Some(rest) => {
                        exchange
                            .count(|route_stats| route_stats.client.sent.content_bytes += rest.len() as u64);
                        asked.body_writer().part(&rest)
                    }
                    None => answer::stream_opening(exchange, &answer),
                };
                let keep_alive = hold.keep_alive.as_ref().map(|setting| self.keep_alive(setting, asked));
                let timeout_ms = keep_alive.as_ref().map_or(0, |keep_alive| keep_alive.period_ms);
                let terms = StreamTerms { keep_alive, asked, is_events, debug };
                let opens: Rc<dyn Opens> = match links.next.is_some() || gone.is_some() {
                    true => Linked::new(self, origin.clone(), terms, links.next, gone, goes_on),
                    false => Stream::share(self, terms),
                };
                (opening, timeout_ms, opens)
            }
        };
        let holds = self.clone();
        let unopened = Rc::new(Unopened { holds, opening: opening.into(), hold: opens, timeout_ms });
        let Some(rest) = self.clients.hold(exchange, unopened) else { return };
        if !rest.is_empty() {
            self.clients.keep_ahead(slot, &rest);
        }
        if self.subscribe_hold(slot, transport_of(&hold, asked), &hold, &origin) == Readiness::Ready
            && let Some(held) = self.clients.held(slot)
        {
            held.subscribed(slot);
        }
    }

    /// The keep-alive for a stream. Streams with equal keep-alives share it.
    pub(super) fn keep_alive(&self, setting: &crate::proto::grip::KeepAlive, asked: Asked) -> Rc<KeepAlive> {
        KeepAlive::share(setting, asked, &self.last_keep_alive)
    }

    /// Books the bytes that are kept for a long poll. Returns whether they may be kept.
    fn may_keep_poll(
        &self,
        booking: &mut Booking,
        exchange: &Exchange,
        again: &KeptRequest,
        answer: &Answer,
    ) -> bool {
        let bytes = poll_bytes(again, answer);
        *booking = exchange.owner().book(Kind::Polls, bytes);
        self.context.may_keep(Kind::Polls, bytes)
    }

    /// Subscribes the client in `slot` to the channels of its hold, with their filters.
    fn subscribe_hold(
        &self,
        slot: Slot,
        transport: Transport,
        hold: &Hold,
        asked_at: &Rc<Origin>,
    ) -> Readiness {
        let limit = self.delivery.subscription_limit();
        let beyond = hold.channels.iter().skip(limit).map(|channel| channel.name.as_str());
        self.delivery.refuse_subscriptions(asked_at.route(), beyond);
        let channels: Vec<&str> =
            hold.channels.iter().take(limit).map(|channel| channel.name.as_str()).collect();
        let mut asks = Vec::new();
        let readiness = self.delivery.subscribe(slot, transport, &channels, &mut asks);
        self.publishing.send_home_all(asks);
        for channel in hold.channels.iter().take(limit) {
            if let Some(prev_id) = &channel.prev_id {
                self.delivery.follow(slot, &channel.name, prev_id);
            }
        }
        let names = hold.channels.iter().take(limit).map(|channel| (channel.name.as_str(), channel));
        self.filters.set_filters(slot, names, &hold.meta, asked_at, asked_at.asked_for());
        readiness
    }

    fn log_subscriptions(&self, hold: &Hold, request: &Request) {
        if self.context.settings().log.requests {
            let (host, target) = (request.host.as_str(), self.requests.logged(&request.target));
            for channel in &hold.channels {
                tracing::info!(host, target, channel = channel.name, "subscribed");
            }
        }
    }
}

impl Held for Unopened {
    fn describe(&self) -> Description {
        Description::default()
    }

    fn received(self: Rc<Self>, slot: Slot, bytes: &[u8]) {
        self.holds.clients.keep_ahead(slot, bytes);
    }

    fn is_due(self: Rc<Self>, _slot: Slot) {}

    fn ended(self: Rc<Self>, slot: Slot) {
        self.hold.clone().ended(slot);
    }

    fn subscribed(self: Rc<Self>, slot: Slot) {
        let Holds { context, clients, .. } = &*self.holds;
        clients.hold_by(slot, self.hold.clone());
        if clients.send(slot, self.opening.take()).is_err() {
            return clients.reset_overflowed(slot);
        }
        if self.timeout_ms > 0 {
            clients.set_timer(slot, self.timeout_ms);
        }
        context.metrics.holds_total.add(1);
        context.wake();
        self.hold.clone().opened(slot);
    }

    fn offer(&self, _item: &Publication) -> Option<ItemOffer> {
        None
    }

    fn deliver(self: Rc<Self>, _: Slot, _: &Publication, _: Option<Bytes>) -> Result<(), Undeliverable> {
        Err(Undeliverable::Dropped)
    }

    fn end(self: Rc<Self>, _slot: Slot) {}

    fn close(self: Rc<Self>, slot: Slot, reason: CloseReason<'_>) {
        match reason {
            CloseReason::Operator => self.holds.clients.reset(slot, InKernel::Delivered),
            // The hold opens first, and ends then.
            CloseReason::Drain | CloseReason::Undelivered(_) => {}
        }
    }

    fn refetch(self: Rc<Self>, _slot: Slot, _reason: Reason) {}

    fn refresh(self: Rc<Self>, _slot: Slot) -> bool {
        false
    }

    /// Nothing is packed before all channels are in force.
    fn pack(self: Rc<Self>, _slot: Slot) -> Option<Bytes> {
        None
    }

    fn moved(self: Rc<Self>, _slot: Slot) {}
}

/// The answer if a long poll cannot be held because the kept requests have no more room.
fn no_room() -> Answer {
    answer::unavailable("Too much is held.\n", RETRY_AFTER_S)
}

/// Whether the body of `answer` is a list of Server-Sent Events, to which lines can be added.
fn is_events(answer: &Answer) -> bool {
    let value = |name: HeaderName| answer.headers.get(name).map(HeaderValue::as_bytes);
    let kind = value(header::CONTENT_TYPE).and_then(|value| value.split(|byte| *byte == b';').next());
    let is_plain =
        value(header::CONTENT_ENCODING).is_none_or(|coding| coding.eq_ignore_ascii_case(b"identity"));
    is_plain && kind.is_some_and(|kind| kind.trim_ascii().eq_ignore_ascii_case(b"text/event-stream"))
}

/// The transport of a hold.
pub(super) fn transport_of(hold: &Hold, asked: Asked) -> Transport {
    match hold.mode {
        Mode::Response => Transport::Response,
        Mode::Stream => asked.body_writer().transport(),
    }
}

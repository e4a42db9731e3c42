//! Holds: what becomes of a connection when the application says so. The task of the request ends; what remains is
//! the row, the subscriptions, and one timer. A hold opens when the homes of all its channels have acknowledged it,
//! so that what is published once the client has seen the opening reaches it.

use super::Core;
use super::accounts::Booking;
use super::again::Reason;
use super::connection::Request;
use super::count::{answer_bytes, request_bytes};
use super::exchange::{Asked, Exchange};
use super::links::{GoneLink, Linked, Links, Origin};
use super::row::{Carry, Phase};
use super::{proxy, respond};
use crate::channel::{Format, HeardUpTo, Publication, Readiness, ResponseFormat, Transport};
use crate::ids::Slot;
use crate::origin::RETRY_AFTER_S;
use crate::proto::cross_origin::CrossOrigin;
use crate::proto::grip::{Answer, Hold, KeepAliveMode, Mode};
use crate::proto::http1::{self, Version};
use bytes::{Bytes, BytesMut};
use std::rc::Rc;

/// What may be kept for a long poll whatever others keep: the usual ones go on when some have used up the bound.
const FREE_BYTES: usize = 8 * 1024;

/// A held stream.
pub struct Stream {
    /// What it is sent while nothing is published.
    pub keep_alive: Option<Rc<KeepAlive>>,
    /// How it is written.
    pub asked: Asked,
    /// Its client is told why something fails.
    pub debug: bool,
}

/// A held long poll: what it is answered with when nothing is published, and how to ask the origin again.
pub struct Poll {
    /// What it is answered with when its time is up.
    pub timeout_answer: Answer,
    /// How it is answered.
    pub asked: Asked,
    /// What it asked.
    pub again: Again,
    /// Its client is told why something fails.
    pub debug: bool,
    /// The bytes of all this.
    booking: Booking,
}

impl Poll {
    /// Bytes that are kept for it.
    pub(super) fn kept_bytes(&self) -> usize {
        self.booking.bytes()
    }
}

/// The request of a long poll as it was received, for asking the origin again.
pub struct Again {
    /// Method, target and header fields.
    pub request: Request,
    /// The body.
    pub body: Bytes,
    /// What the client has got of channels whose ids it follows.
    pub heard: Vec<HeardUpTo>,
    /// How often in a row the application's answer was behind what was published when it came.
    pub behind: u32,
    /// What the answer has for a browser of another origin.
    pub(super) cross_origin: Option<Rc<CrossOrigin>>,
    /// Whom to tell that the client is gone.
    pub(super) gone: Option<GoneLink>,
}

/// Where a hold comes from, and its links.
pub(super) struct HeldFor {
    pub origin: Rc<Origin>,
    pub links: Links,
    /// Nothing is held: the next link is asked for as soon as the client has the opening.
    pub goes_on: bool,
}

/// A hold that waits for the acknowledgement of its channels.
pub struct Unopened {
    opening: Bytes,
    hold: Phase,
    timeout_ms: u64,
}

/// What a stream is sent while nothing is published; shared by the streams that have the same.
#[derive(PartialEq, Eq)]
pub struct KeepAlive {
    frame: Bytes,
    /// How often.
    pub period_ms: u64,
    mode: KeepAliveMode,
}

impl Core {
    /// Holds the client of `exchange` as `hold` says. `answer` opens a stream, or answers a long poll in the end;
    /// `rest_of_opening` is what remains to be sent of an opening whose beginning the client has already.
    pub(super) fn hold(
        self: &Rc<Self>,
        exchange: &Rc<Exchange>,
        hold: Hold,
        answer: Answer,
        mut again: Again,
        rest_of_opening: Option<Bytes>,
        held_for: HeldFor,
    ) {
        let (asked, slot) = (exchange.asked, exchange.slot);
        let mut booking = Booking::default();
        if hold.mode == Mode::Response && !self.may_keep_poll(&mut booking, &again, &answer) {
            self.gauges.refused_holds_total.add(1);
            return respond::send_whole(exchange, &no_room());
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
        let transport = transport_of(&hold, asked);
        let asked_at = origin.clone();
        let unopened = match hold.mode {
            Mode::Response => {
                let again = Again { gone, ..again };
                let poll = Poll { timeout_answer: answer, asked, again, debug, booking };
                let timeout_ms = hold.timeout_s.saturating_mul(1000);
                Unopened { opening: Bytes::new(), hold: Phase::Poll(Box::new(poll)), timeout_ms }
            }
            Mode::Stream => {
                let opening = match rest_of_opening {
                    Some(rest) => {
                        exchange.count(|tally| tally.client.sent.content_bytes += rest.len() as u64);
                        respond::part_of_stream(asked, &rest)
                    }
                    None => respond::stream_opening(exchange, &answer),
                };
                let keep_alive = hold.keep_alive.as_ref().map(|setting| self.keep_alive(setting, asked));
                let timeout_ms = keep_alive.as_ref().map_or(0, |keep_alive| keep_alive.period_ms);
                let stream = Stream { keep_alive, asked, debug };
                let hold = match links.next.is_some() || gone.is_some() {
                    true => Phase::Linked(Linked::new(stream, origin, links.next, gone, goes_on).into()),
                    false => Phase::Stream(stream),
                };
                Unopened { opening, hold, timeout_ms }
            }
        };
        let rest = exchange.take_rest();
        {
            let mut rows = self.rows.borrow_mut();
            let Some(row) = rows.get(slot).filter(|row| exchange.owns(&row.phase)) else { return };
            if !rest.is_empty() {
                row.carry = Some(Carry::new(rest, &self.accounts.heads));
            }
            row.phase = Phase::Unopened(Box::new(unopened));
        }
        self.timers.borrow_mut().cancel(slot);
        if self.subscribe_hold(slot, transport, &hold, &asked_at) == Readiness::Ready {
            self.open_hold(slot);
        }
    }

    /// Counts what is kept for a long poll; whether it may be.
    fn may_keep_poll(&self, booking: &mut Booking, again: &Again, answer: &Answer) -> bool {
        let Request { method, target, headers, .. } = &again.request;
        let heads = request_bytes(method.as_str(), target.as_bytes(), headers)
            + answer_bytes(answer.status, answer.reason.as_deref(), &answer.headers);
        let bytes = heads as usize + again.body.len() + answer.body.len();
        *booking = self.accounts.polls.book(bytes);
        bytes <= FREE_BYTES || self.accounts.polls.bytes() <= self.settings().limits.held_bytes_per_core
    }

    /// Subscribes the client in `slot` to the channels of its hold, with their filters.
    fn subscribe_hold(
        &self,
        slot: Slot,
        transport: Transport,
        hold: &Hold,
        asked_at: &Rc<Origin>,
    ) -> Readiness {
        let limit = self.subscription_limit();
        let beyond = hold.channels.iter().skip(limit).map(|channel| channel.name.as_str());
        self.refuse_subscriptions(asked_at.route(), beyond);
        let channels: Vec<&str> =
            hold.channels.iter().take(limit).map(|channel| channel.name.as_str()).collect();
        let mut asks = Vec::new();
        let readiness =
            self.subscriptions.borrow_mut().subscribe(slot, transport, &channels, &mut |core, message| {
                asks.push((core, message));
            });
        asks.into_iter().for_each(|(core, message)| self.send_home(core, message));
        for channel in hold.channels.iter().take(limit) {
            if let Some(prev_id) = &channel.prev_id {
                self.subscriptions.borrow_mut().follow(slot, &channel.name, prev_id);
            }
        }
        let names = hold.channels.iter().take(limit).map(|channel| (channel.name.as_str(), channel));
        self.set_filters(slot, names, &hold.meta, asked_at, asked_at.asked_for());
        readiness
    }

    fn log_subscriptions(&self, hold: &Hold, request: &Request) {
        if self.settings().log.requests {
            let (host, target) = (request.host.as_str(), proxy::logged(self, &request.target));
            for channel in &hold.channels {
                tracing::info!(host, target, channel = channel.name, "subscribed");
            }
        }
    }

    /// All channels of `slot`'s hold are acknowledged, or one more of its WebSocket's.
    pub(super) fn subscribed(self: &Rc<Self>, slot: Slot) {
        let (socket, is_open) = match self.rows.borrow_mut().get(slot).map(|row| &row.phase) {
            Some(Phase::Socket(socket)) => (Some(socket.clone()), true),
            Some(Phase::Linked(_)) => (None, true),
            _ => (None, false),
        };
        match socket {
            Some(socket) => socket.wake(),
            None if is_open => {
                self.release_stream(slot);
                self.make_up(slot);
            }
            None => self.open_hold(slot),
        }
    }

    fn open_hold(self: &Rc<Self>, slot: Slot) {
        let (opening, timeout_ms) = {
            let mut rows = self.rows.borrow_mut();
            let Some(row) = rows.get(slot) else { return };
            let Phase::Unopened(unopened) = std::mem::replace(&mut row.phase, Phase::Head) else {
                debug_assert!(false, "only a hold that waits can open");
                return;
            };
            let Unopened { opening, hold, timeout_ms } = *unopened;
            row.phase = hold;
            (opening, timeout_ms)
        };
        if self.wire.borrow_mut().send(slot, opening).is_err() {
            return self.cut_off(slot);
        }
        if timeout_ms > 0 {
            self.set_timer(slot, timeout_ms);
        }
        self.gauges.holds_total.add(1);
        self.wake();
        self.linked_is_open(slot);
        self.make_up(slot);
    }

    /// Gives what is held in `slot` what it had missed when its subscription came into force.
    pub(super) fn make_up(self: &Rc<Self>, slot: Slot) {
        let missed = self.subscriptions.borrow_mut().take_missed(slot);
        let behind = {
            let mut rows = self.rows.borrow_mut();
            let poll = rows.get(slot).and_then(|row| match &mut row.phase {
                Phase::Poll(poll) => Some(poll),
                _ => None,
            });
            poll.map(|poll| {
                let after = if missed.more { poll.again.behind + 1 } else { 0 };
                std::mem::replace(&mut poll.again.behind, after)
            })
        };
        let Some(behind) = behind else {
            return self.make_up_stream(slot, &missed.items, missed.more);
        };
        // The first that answers ends the poll, and the others come to nothing.
        for item in &missed.items {
            let is_filtered = self.subscriptions.borrow().is_filtered(slot, &item.channel);
            match is_filtered {
                true => self.deliver_filtered(slot, std::slice::from_ref(item)),
                false if item.is_plain(Format::Response) => {
                    self.deliver_response(slot, item, None);
                }
                false => {}
            }
        }
        if missed.more {
            self.ask_again(slot, Reason::Behind(behind));
        }
    }

    /// The timer of a hold fired.
    pub(super) fn hold_is_due(self: &Rc<Self>, slot: Slot) {
        enum Held {
            Stream(Option<Rc<KeepAlive>>),
            Linked,
            Poll,
        }
        let held = match self.rows.borrow_mut().get(slot).map(|row| &row.phase) {
            Some(Phase::Stream(stream)) => Held::Stream(stream.keep_alive.clone()),
            Some(Phase::Linked(_)) => Held::Linked,
            Some(Phase::Poll(_)) => Held::Poll,
            _ => return,
        };
        match held {
            Held::Stream(Some(keep_alive)) => {
                let delay_ms = self.keep_stream_alive(slot, &keep_alive);
                self.set_timer(slot, delay_ms);
            }
            Held::Stream(None) => {}
            Held::Linked => self.linked_is_due(slot),
            Held::Poll => {
                self.answer_poll(slot, |poll| poll.timeout_answer.clone());
            }
        }
    }

    /// Sends the stream in `slot` its keep-alive, unless there was something else; when to look again, ms from now.
    pub(super) fn keep_stream_alive(&self, slot: Slot, keep_alive: &KeepAlive) -> u64 {
        if keep_alive.mode == KeepAliveMode::Idle {
            let published = self.subscriptions.borrow().last_stream_activity(slot);
            let filtered = self.filtering.borrow().sent_at(slot);
            let last =
                published.into_iter().chain(filtered).min_by_key(|tick| self.now().wrapping_sub(*tick));
            let quiet_ms = match last {
                Some(last) => u64::from(self.now().wrapping_sub(last)) * super::TICK_MS,
                None => keep_alive.period_ms,
            };
            if quiet_ms < keep_alive.period_ms {
                return keep_alive.period_ms - quiet_ms;
            }
        }
        // A client that does not take what was published has no use for a sign of life.
        let is_backlogged = self.wire.borrow().is_backlogged(slot);
        if !is_backlogged {
            self.gauges.keep_alives_total.add(1);
            let _ = self.wire.borrow_mut().send(slot, keep_alive.frame.clone());
            self.count_for(slot, |tally| tally.activity += 1);
        }
        self.wake();
        keep_alive.period_ms
    }

    /// A publication reached the long poll in `slot`, with `content` if filters have made any of its body; whether it
    /// could be answered.
    pub(super) fn deliver_response(
        self: &Rc<Self>,
        slot: Slot,
        publication: &Publication,
        content: Option<Bytes>,
    ) -> bool {
        match &publication.response {
            Some(ResponseFormat::Send(message)) => {
                return self.answer_poll(slot, |poll| match content {
                    Some(content) => message.answer_with(&poll.timeout_answer, content),
                    None => message.answer(&poll.timeout_answer),
                });
            }
            Some(ResponseFormat::Hint) => self.ask_again(slot, Reason::Hint),
            None => {}
        }
        true
    }

    /// Ends the long poll in `slot` with the answer that `make` gives; whether there was room for it.
    pub(super) fn answer_poll(self: &Rc<Self>, slot: Slot, make: impl FnOnce(&Poll) -> Answer) -> bool {
        let Some((poll, carry)) = self.take_poll(slot) else { return false };
        let mut answer = make(&poll);
        if let Some(cross_origin) = &poll.again.cross_origin {
            answer = cross_origin.answer(&answer);
        }
        self.count_for(slot, |tally| respond::count(tally, poll.asked, &answer));
        let (bytes, keep) = respond::whole(poll.asked, &answer);
        if self.wire.borrow_mut().send(slot, bytes).is_err() {
            self.cut_off(slot);
            return false;
        }
        match keep {
            true => self.next_request(slot, carry),
            false => self.leave(slot, !carry.is_empty()),
        }
        self.wake();
        true
    }

    /// Takes the long poll out of `slot`, with what its client sent ahead; the row is left waiting for its next phase.
    pub(super) fn take_poll(&self, slot: Slot) -> Option<(Box<Poll>, BytesMut)> {
        let (poll, carry) = {
            let mut rows = self.rows.borrow_mut();
            let row = rows.get(slot)?;
            if !matches!(row.phase, Phase::Poll(_)) {
                return None;
            }
            let Phase::Poll(poll) = std::mem::replace(&mut row.phase, Phase::Head) else { return None };
            (poll, row.carry.take().map(|carry| carry.into_bytes()).unwrap_or_default())
        };
        self.unsubscribe(slot);
        self.read_on(slot, carry.len());
        Some((poll, carry))
    }

    /// The stream in `slot` was sent its end.
    pub(super) fn end_stream(self: &Rc<Self>, slot: Slot) {
        let (ended, carry) = {
            let mut rows = self.rows.borrow_mut();
            let Some(row) = rows.get(slot) else { return };
            let ended = match &row.phase {
                Phase::Stream(stream) => Ok(stream.asked),
                Phase::Linked(linked) => Ok(linked.stream.asked),
                Phase::Socket(socket) => Err(socket.clone()),
                _ => return,
            };
            let carry = ended.is_ok().then(|| row.carry.take()).flatten();
            (ended, carry.map(|carry| carry.into_bytes()).unwrap_or_default())
        };
        let asked = match ended {
            Ok(asked) => asked,
            Err(socket) => return self.socket_was_closed(slot, &socket),
        };
        self.unsubscribe(slot);
        self.release_stream(slot);
        match asked.keep_alive && asked.version == Version::Http11 {
            true => {
                self.read_on(slot, carry.len());
                self.next_request(slot, carry);
            }
            false => self.leave(slot, !carry.is_empty()),
        }
    }

    /// The keep-alive for a stream, shared with others that have the same.
    pub(super) fn keep_alive(&self, setting: &crate::proto::grip::KeepAlive, asked: Asked) -> Rc<KeepAlive> {
        let frame = match asked.version {
            Version::Http11 => http1::chunk(&setting.data),
            Version::Http10 => setting.data.clone(),
        };
        let keep_alive = KeepAlive { frame, period_ms: setting.timeout_s.max(1) * 1000, mode: setting.mode };
        let mut last = self.last_keep_alive.borrow_mut();
        match last.as_ref().filter(|last| ***last == keep_alive) {
            Some(same) => same.clone(),
            None => last.insert(Rc::new(keep_alive)).clone(),
        }
    }
}

/// There is no room for a long poll.
fn no_room() -> Answer {
    respond::unavailable("Too much is held.\n", RETRY_AFTER_S)
}

/// How what is held is written to.
pub(super) fn transport_of(hold: &Hold, asked: Asked) -> Transport {
    match (&hold.mode, asked.version) {
        (Mode::Response, _) => Transport::Response,
        (Mode::Stream, Version::Http11) => Transport::StreamChunked,
        (Mode::Stream, Version::Http10) => Transport::StreamRaw,
    }
}

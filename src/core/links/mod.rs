//! Streams that go on with a link (`Grip-Link`, `rel=next`): when something was missed, when a publisher says so, when
//! nothing came for a while, or at once, what the link has is appended, and what it instructs holds from then on.
//!
//! Here is what such a stream is between two requests. `fetch` asks for links, one request for all streams that would
//! make the same one; `way` says which way requests may take whose URI an application has named; `answer` is what an
//! answer does to a stream; `gone` tells an application that a client is gone (`rel=gone`). While its link is asked
//! for, a stream is out of the channels whose ids it follows; on the others it goes on.

mod answer;
mod fetch;
mod gone;
mod way;

pub(super) use fetch::Fetches;
pub(super) use gone::{GoneLink, GoneLinks};

use super::again::Reason;
use super::connection::Request;
use super::forwarding::{client_network, is_https};
use super::hold::{KeepAlive, Stream};
use super::row::Phase;
use super::{Core, TICK_MS, ticks};
use crate::channel::{Format, HeardUpTo, Publication, Then};
use crate::ids::Slot;
use crate::origin::Route;
use crate::proto::client_network::ClientNetwork;
use crate::proto::grip::{Link, LinkTarget};
use crate::proto::http1::{LAST_CHUNK, Version};
use bytes::Bytes;
use std::rc::Rc;
use std::sync::Arc;

/// What a client asked for, and where that went: what its links are relative to at first, and whom they may lead to by
/// the routes. Requests that are made for the client later count among its own.
pub(super) struct Origin {
    asked_for: LinkTarget,
    route: Arc<Route>,
    client: ClientNetwork,
}

/// Where a stream goes on, and whom to tell when its client is gone.
#[derive(Default)]
pub(super) struct Links {
    pub next: Option<Next>,
    pub gone: Option<LinkTarget>,
}

/// Where a stream goes on.
#[derive(Clone)]
pub(super) struct Next {
    target: LinkTarget,
    timeout_s: u64,
}

/// A held stream that has links.
pub(super) struct Linked {
    pub stream: Stream,
    origin: Rc<Origin>,
    next: Option<Next>,
    gone: Option<GoneLink>,
    state: State,
    keep_alive_due: Option<u32>,
    next_due: Option<u32>,
    failures: u32,
    /// How often in a row the link's answer was behind what was published when it came.
    behind: u32,
}

/// What a stream does now.
enum State {
    Held,
    /// Its next link is to be asked for when its client has taken what there is.
    GoesOn,
    /// Its next link is asked for, or will be, with this number.
    Fetching {
        number: u64,
        heard: Vec<HeardUpTo>,
    },
}

impl Origin {
    pub fn at(asked_for: LinkTarget, route: &Arc<Route>, client: ClientNetwork) -> Origin {
        Origin { asked_for, route: route.clone(), client }
    }

    /// Who the client is, as far as its address tells.
    pub fn client(&self) -> ClientNetwork {
        self.client
    }

    /// What the client asked for.
    pub fn asked_for(&self) -> &LinkTarget {
        &self.asked_for
    }

    /// Where that went.
    pub fn route(&self) -> &Arc<Route> {
        &self.route
    }

    /// Where these links of the answer to the client's request lead; `None` if one leads nowhere.
    pub fn links(&self, next: Option<&Link>, gone: Option<&String>) -> Option<Links> {
        resolve(&self.asked_for, next, gone)
    }
}

fn resolve(base: &LinkTarget, next: Option<&Link>, gone: Option<&String>) -> Option<Links> {
    let mut links = Links::default();
    if let Some(Link { uri, timeout_s }) = next {
        links.next = Some(Next { target: base.resolve(uri)?, timeout_s: *timeout_s });
    }
    if let Some(uri) = gone {
        links.gone = Some(base.resolve(uri)?);
    }
    Some(links)
}

impl Linked {
    /// A stream that is held, or one that `goes_on` at once.
    pub fn new(
        stream: Stream,
        origin: Rc<Origin>,
        next: Option<Next>,
        gone: Option<GoneLink>,
        goes_on: bool,
    ) -> Linked {
        let state = if goes_on { State::GoesOn } else { State::Held };
        let (keep_alive_due, next_due) = (None, None);
        Linked { stream, origin, next, gone, state, keep_alive_due, next_due, failures: 0, behind: 0 }
    }

    /// Whether there is a link to ask for.
    pub fn can_go_on(&self) -> bool {
        self.next.is_some()
    }

    /// All that is done after a while is done a while from now; the delay until the first of it, ms.
    fn restart_clock(&mut self, now: u32) -> Option<u64> {
        let keep_alive = self.stream.keep_alive.as_ref().map(|keep_alive| ticks(keep_alive.period_ms));
        self.keep_alive_due = keep_alive.map(|delay| now.wrapping_add(delay));
        // A timeout of nothing would ask without end.
        let next = self.next.as_ref().map(|next| ticks(next.timeout_s.max(1).saturating_mul(1000)));
        self.next_due = next.map(|delay| now.wrapping_add(delay));
        self.delay_ms(now)
    }

    fn delay_ms(&self, now: u32) -> Option<u64> {
        let all = [self.keep_alive_due, self.next_due].into_iter().flatten();
        all.map(|due| u64::from(remaining(due, now)) * TICK_MS).min()
    }
}

/// Ticks from `now` to `due`; at least one.
fn remaining(due: u32, now: u32) -> u32 {
    (due.wrapping_sub(now) as i32).max(1) as u32
}

impl Core {
    /// Where the answer to a client's request comes from.
    pub(super) fn origin_of(&self, request: &Request, route: &Arc<Route>) -> Origin {
        let https = is_https(self, request);
        let (authority, path_and_query) = (request.host.clone(), request.target.clone());
        Origin::at(LinkTarget { https, authority, path_and_query }, route, client_network(self, request))
    }

    /// The stream in `slot` is open, or has what its link had.
    pub(super) fn linked_is_open(self: &Rc<Self>, slot: Slot) {
        let (delay_ms, goes_on) = {
            let mut rows = self.rows.borrow_mut();
            let Some(Phase::Linked(linked)) = rows.get(slot).map(|row| &mut row.phase) else { return };
            (linked.restart_clock(self.now()), matches!(linked.state, State::GoesOn))
        };
        match delay_ms {
            Some(delay_ms) => self.set_timer(slot, delay_ms),
            None => self.timers.borrow_mut().cancel(slot),
        }
        if goes_on && !self.wire.borrow().is_backlogged(slot) {
            self.refetch(slot, Reason::Hint);
        }
    }

    /// The client has taken everything: a stream that goes on does.
    pub(super) fn linked_drained(self: &Rc<Self>, slot: Slot) {
        let goes_on = {
            let mut rows = self.rows.borrow_mut();
            let Some(Phase::Linked(linked)) = rows.get(slot).map(|row| &mut row.phase) else { return };
            matches!(linked.state, State::GoesOn)
        };
        if goes_on {
            self.refetch(slot, Reason::Hint);
        }
    }

    /// The timer of a stream with links fired.
    pub(super) fn linked_is_due(self: &Rc<Self>, slot: Slot) {
        let now = self.now();
        let (keep_alive, quiet) = {
            let mut rows = self.rows.borrow_mut();
            let Some(Phase::Linked(linked)) = rows.get(slot).map(|row| &mut row.phase) else { return };
            let is_due = |due: &u32| (due.wrapping_sub(now) as i32) <= 0;
            let keep_alive = linked.keep_alive_due.take_if(|due| is_due(due));
            let next = linked.next_due.take_if(|due| is_due(due));
            let timeout_s = linked.next.as_ref().map(|next| next.timeout_s.max(1));
            (keep_alive.and(linked.stream.keep_alive.clone()), next.and(timeout_s))
        };
        let keep_alive_ms =
            keep_alive.map(|keep_alive: Rc<KeepAlive>| self.keep_stream_alive(slot, &keep_alive));
        let next_in = quiet.and_then(|timeout_s| self.quiet_for(slot, timeout_s));
        let delay_ms = {
            let mut rows = self.rows.borrow_mut();
            let Some(Phase::Linked(linked)) = rows.get(slot).map(|row| &mut row.phase) else { return };
            if let Some(delay_ms) = keep_alive_ms {
                linked.keep_alive_due = Some(now.wrapping_add(ticks(delay_ms)));
            }
            if let Some(delay) = next_in {
                linked.next_due = Some(now.wrapping_add(delay));
            }
            linked.delay_ms(now)
        };
        if let Some(delay_ms) = delay_ms {
            self.set_timer(slot, delay_ms);
        }
        if quiet.is_some() && next_in.is_none() {
            self.refetch(slot, Reason::Missed);
        }
    }

    /// In how many ticks all channels of `slot` will have been quiet for `timeout_s` if nothing comes; `None` if one
    /// has.
    fn quiet_for(&self, slot: Slot, timeout_s: u64) -> Option<u32> {
        let since = self.subscriptions.borrow().quiet_since(slot)?;
        let due = since.wrapping_add(ticks(timeout_s.saturating_mul(1000)));
        ((due.wrapping_sub(self.now()) as i32) > 0).then(|| remaining(due, self.now()))
    }

    /// Gives the stream in `slot` what it had missed when its subscription came into force.
    pub(super) fn make_up_stream(self: &Rc<Self>, slot: Slot, items: &[Arc<Publication>], more: bool) {
        let behind = {
            let mut rows = self.rows.borrow_mut();
            let Some(Phase::Linked(linked)) = rows.get(slot).map(|row| &mut row.phase) else { return };
            let behind = linked.behind;
            linked.behind = if more { behind + 1 } else { 0 };
            behind
        };
        for item in items {
            let is_filtered = self.subscriptions.borrow().is_filtered(slot, &item.channel);
            match is_filtered {
                true => self.deliver_filtered(slot, std::slice::from_ref(item)),
                false => self.make_up_with(slot, item),
            }
        }
        self.wake();
        if more {
            self.refetch(slot, Reason::Behind(behind));
        }
    }

    fn make_up_with(self: &Rc<Self>, slot: Slot, item: &Publication) {
        let version = match self.rows.borrow_mut().get(slot).map(|row| &row.phase) {
            Some(Phase::Linked(linked)) => linked.stream.asked.version,
            _ => return,
        };
        let part = match version {
            Version::Http11 => item.stream_chunk(),
            Version::Http10 => item.stream_content(),
        };
        let part = part.filter(|_| item.is_plain(Format::Stream)).cloned().unwrap_or_default();
        if self.wire.borrow_mut().send(slot, part).is_err() {
            return self.cut_off(slot);
        }
        if item.then_stream() == Then::End {
            self.end_body(slot, version);
        }
    }

    /// Ends the body of the stream in `slot`, and with it the stream.
    pub(super) fn end_body(self: &Rc<Self>, slot: Slot, version: Version) {
        if version == Version::Http11
            && self.wire.borrow_mut().send(slot, Bytes::from_static(LAST_CHUNK)).is_err()
        {
            return self.cut_off(slot);
        }
        self.end_stream(slot);
        self.wake();
    }
}

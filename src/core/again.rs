//! Asking applications again, on behalf of clients who may have missed something. Every such request has a permit,
//! which `spread` gives out, so that no application is asked by thousands at once. Here are the permits, how long is
//! waited before asking, and long polls, whose own request is made again; streams with links are in `links`.

use super::Core;
use super::exchange::Exchange;
use super::hold::Poll;
use super::publish::Busy;
use super::row::Phase;
use crate::bell::Bell;
use crate::channel::ToHome;
use crate::ids::{CoreId, Slot};
use crate::proto::http1::BodyLength;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

/// The wait before the second try in vain, ms; each further one waits twice as long.
const BACKOFF_MS: u64 = 1_000;
/// How often the wait is doubled.
const DOUBLINGS: u32 = 5;

/// Why an application is asked again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Reason {
    /// A publisher said so.
    Hint,
    /// Its answer was behind what is published when it came, so many times in a row.
    Behind(u32),
    /// Something was missed, or may have been: all who hear of it hear at once.
    Missed,
    /// It could not be asked, so many times in a row.
    Failed(u32),
}

/// A request that waits for its turn.
#[derive(Default)]
pub(super) struct Ticket {
    granted: Cell<bool>,
    given_up: Cell<bool>,
    bell: Bell,
}

/// The right to ask one application; it ends when this is dropped.
pub(super) struct Permit {
    core: Rc<Core>,
    origin: Arc<str>,
    ticket: Rc<Ticket>,
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.ticket.granted.get() {
            self.core.spread.borrow_mut().done(&self.origin);
            self.core.wake();
        } else {
            self.ticket.given_up.set(true);
        }
    }
}

impl Core {
    /// Waits until `origin` may be asked, at the earliest `delay_ms` from now.
    pub(super) async fn permit(self: &Rc<Self>, origin: Arc<str>, delay_ms: u64) -> Permit {
        let ticket = Rc::<Ticket>::default();
        let permit = Permit { core: self.clone(), origin: origin.clone(), ticket: ticket.clone() };
        let due_ms = self.now_ms() + delay_ms;
        self.spread.borrow_mut().add(origin, ticket.clone(), due_ms);
        self.wake();
        while !ticket.granted.get() {
            ticket.bell.rung().await;
        }
        permit
    }

    /// Lets requests go whose turn it is; whether there were any.
    pub(super) fn grant_permits(&self) -> bool {
        let (now_ms, mut any) = (self.now_ms(), false);
        loop {
            let started = self.spread.borrow_mut().start(now_ms);
            let Some((origin, ticket)) = started else { return any };
            any = true;
            match ticket.given_up.get() {
                true => self.spread.borrow_mut().done(&origin),
                false => {
                    ticket.granted.set(true);
                    ticket.bell.ring();
                }
            }
        }
    }

    /// How long to wait before asking.
    pub(super) fn delay_ms(&self, reason: Reason) -> u64 {
        let mut spread = self.spread.borrow_mut();
        match reason {
            Reason::Hint | Reason::Behind(0) => 0,
            Reason::Missed => spread.random_below(self.settings().channels.refetch_spread_ms),
            Reason::Behind(tries) | Reason::Failed(tries) => {
                let doubled = BACKOFF_MS << tries.saturating_sub(1).min(DOUBLINGS);
                doubled + spread.random_below(BACKOFF_MS)
            }
        }
    }

    /// What is held in `slot` may have missed something: its application is asked.
    pub(super) fn lost_track(self: &Rc<Self>, slot: Slot) {
        self.catch_up(slot, Reason::Missed);
    }

    /// Asks the application of what is held in `slot`: for the answer of a long poll, or the next link of a stream.
    pub(super) fn catch_up(self: &Rc<Self>, slot: Slot, reason: Reason) {
        let is_poll = self.rows.borrow_mut().get(slot).is_some_and(|row| matches!(row.phase, Phase::Poll(_)));
        match is_poll {
            true => self.ask_again(slot, reason),
            false => self.refetch(slot, reason),
        }
    }

    /// Has all homes forget their last ids, and everyone who is held ask again.
    pub(super) async fn recover(self: &Rc<Self>) -> Result<(), Busy> {
        let homes = (0..self.cores).map(|home| CoreId(home as u16));
        homes.clone().for_each(|home| self.send_home(home, ToHome::Recover));
        self.confirmed_by(homes).await
    }

    /// The home on core `home` has forgotten its last ids.
    pub(super) fn recover_from(self: &Rc<Self>, home: CoreId) {
        let held = self.subscriptions.borrow().held_on(home);
        held.into_iter().for_each(|slot| self.lost_track(slot));
        self.subscriptions.borrow_mut().forget_last_ids(home);
    }

    /// Sends the request of the long poll in `slot` to its application again, on behalf of the client.
    pub(super) fn ask_again(self: &Rc<Self>, slot: Slot, reason: Reason) {
        let heard = self.heard_by(slot);
        let Some((poll, carry)) = self.take_poll(slot) else { return };
        let Poll { asked, mut again, .. } = *poll;
        again.heard = heard;
        let exchange = {
            let mut rows = self.rows.borrow_mut();
            let Some(row) = rows.get(slot) else { return };
            let exchange = Exchange::new(self.clone(), slot, asked, BodyLength::None, false, carry);
            exchange.set_cross_origin(again.cross_origin.clone());
            row.phase = Phase::Exchange(exchange.clone());
            exchange
        };
        self.set_timer(slot, self.settings().http.idle_timeout_ms);
        let delay_ms = self.delay_ms(reason);
        self.proxy_again_in_task(exchange, again, delay_ms);
    }
}

//! Permits to make a refetch or a filter request. `refetch_scheduler` gives them out, so that no application gets
//! thousands of such requests at once. This file also says how long a refetch waits before it asks for its permit.

use super::Requests;
use super::refetch_scheduler::Ticket;
use crate::clients::Reason;
use std::rc::Rc;
use std::sync::Arc;

/// The wait after the first try in vain, ms. Each further wait is twice as long.
const BACKOFF_MS: u64 = 1_000;
/// How many times the wait doubles at most.
const DOUBLINGS: u32 = 5;

/// A permit to make one request to an application. Dropping this value ends the request, and gives the next one its
/// turn.
pub struct Permit {
    requests: Rc<Requests>,
    origin: Arc<str>,
    ticket: Rc<Ticket>,
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.ticket.granted.get() {
            self.requests.scheduler.borrow_mut().done(&self.origin);
            self.requests.context.wake();
        } else {
            self.ticket.given_up.set(true);
        }
    }
}

impl Requests {
    /// Waits until a request to `origin` may be made, at the earliest `delay_ms` from now.
    pub async fn permit(self: &Rc<Self>, origin: Arc<str>, delay_ms: u64) -> Permit {
        let ticket = Rc::<Ticket>::default();
        let permit = Permit { requests: self.clone(), origin: origin.clone(), ticket: ticket.clone() };
        let due_ms = self.context.now_ms() + delay_ms;
        self.scheduler.borrow_mut().add(origin, ticket.clone(), due_ms);
        self.context.wake();
        while !ticket.granted.get() {
            ticket.bell.rung().await;
        }
        permit
    }

    /// From now on no refetch waits before it asks for its permit, because the server is about to end.
    pub fn drop_delays(&self) {
        self.scheduler.borrow_mut().drop_delays();
    }

    /// Grants permits to the requests whose turn it is. Returns whether there were any.
    pub fn grant_permits(&self) -> bool {
        let (now_ms, mut any) = (self.context.now_ms(), false);
        loop {
            let started = self.scheduler.borrow_mut().start(now_ms);
            let Some((origin, ticket)) = started else { return any };
            any = true;
            match ticket.given_up.get() {
                true => self.scheduler.borrow_mut().done(&origin),
                false => {
                    ticket.granted.set(true);
                    ticket.bell.ring();
                }
            }
        }
    }

    /// How long a refetch for `reason` waits before it asks for its permit, ms.
    pub fn delay_ms(&self, reason: Reason) -> u64 {
        let mut spread = self.scheduler.borrow_mut();
        match reason {
            Reason::Hint | Reason::Behind(0) => 0,
            Reason::Missed => spread.random_below(self.context.settings().channels.refetch_spread_ms),
            Reason::Behind(tries) | Reason::Failed(tries) => {
                let doubled = BACKOFF_MS << tries.saturating_sub(1).min(DOUBLINGS);
                doubled + spread.random_below(BACKOFF_MS)
            }
        }
    }

    /// How many requests wait for their permits.
    pub fn waiting(&self) -> usize {
        self.scheduler.borrow().waiting()
    }

    /// A pseudorandom number.
    pub fn entropy(&self) -> u32 {
        self.scheduler.borrow_mut().random_below(u64::from(u32::MAX)) as u32
    }
}

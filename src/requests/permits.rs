//! The right to ask an application for clients that may have missed something. Every such request has a permit, which
//! `refetch_scheduler` gives out, so that no application is asked by thousands at once; here is also how long is waited before.

use super::Requests;
use super::refetch_scheduler::Ticket;
use crate::clients::Reason;
use std::rc::Rc;
use std::sync::Arc;

/// The wait before the second try in vain, ms; each further one waits twice as long.
const BACKOFF_MS: u64 = 1_000;
/// How often the wait is doubled.
const DOUBLINGS: u32 = 5;

/// The right to ask one application; it ends when this is dropped.
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
    /// Waits until `origin` may be asked, at the earliest `delay_ms` from now.
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

    /// Lets requests go whose turn it is; whether there were any.
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

    /// How long to wait before asking.
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

    /// A number that nobody can know before.
    pub fn entropy(&self) -> u32 {
        self.scheduler.borrow_mut().random_below(u64::from(u32::MAX)) as u32
    }
}

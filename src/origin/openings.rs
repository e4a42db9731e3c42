//! Limits how many requests a core has open at applications, and lets the others wait. Where an application answers
//! at once, few open requests are quicker than many: 15,000 requests that come together take half the CPU with 32
//! open that they take with 1,000, whose buffers fit no cache. So more than [`FEW`] requests are open only where
//! answers take long. While requests wait, the limit is looked at every [`LOOK`]: it doubles if the open requests
//! turn out to take longer than [`SLOW`], and requests that have been open for so long do not count among the few.
//! The limit shrinks again when no request waits. `shares` decides which request is next, so that no client and no
//! application keeps all others waiting. A request that has waited for too long is refused. Each pool has one of
//! these.

mod shares;

use super::origin_address::OriginAddress;
use crate::ids::ApplicationId;
use crate::proto::client_network::ClientNetwork;
use crate::runtime;
use crate::slack::Look;
use shares::{Asker, Shares};
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// This many requests are open at a time, however quickly applications answer.
const FEW: u64 = 32;
/// While requests wait, how often the limit and the waiting times are checked.
const LOOK: Duration = Duration::from_millis(10);
/// A request that takes longer than this is taken to wait for something, so more requests may be open beside it.
const SLOW: Duration = Duration::from_millis(25);
/// A request that began this many looks ago has been open for [`SLOW`].
const RECENT: usize = 3;
/// A look that comes later than this after the look before was delayed by a pause of the process. Answers may have
/// come in the pause and are not read yet, so the time beyond this does not count as waiting.
const LATE: Duration = Duration::from_secs(1);

/// Admits requests of one core.
pub(super) struct Openings(Rc<State>);

struct State {
    shares: RefCell<Shares<Rc<Ticket>>>,
    most: u64,
    few: u64,
    /// How many requests may be open now; `few` to `most`.
    limit: Cell<u64>,
    /// How many requests were admitted since the last look.
    admitted: Cell<u64>,
    recent: Recent,
    is_watched: Cell<bool>,
    /// A request is refused when it has waited for this long; never if this is zero.
    timeout: Cell<Duration>,
    /// The time that counts as waiting; it advances while requests wait.
    clock: Cell<Duration>,
    timeouts: Cell<u64>,
}

/// An open request: it counts as open until this is dropped.
pub(super) struct Opening {
    state: Rc<State>,
    asker: Asker,
    /// The number of the look after which the request began.
    look: u64,
}

/// A request has waited for too long.
#[derive(Debug)]
pub(super) struct Overdue {
    /// The value of `queue_timeout_ms`.
    pub timeout_ms: u64,
}

/// By which a waiting request learns that it is open, or overdue.
struct Ticket {
    since: Duration,
    fate: Cell<Fate>,
    waker: RefCell<Option<Waker>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Waits,
    /// The request counts as open, but its task does not know yet.
    Opened,
    /// The request's task took the opening.
    Taken,
    Refused,
}

impl Openings {
    /// Admits at most `most` requests at a time, and at least one. A request waits for up to `timeout_ms`, or without
    /// limit if `timeout_ms` is 0.
    pub fn new(most: usize, timeout_ms: u64) -> Openings {
        let most = most.max(1) as u64;
        let few = FEW.min(most);
        Openings(Rc::new(State {
            shares: Shares::new(most).into(),
            most,
            few,
            limit: few.into(),
            admitted: Cell::default(),
            recent: Recent::default(),
            is_watched: Cell::default(),
            timeout: Duration::from_millis(timeout_ms).into(),
            clock: Cell::default(),
            timeouts: Cell::default(),
        }))
    }

    /// Changes how long requests wait, those included that wait already.
    pub fn set_timeout(&self, timeout_ms: u64) {
        self.0.timeout.set(Duration::from_millis(timeout_ms));
    }

    /// Waits until a request of `client` to `place` may be made.
    ///
    /// # Errors
    /// [`Overdue`] when the request has waited for the whole timeout.
    pub async fn admit(&self, place: &OriginAddress, client: ClientNetwork) -> Result<Opening, Overdue> {
        let ApplicationId(application) = ApplicationId::of(&place.host, place.port);
        let (state, asker) = (&self.0, Asker { application, client });
        let is_open = state.shares.borrow_mut().open_at_once(asker, state.limit.get());
        match is_open {
            true => Ok(Opening::begin(state, asker)),
            // Boxed, because every open request would pay for the size of the future otherwise.
            false => Box::pin(Waiting::begin(state, asker).turn()).await,
        }
    }

    /// How many requests are open.
    pub fn open(&self) -> u64 {
        self.0.shares.borrow().open()
    }

    /// How many requests wait.
    pub fn waiting(&self) -> u64 {
        self.0.shares.borrow().waiting() as u64
    }

    /// How many requests have been refused since start because they waited for too long.
    pub fn timeouts(&self) -> u64 {
        self.0.timeouts.get()
    }

    /// Shows the tables to `look`.
    pub fn look_at_tables(&self, look: &mut Look<'_>) {
        self.0.shares.borrow_mut().look_at_tables(look);
    }
}

impl Opening {
    /// The opening of a request that is already counted as open.
    fn begin(state: &Rc<State>, asker: Asker) -> Opening {
        state.admitted.set(state.admitted.get() + 1);
        let look = state.recent.begin();
        Opening { state: state.clone(), asker, look }
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        self.state.recent.end(self.look);
        self.state.close(self.asker);
    }
}

impl State {
    /// An open request ends.
    fn close(&self, asker: Asker) {
        let (waiting, open) = {
            let mut shares = self.shares.borrow_mut();
            shares.close(asker);
            (shares.waiting(), shares.open())
        };
        if waiting > 0 {
            self.open_more();
        } else if self.limit.get() > open + self.few {
            self.limit.set(self.limit.get() - 1);
        }
    }

    /// How many requests have been open for longer than [`SLOW`]. They wait for something and take no time of the
    /// core, so they must not take the turns of the few.
    fn open_for_long(&self) -> u64 {
        self.shares.borrow().open().saturating_sub(self.recent.count())
    }

    fn raise_limit(&self, limit: u64) {
        self.limit.set(self.limit.get().max(limit.min(self.most)));
    }

    /// Opens as many waiting requests as the limit allows.
    fn open_more(&self) {
        loop {
            let next = self.shares.borrow_mut().open_next(self.limit.get());
            let Some(ticket) = next else { return };
            ticket.tell(Fate::Opened);
        }
    }

    /// Refuses requests that have waited for too long.
    fn refuse_overdue(&self) {
        let timeout = self.timeout.get();
        if timeout.is_zero() {
            return;
        }
        loop {
            let refused = {
                let mut shares = self.shares.borrow_mut();
                let oldest = shares.oldest().map(|(number, ticket)| (number, ticket.since));
                let overdue = oldest.filter(|(_, since)| self.clock.get().saturating_sub(*since) >= timeout);
                overdue.and_then(|(number, _)| shares.withdraw(number))
            };
            let Some(ticket) = refused else { break };
            self.timeouts.set(self.timeouts.get() + 1);
            ticket.tell(Fate::Refused);
        }
        // Fewer requests share the turns now, so those that still wait may have larger shares.
        self.open_more();
    }
}

/// How many of the open requests began after each of the last [`RECENT`] looks.
#[derive(Default)]
struct Recent {
    looks: Cell<u64>,
    begun: [Cell<u64>; RECENT],
}

impl Recent {
    fn look(&self) {
        self.looks.set(self.looks.get() + 1);
        // Requests that began this many looks ago are no longer recent.
        self.begun_after(self.looks.get()).set(0);
    }

    /// A request begins; returns the number of the look after which it begins.
    fn begin(&self) -> u64 {
        let (look, begun) = (self.looks.get(), self.begun_after(self.looks.get()));
        begun.set(begun.get() + 1);
        look
    }

    /// A request ends that began after `look`.
    fn end(&self, look: u64) {
        if self.looks.get() - look < RECENT as u64 {
            let begun = self.begun_after(look);
            begun.set(begun.get() - 1);
        }
    }

    fn begun_after(&self, look: u64) -> &Cell<u64> {
        &self.begun[look as usize % RECENT]
    }

    /// How many recent requests there are.
    fn count(&self) -> u64 {
        self.begun.iter().map(Cell::get).sum()
    }
}

/// A waiting request. Dropping this withdraws the request.
struct Waiting<'s> {
    state: &'s Rc<State>,
    asker: Asker,
    number: u64,
    ticket: Rc<Ticket>,
}

impl Waiting<'_> {
    fn begin(state: &Rc<State>, asker: Asker) -> Waiting<'_> {
        if !state.is_watched.replace(true) {
            runtime::spawn(look_after(state.clone())).detach();
        }
        let ticket = Rc::new(Ticket::since(state.clock.get()));
        let number = state.shares.borrow_mut().wait(asker, ticket.clone());
        // A client with less than its share does not wait behind requests that wait already.
        state.open_more();
        Waiting { state, asker, number, ticket }
    }

    /// Returns when the request is open, or has waited for too long.
    async fn turn(self) -> Result<Opening, Overdue> {
        match poll_fn(|context| self.ticket.poll(context)).await {
            Fate::Opened => {
                self.ticket.fate.set(Fate::Taken);
                Ok(Opening::begin(self.state, self.asker))
            }
            _ => Err(Overdue { timeout_ms: self.state.timeout.get().as_millis() as u64 }),
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        match self.ticket.fate.get() {
            Fate::Taken | Fate::Refused => {}
            Fate::Opened => self.state.close(self.asker),
            Fate::Waits => {
                let withdrawn = self.state.shares.borrow_mut().withdraw(self.number);
                debug_assert!(withdrawn.is_some(), "a request that ends its wait has waited");
                self.state.open_more();
            }
        }
    }
}

impl Ticket {
    fn since(since: Duration) -> Ticket {
        Ticket { since, fate: Fate::Waits.into(), waker: RefCell::default() }
    }

    fn tell(&self, fate: Fate) {
        self.fate.set(fate);
        self.waker.take().into_iter().for_each(Waker::wake);
    }

    fn poll(&self, context: &Context<'_>) -> Poll<Fate> {
        match self.fate.get() {
            Fate::Waits => {
                self.waker.replace(Some(context.waker().clone()));
                Poll::Pending
            }
            fate => Poll::Ready(fate),
        }
    }
}

/// Raises the limit while requests wait and answers take long, and refuses requests that have waited for too long.
async fn look_after(state: Rc<State>) {
    state.admitted.set(0);
    let mut last = runtime::now();
    loop {
        runtime::sleep(LOOK).await;
        let passed = passed_since(&mut last);
        if state.shares.borrow().waiting() == 0 {
            state.is_watched.set(false);
            return;
        }
        state.clock.set(state.clock.get() + passed);
        state.recent.look();
        let (limit, old) = (state.limit.get(), state.open_for_long());
        state.raise_limit(limit + needed(limit, state.admitted.take(), state.most));
        state.raise_limit(old + state.few);
        state.open_more();
        state.refuse_overdue();
    }
}

/// The time since `last`, without pauses of the process; sets `last` to now.
fn passed_since(last: &mut Instant) -> Duration {
    let now = runtime::now();
    let passed = now.saturating_duration_since(*last);
    *last = now;
    passed.min(LATE)
}

/// How many more requests should be open, when `admitted` requests were admitted within one [`LOOK`] at a limit of
/// `limit`. By Little's law, each of them is open for `limit / admitted` looks.
fn needed(limit: u64, admitted: u64, most: u64) -> u64 {
    let is_slow = u128::from(admitted) * SLOW.as_micros() < u128::from(limit) * LOOK.as_micros();
    if is_slow { limit.min(most.saturating_sub(limit)) } else { 0 }
}

#[cfg(test)]
mod tests;

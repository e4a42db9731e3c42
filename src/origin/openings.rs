//! How many requests a core has open at applications, and who waits for one to end. Few at a time are quicker than
//! many where an application answers at once: 15,000 requests that come together take half the CPU with 32 open that
//! they take with 1,000, whose buffers fit no cache. So more than [`FEW`] are opened only where answers take long:
//! while requests wait, their number doubles each [`LOOK`] in which those that are open turn out to take longer than
//! [`SLOW`], and those that have been open for so long do not count among the few; it shrinks again when nobody waits.
//! `shares` says whose turn is next, so that no client and no application keeps all others waiting; a request that has waited for too long is refused. One for each pool.

mod shares;

use super::origin_address::OriginAddress;
use crate::ids::NameHash;
use crate::proto::client_network::ClientNetwork;
use crate::runtime;
use crate::slack::Look;
use shares::{Asker, Shares};
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::hash::BuildHasher;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// Open at a time, however quick the answers are.
const FEW: u64 = 32;
/// How often it is looked whether more are needed, and who has waited for too long, while some wait.
const LOOK: Duration = Duration::from_millis(10);
/// What takes longer is taken to wait for something, and more of it can wait at a time.
const SLOW: Duration = Duration::from_millis(25);
/// Whoever began so many looks ago has been open for [`SLOW`].
const RECENT: usize = 3;
/// A look that comes later than this after the one before was kept by a pause of the process: answers may have come
/// meanwhile that are not read yet, so the time beyond it is not counted as waiting.
const LATE: Duration = Duration::from_secs(1);

/// Admits requests.
pub(super) struct Openings(Rc<State>);

struct State {
    shares: RefCell<Shares<Rc<Ticket>>>,
    most: u64,
    few: u64,
    /// How many may be open now; `few` to `most`.
    limit: Cell<u64>,
    /// Since it was last looked.
    admitted: Cell<u64>,
    recent: Recent,
    is_watched: Cell<bool>,
    /// A request is refused when it has waited for so long; never if this is zero.
    timeout: Cell<Duration>,
    /// Goes on while requests wait.
    clock: Cell<Duration>,
    timeouts: Cell<u64>,
}

/// A request is open as long as this lives.
pub(super) struct Opening {
    state: Rc<State>,
    asker: Asker,
    /// The look after which it began.
    look: u64,
}

/// A request has waited for too long.
#[derive(Debug)]
pub(super) struct Overdue {
    /// The setting.
    pub timeout_ms: u64,
}

/// What a request that waits is told by.
struct Ticket {
    since: Duration,
    fate: Cell<Fate>,
    waker: RefCell<Option<Waker>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Waits,
    /// Its request is counted as open, and nobody knows yet.
    Opened,
    /// Somebody has taken that over.
    Taken,
    Refused,
}

impl Openings {
    /// At most `most` at a time, and at least one. A request waits for up to `timeout_ms`, or without end if that is 0.
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

    /// Requests wait for up to `timeout_ms` from now on, those that wait already included.
    pub fn set_timeout(&self, timeout_ms: u64) {
        self.0.timeout.set(Duration::from_millis(timeout_ms));
    }

    /// Waits until a request of `client` to `open_socket` may be made.
    pub async fn admit(&self, place: &OriginAddress, client: ClientNetwork) -> Result<Opening, Overdue> {
        let application = NameHash::default().hash_one((place.host.as_str(), place.port));
        let (state, asker) = (&self.0, Asker { application, client });
        let is_open = state.shares.borrow_mut().open_at_once(asker, state.limit.get());
        match is_open {
            true => Ok(Opening::begin(state, asker)),
            // Boxed, or every request that is open would have room for it.
            false => Box::pin(Waiting::begin(state, asker).turn()).await,
        }
    }

    /// Requests that are open.
    pub fn open(&self) -> u64 {
        self.0.shares.borrow().open()
    }

    /// Requests that wait.
    pub fn waiting(&self) -> u64 {
        self.0.shares.borrow().waiting() as u64
    }

    /// Requests that have waited for too long, since start.
    pub fn timeouts(&self) -> u64 {
        self.0.timeouts.get()
    }

    /// Has a look at the tables.
    pub fn look_at_tables(&self, look: &mut Look<'_>) {
        self.0.shares.borrow_mut().look_at_tables(look);
    }
}

impl Opening {
    /// Of a request that is counted as open.
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
    /// A request that was open ends.
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

    /// Requests that have been open for longer than [`SLOW`]. They wait for something and take no time of the core, so
    /// they must not have the places of the few.
    fn open_for_long(&self) -> u64 {
        self.shares.borrow().open().saturating_sub(self.recent.count())
    }

    fn raise_limit(&self, limit: u64) {
        self.limit.set(self.limit.get().max(limit.min(self.most)));
    }

    /// Opens requests that wait, as many as may be open.
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
        // Whoever is left may have a larger share.
        self.open_more();
    }
}

/// Those of the open requests that have begun after one of the last [`RECENT`] looks, by look.
#[derive(Default)]
struct Recent {
    looks: Cell<u64>,
    begun: [Cell<u64>; RECENT],
}

impl Recent {
    fn look(&self) {
        self.looks.set(self.looks.get() + 1);
        // Those who began so many looks ago are not recent any more.
        self.begun_after(self.looks.get()).set(0);
    }

    /// A request begins; the look after which it does.
    fn begin(&self) -> u64 {
        let (look, begun) = (self.looks.get(), self.begun_after(self.looks.get()));
        begun.set(begun.get() + 1);
        look
    }

    /// A request that began after `look` ends.
    fn end(&self, look: u64) {
        if self.looks.get() - look < RECENT as u64 {
            let begun = self.begun_after(look);
            begun.set(begun.get() - 1);
        }
    }

    fn begun_after(&self, look: u64) -> &Cell<u64> {
        &self.begun[look as usize % RECENT]
    }

    /// How many they are.
    fn count(&self) -> u64 {
        self.begun.iter().map(Cell::get).sum()
    }
}

/// A request that waits, until this is dropped.
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
        // Those who have less than their share are not kept by those who wait.
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
                debug_assert!(withdrawn.is_some(), "it waited");
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

/// Admits more while some wait and answers take long, and refuses those that have waited for too long.
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

/// The time since `last`, which becomes now, as far as it counts.
fn passed_since(last: &mut Instant) -> Duration {
    let now = runtime::now();
    let passed = now.saturating_duration_since(*last);
    *last = now;
    passed.min(LATE)
}

/// How many more, when `admitted` of `limit` were admitted within [`LOOK`]: by Little's law they are open for
/// `limit / admitted` times that.
fn needed(limit: u64, admitted: u64, most: u64) -> u64 {
    let is_slow = u128::from(admitted) * SLOW.as_micros() < u128::from(limit) * LOOK.as_micros();
    if is_slow { limit.min(most.saturating_sub(limit)) } else { 0 }
}

#[cfg(test)]
mod tests;

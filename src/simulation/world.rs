//! The clock of a simulation, and its planned events. Events with equal times happen in the order in which they were
//! planned.

use super::executor::{Executor, Task};
use super::host::Host;
use super::random::Random;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// Time that passes while a task runs, in microseconds.
const STEP_US: std::ops::Range<u64> = 1..20;

thread_local! {
    static CURRENT: RefCell<Option<Rc<World>>> = const { RefCell::new(None) };
}

/// The world of this thread, if there is one.
pub fn current() -> Option<Rc<World>> {
    CURRENT.with_borrow(Clone::clone)
}

/// Lists the remains of objects of a kind that should all be gone.
type Auditor = Box<dyn Fn() -> Vec<String>>;

/// A simulated clock, with planned events and tasks.
pub struct World {
    /// The real time when this world began.
    base: Instant,
    elapsed: Cell<Duration>,
    random: RefCell<Random>,
    agenda: RefCell<BTreeMap<Event, Box<dyn FnOnce()>>>,
    asked: Cell<u64>,
    auditors: RefCell<Vec<Auditor>>,
    executor: Rc<Executor>,
}

/// A planned event: its time, and a number that orders events with equal times.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Event(Duration, u64);

impl World {
    pub(super) fn install(seed: u64) -> Rc<World> {
        let world = Rc::new(World {
            base: Instant::now(),
            elapsed: Cell::default(),
            random: RefCell::new(Random::new(seed)),
            agenda: RefCell::default(),
            asked: Cell::default(),
            auditors: RefCell::default(),
            executor: Rc::default(),
        });
        let before = CURRENT.replace(Some(world.clone()));
        assert!(before.is_none(), "this thread has a simulation already");
        world
    }

    /// Drops all tasks and planned events, and starts no more tasks.
    pub(super) fn stop(&self) {
        // Dropping one may plan another.
        loop {
            let agenda = self.agenda.take();
            if !self.executor.drop_tasks() && agenda.is_empty() {
                break;
            }
        }
    }

    /// Removes the world of this thread.
    pub(super) fn remove() {
        CURRENT.take();
    }

    /// The time, by this world's clock.
    pub fn now(&self) -> Instant {
        self.base + self.elapsed.get()
    }

    /// The time since this world began.
    pub fn elapsed(&self) -> Duration {
        self.elapsed.get()
    }

    /// A random number.
    pub fn random(&self) -> u64 {
        self.random.borrow_mut().number()
    }

    /// Lets `throw` use the random numbers of this world.
    pub fn dice<T>(&self, throw: impl FnOnce(&mut Random) -> T) -> T {
        throw(&mut self.random.borrow_mut())
    }

    /// Plans to call `happen` after `delay`.
    pub fn after(&self, delay: Duration, happen: impl FnOnce() + 'static) -> Event {
        self.at(self.elapsed() + delay, happen)
    }

    /// Plans to call `happen` when `elapsed` has passed since the world began.
    pub fn at(&self, elapsed: Duration, happen: impl FnOnce() + 'static) -> Event {
        self.asked.set(self.asked.get() + 1);
        let event = Event(elapsed, self.asked.get());
        self.agenda.borrow_mut().insert(event, Box::new(happen));
        event
    }

    /// Cancels a planned event.
    pub fn forget(&self, event: Event) {
        let forgotten = self.agenda.borrow_mut().remove(&event);
        drop(forgotten);
    }

    /// Registers `auditor`, which [`World::leftovers`] calls.
    pub fn audit(&self, auditor: impl Fn() -> Vec<String> + 'static) {
        self.auditors.borrow_mut().push(Box::new(auditor));
    }

    /// Lists what remains. Nothing should remain when all clients and connections are gone.
    pub fn leftovers(&self) -> Vec<String> {
        self.auditors.borrow().iter().flat_map(|auditor| auditor()).collect()
    }

    /// The host of the task that runs now.
    pub fn host(&self) -> Host {
        self.executor.host()
    }

    /// Starts a task on the host of the task that runs now.
    pub fn spawn<T: 'static>(self: &Rc<Self>, future: impl Future<Output = T> + 'static) -> Task<T> {
        self.executor.spawn(self.executor.host(), future)
    }

    /// Starts a task on `host`.
    pub fn spawn_on<T: 'static>(
        self: &Rc<Self>,
        host: Host,
        future: impl Future<Output = T> + 'static,
    ) -> Task<T> {
        self.executor.spawn(host, future)
    }

    /// A timer that completes after `delay`.
    pub fn timer(self: &Rc<Self>, delay: Duration) -> Timer {
        let state = Rc::<TimerState>::default();
        let fired = state.clone();
        let event = self.after(delay, move || {
            fired.is_due.set(true);
            fired.waker.take().into_iter().for_each(Waker::wake);
        });
        Timer { state, event }
    }

    /// Pauses the tasks of `host` for `delay` from now on.
    pub fn pause(self: &Rc<Self>, host: Host, delay: Duration) {
        self.executor.pause(host);
        let world = self.clone();
        self.after(delay, move || world.executor.resume(host));
    }

    /// Runs one step of a task, or the next event; returns whether there was one.
    pub(super) fn step(self: &Rc<Self>) -> bool {
        while self.happen_if_due() {}
        let next = self.dice(|dice| self.executor.next(dice));
        if let Some(task) = next {
            self.executor.poll(task);
            let spent = self.dice(|dice| dice.within(STEP_US));
            self.elapsed.set(self.elapsed.get() + Duration::from_micros(spent));
            return true;
        }
        let next = self.agenda.borrow().first_key_value().map(|(Event(elapsed, _), _)| *elapsed);
        let Some(elapsed) = next else { return false };
        self.elapsed.set(elapsed.max(self.elapsed.get()));
        self.happen_if_due()
    }

    fn happen_if_due(&self) -> bool {
        let mut agenda = self.agenda.borrow_mut();
        let due = agenda.first_entry().filter(|entry| entry.key().0 <= self.elapsed.get());
        let Some(happen) = due.map(|entry| entry.remove()) else { return false };
        drop(agenda);
        happen();
        true
    }
}

/// A future that completes once, at its time.
pub struct Timer {
    state: Rc<TimerState>,
    event: Event,
}

#[derive(Default)]
struct TimerState {
    is_due: Cell<bool>,
    waker: Cell<Option<Waker>>,
}

impl Future for Timer {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.state.is_due.get() {
            return Poll::Ready(());
        }
        self.state.waker.set(Some(context.waker().clone()));
        Poll::Pending
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        if let Some(world) = current() {
            world.forget(self.event);
        }
    }
}

//! Runs the tasks of a simulation in a random order that follows from the seed. As on the executor of a real core, a
//! new task runs up to its first wait before the call that started it returns, and a dropped task is cancelled.

use super::host::Host;
use super::random::Random;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

type Id = u64;
type Work = Pin<Box<dyn Future<Output = ()>>>;

/// The tasks of a world.
#[derive(Default)]
pub(super) struct Executor {
    tasks: RefCell<BTreeMap<Id, Rc<Running>>>,
    ready: Arc<Ready>,
    started: Cell<Id>,
    /// The host of the task that runs now.
    host: Cell<Option<Host>>,
    paused: RefCell<BTreeSet<u16>>,
    /// The world has ended: no more tasks are started.
    is_over: Cell<bool>,
}

/// Tasks that were woken.
#[derive(Default)]
struct Ready(Mutex<Vec<Id>>);

struct Running {
    host: Host,
    /// The task's future; taken out while it is polled.
    work: Cell<Option<Work>>,
    is_cancelled: Cell<bool>,
    alarm: Arc<Alarm>,
}

struct Alarm {
    id: Id,
    is_ready: AtomicBool,
    ready: Arc<Ready>,
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        if !self.is_ready.swap(true, Ordering::Relaxed) {
            self.ready.0.lock().unwrap_or_else(PoisonError::into_inner).push(self.id);
        }
    }
}

/// A task. Dropping it cancels the task, unless it was detached ([`Task::detach`]).
pub struct Task<T> {
    end: Rc<End<T>>,
    /// `None` once detached.
    id: Option<Id>,
    executor: Weak<Executor>,
}

struct End<T> {
    output: Cell<Option<T>>,
    waker: Cell<Option<Waker>>,
}

impl Executor {
    /// The host of the task that runs now.
    pub fn host(&self) -> Host {
        self.host.get().unwrap_or(Host::OUTSIDE)
    }

    pub fn spawn<T: 'static>(
        self: &Rc<Self>,
        host: Host,
        future: impl Future<Output = T> + 'static,
    ) -> Task<T> {
        let end = Rc::new(End { output: Cell::new(None), waker: Cell::new(None) });
        let id = self.started.get();
        self.started.set(id + 1);
        let task = Task { end: end.clone(), id: Some(id), executor: Rc::downgrade(self) };
        if self.is_over.get() {
            return task;
        }
        let work = Box::pin(async move {
            end.output.set(Some(future.await));
            end.waker.take().into_iter().for_each(Waker::wake);
        });
        let alarm = Arc::new(Alarm { id, is_ready: AtomicBool::new(true), ready: self.ready.clone() });
        let running = Running { host, work: Cell::new(Some(work)), is_cancelled: Cell::new(false), alarm };
        self.tasks.borrow_mut().insert(id, Rc::new(running));
        self.poll(id);
        task
    }

    /// Removes and returns one of the tasks that can run, chosen at random.
    pub fn next(&self, dice: &mut Random) -> Option<Id> {
        let mut ready = self.ready.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (tasks, paused) = (self.tasks.borrow(), self.paused.borrow());
        if paused.is_empty() {
            // A cancelled task may be among these; polling it does nothing.
            let count = ready.len();
            return (count > 0).then(|| ready.swap_remove(dice.below(count)));
        }
        ready.retain(|id| tasks.contains_key(id));
        let can_run = |id: &Id| tasks.get(id).is_some_and(|task| !paused.contains(&task.host.0));
        let candidates: Vec<usize> = (0..ready.len()).filter(|index| can_run(&ready[*index])).collect();
        (!candidates.is_empty()).then(|| ready.swap_remove(*dice.pick(&candidates)))
    }

    /// Runs task `id` until its next wait.
    pub fn poll(&self, id: Id) {
        let Some(task) = self.tasks.borrow().get(&id).cloned() else { return };
        let Some(mut work) = task.work.take() else { return };
        task.alarm.is_ready.store(false, Ordering::Relaxed);
        let before = self.host.replace(Some(task.host));
        let waker = Waker::from(task.alarm.clone());
        let outcome = work.as_mut().poll(&mut Context::from_waker(&waker));
        self.host.set(before);
        if outcome.is_ready() || task.is_cancelled.get() {
            self.tasks.borrow_mut().remove(&id);
        } else {
            task.work.set(Some(work));
        }
    }

    fn cancel(&self, id: Id) {
        let Some(task) = self.tasks.borrow().get(&id).cloned() else { return };
        task.is_cancelled.set(true);
        // A task without its future here is running now; it ends at its next wait.
        if let Some(work) = task.work.take() {
            self.tasks.borrow_mut().remove(&id);
            drop(work);
        }
    }

    pub fn pause(&self, host: Host) {
        self.paused.borrow_mut().insert(host.0);
    }

    pub fn resume(&self, host: Host) {
        self.paused.borrow_mut().remove(&host.0);
    }

    /// Drops all tasks, and returns whether there were any.
    pub fn drop_tasks(&self) -> bool {
        self.is_over.set(true);
        let tasks = self.tasks.take();
        let were_some = !tasks.is_empty();
        tasks.into_values().for_each(|task| drop(task.work.take()));
        were_some
    }
}

impl<T> Task<T> {
    /// Lets the task run to its end without an owner.
    pub fn detach(mut self) {
        self.id = None;
    }
}

impl<T> Future for Task<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        if let Some(output) = self.end.output.take() {
            return Poll::Ready(output);
        }
        self.end.waker.set(Some(context.waker().clone()));
        Poll::Pending
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        if let (Some(id), Some(executor)) = (self.id, self.executor.upgrade()) {
            executor.cancel(id);
        }
    }
}

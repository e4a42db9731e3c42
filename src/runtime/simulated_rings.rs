//! Rings between the cores of a simulation. A message becomes visible to its receiver some time after it was sent, in
//! order, as if the cores had caches and threads of their own.

use crate::simulation::{Random, current};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::mem::take;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

/// Makes a mesh; every core joins with its own clone.
pub struct MeshBuilder<T> {
    rings: Arc<Rings<T>>,
}

/// A core's ends of all rings.
pub struct Ends<T> {
    rings: Arc<Rings<T>>,
    pub core: usize,
}

struct Rings<T> {
    cores: usize,
    messages: usize,
    /// The ring from each core to each other, at index `from * cores + to`.
    rings: Vec<Mutex<Ring<T>>>,
    joined: Mutex<Joined>,
}

#[derive(Default)]
struct Joined {
    count: usize,
    waiting: Vec<Waker>,
}

struct Ring<T> {
    /// The messages, each with the time when it becomes visible.
    messages: VecDeque<(Duration, T)>,
    latest: Duration,
    receiver: Vec<Waker>,
    sender: Vec<Waker>,
}

impl<T> Clone for MeshBuilder<T> {
    fn clone(&self) -> Self {
        MeshBuilder { rings: self.rings.clone() }
    }
}

impl<T: Send + 'static> MeshBuilder<T> {
    pub fn new(cores: usize, messages: usize) -> MeshBuilder<T> {
        let ring = || Ring {
            messages: VecDeque::new(),
            latest: Duration::ZERO,
            receiver: Vec::new(),
            sender: Vec::new(),
        };
        let rings = (0..cores * cores).map(|_| ring().into()).collect();
        MeshBuilder { rings: Arc::new(Rings { cores, messages, rings, joined: Mutex::default() }) }
    }

    /// Joins as the core that is the host of this task, and returns when every core has joined.
    pub async fn join(self) -> (Ends<T>, Ends<T>) {
        let core = current().map_or(0, |world| world.host().core());
        {
            let mut joined = lock(&self.rings.joined);
            joined.count += 1;
            take(&mut joined.waiting).into_iter().for_each(Waker::wake);
        }
        poll_fn(|context| {
            let mut joined = lock(&self.rings.joined);
            if joined.count == self.rings.cores {
                return Poll::Ready(());
            }
            joined.waiting.push(context.waker().clone());
            Poll::Pending
        })
        .await;
        (Ends { rings: self.rings.clone(), core }, Ends { rings: self.rings, core })
    }
}

impl<T: Send + 'static> Ends<T> {
    pub fn cores(&self) -> usize {
        self.rings.cores
    }

    pub fn try_send_to(&self, core: usize, message: T) -> Result<(), T> {
        let Some(world) = current() else { return Err(message) };
        let index = self.core * self.rings.cores + core;
        let mut ring = lock(&self.rings.rings[index]);
        if ring.messages.len() >= self.rings.messages {
            return Err(message);
        }
        ring.latest = ring.latest.max(world.elapsed() + world.dice(delay));
        let at = ring.latest;
        ring.messages.push_back((at, message));
        let rings = self.rings.clone();
        world.at(at, move || take(&mut lock(&rings.rings[index]).receiver).into_iter().for_each(Waker::wake));
        Ok(())
    }

    pub async fn send_to(&self, core: usize, message: T) {
        let mut message = Some(message);
        poll_fn(|context| {
            let Some(sent) = message.take() else { return Poll::Ready(()) };
            let Err(refused) = self.try_send_to(core, sent) else { return Poll::Ready(()) };
            message = Some(refused);
            let ring = &self.rings.rings[self.core * self.rings.cores + core];
            lock(ring).sender.push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    pub async fn recv_from(&self, core: usize) -> T {
        poll_fn(|context| {
            let mut ring = lock(&self.rings.rings[core * self.rings.cores + self.core]);
            let now = current().map_or(Duration::MAX, |world| world.elapsed());
            if ring.messages.front().is_some_and(|(at, _)| *at <= now)
                && let Some((_, message)) = ring.messages.pop_front()
            {
                take(&mut ring.sender).into_iter().for_each(Waker::wake);
                return Poll::Ready(message);
            }
            ring.receiver.push(context.waker().clone());
            Poll::Pending
        })
        .await
    }
}

fn delay(dice: &mut Random) -> Duration {
    Duration::from_micros(match dice.below(10) {
        0 => dice.within(100..5_000),
        _ => dice.within(1..50),
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

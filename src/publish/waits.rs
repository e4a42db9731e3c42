//! Finds queues of this core that do not move: messages in the lanes to other cores, messages to homes here,
//! confirmations that publishers wait for, and readers of the mesh that wait for room. The core looks at all of them
//! with each tick. So `/stats` shows operators where work stands still, and after a second the log does.

use super::Publishing;
use crate::context::{SECOND, TICK_MS};
use crate::ids::CoreId;
use crate::mesh::LaneLoad;
use rustc_hash::FxHashMap;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// Since when each queue has waited.
#[derive(Default)]
pub(super) struct Waits {
    /// The tick at which each reader of the mesh began to wait for room.
    readers: RefCell<Vec<Option<u32>>>,
    progress: RefCell<FxHashMap<Queue, Progress>>,
    /// The queue that had not moved for the longest time at the last look.
    stuck: Cell<Option<Stuck>>,
    /// Messages from [`Publishing::send_home`] that the homes on this core have taken.
    pub taken_at_home: Cell<u64>,
}

/// A queue in which work can wait.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Queue {
    /// A lane to the homes on another core.
    Homes(CoreId),
    /// A lane from the homes here to another core.
    Deliveries(CoreId),
    /// A lane of core queries to another core.
    Queries(CoreId),
    /// Messages of this core to homes on this core.
    OwnHomes,
    /// Confirmations that publishers wait for.
    Confirmations,
}

/// How much of a queue had moved on at the last look, and since when that is unchanged.
struct Progress {
    moved: u64,
    since: u32,
}

/// A queue that has work and does not move.
#[derive(Clone, Copy)]
struct Stuck {
    queue: Queue,
    waiting: usize,
    ticks: u32,
}

/// A reader of the mesh, identified by its number.
pub(super) struct Reader {
    publishing: Rc<Publishing>,
    number: usize,
}

impl Reader {
    /// One more reader of a core.
    pub fn new(publishing: Rc<Publishing>) -> Reader {
        let number = {
            let mut readers = publishing.waits.readers.borrow_mut();
            readers.push(None);
            readers.len() - 1
        };
        Reader { publishing, number }
    }

    /// Waits until `has_room` returns true, and notes since when.
    pub async fn await_room_until(&self, has_room: impl Fn() -> bool) {
        if has_room() {
            return;
        }
        self.waits_since(Some(self.publishing.context.now()));
        self.publishing.await_room_until(has_room).await;
        self.waits_since(None);
    }

    fn waits_since(&self, tick: Option<u32>) {
        if let Some(since) = self.publishing.waits.readers.borrow_mut().get_mut(self.number) {
            *since = tick;
        }
    }
}

impl Waits {
    /// Looks at a queue with `waiting` entries, from which `moved` entries have been taken since the start. Returns for
    /// how many ticks the queue has had work and has not moved.
    fn look(&self, now: u32, queue: Queue, waiting: usize, moved: u64) -> u32 {
        let mut all = self.progress.borrow_mut();
        if waiting == 0 {
            all.remove(&queue);
            return 0;
        }
        let progress = all.entry(queue).or_insert(Progress { moved, since: now });
        if progress.moved != moved {
            *progress = Progress { moved, since: now };
        }
        let ticks = now.wrapping_sub(progress.since);
        if self.stuck.get().is_none_or(|stuck| stuck.ticks < ticks) {
            self.stuck.set(Some(Stuck { queue, waiting, ticks }));
        }
        ticks
    }

    /// How many readers wait for room, and for how many ticks the longest-waiting one has waited.
    fn readers(&self, now: u32) -> (usize, u32) {
        let readers = self.readers.borrow();
        let waiting = readers.iter().flatten().map(|since| now.wrapping_sub(*since));
        (waiting.clone().count(), waiting.max().unwrap_or_default())
    }
}

impl Publishing {
    /// Looks at all queues, for `/stats` and the log. `queries` are the lanes of core queries.
    pub fn look_at_waits(&self, queries: impl Iterator<Item = LaneLoad>) {
        let (now, waits) = (self.context.now(), &self.waits);
        waits.stuck.set(None);
        let homes = self.mesh.to_home.loads().map(|load| (Queue::Homes(load.to), load));
        let deliveries = self.mesh.to_core.loads().map(|load| (Queue::Deliveries(load.to), load));
        let queries = queries.map(|load| (Queue::Queries(load.to), load));
        let (mut messages, mut longest) = (0, 0);
        for (queue, load) in homes.chain(deliveries).chain(queries) {
            messages += load.messages;
            longest = longest.max(waits.look(now, queue, load.messages, load.moved));
        }
        let own = self.to_own_home.borrow().len();
        longest = longest.max(waits.look(now, Queue::OwnHomes, own, waits.taken_at_home.get()));
        let (confirmations, oldest) = self.confirmations.borrow().waiting();
        let unconfirmed = waits.look(now, Queue::Confirmations, confirmations, oldest.unwrap_or_default());
        let (readers, unread) = waits.readers(now);
        let metrics = &self.context.metrics;
        metrics.lane_messages.set((messages + own) as u64);
        metrics.lanes_longest_ms.set(u64::from(longest) * TICK_MS);
        metrics.mesh_readers_waiting.set(readers as u64);
        metrics.mesh_readers_longest_ms.set(u64::from(unread) * TICK_MS);
        metrics.confirmations_waiting.set(confirmations as u64);
        metrics.confirmations_longest_ms.set(u64::from(unconfirmed) * TICK_MS);
    }

    /// Logs queues that have not moved for a second, and readers that have waited for a second.
    pub fn tell_of_waits(&self) {
        let core = self.context.id.0;
        if let Some(Stuck { queue, waiting, ticks }) = self.waits.stuck.get().filter(|it| it.ticks >= SECOND)
        {
            let seconds = ticks / SECOND;
            tracing::warn!(
                core,
                ?queue,
                waiting,
                seconds,
                "a queue of messages between cores has not moved: see whether another core is stuck or overloaded"
            );
        }
        let (readers, ticks) = self.waits.readers(self.context.now());
        if ticks >= SECOND {
            let seconds = ticks / SECOND;
            tracing::warn!(
                core,
                readers,
                seconds,
                "messages from other cores are not read: this core's queues are full"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_stands_still_while_it_has_work_and_does_not_move() {
        let waits = Waits::default();
        let lane = Queue::Homes(CoreId(1));
        assert_eq!(waits.look(100, lane, 5, 7), 0);
        assert_eq!(waits.look(110, lane, 9, 7), 10);
        assert_eq!(waits.stuck.get().map(|stuck| (stuck.waiting, stuck.ticks)), Some((9, 10)));
        assert_eq!(waits.look(111, lane, 9, 8), 0, "it moved");
        assert_eq!(waits.look(115, lane, 0, 17), 0);
        assert_eq!(waits.look(130, lane, 1, 17), 0, "it was empty meanwhile");
        assert_eq!(waits.look(131, Queue::OwnHomes, 1, 17), 0);
    }
}

//! Cores that only the mesh wakes: a task that waits for room must be woken by the lanes alone.

use super::{Lanes, LanesPlan, RingEnds};
use crate::ids::CoreId;
use crate::runtime;
use futures_lite::FutureExt;
use futures_lite::future::yield_now;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

/// How long a test may take on a busy machine.
const DEADLINE: Duration = Duration::from_secs(180);
/// Publishers of a core that all wait for room in the same lanes.
const PUBLISHERS: usize = 6;
/// Messages that each publisher publishes.
const MESSAGES: usize = 2_000;

/// One core that works like a core of the server: published messages go to a home, which forwards them to every other
/// core. Homes wait for room towards cores, publishers wait for room towards homes.
struct TestCore {
    id: CoreId,
    cores: usize,
    to_home: Lanes<Published>,
    to_core: Lanes<Published>,
    /// Messages that the home here has yet to forward, and messages that this core has yet to receive.
    expected: Cell<(usize, usize)>,
    done: crate::bell::Bell,
}

struct Published;

#[test]
fn everything_published_arrives_when_many_wait_for_the_same_lane() {
    for cores in [2, 3, 8] {
        for ring in [4, 1024] {
            run(cores, ring, 0);
        }
    }
}

#[test]
fn publishers_that_give_up_do_not_take_the_room_of_others() {
    for ring in [4, 1024] {
        run(4, ring, PUBLISHERS / 2);
    }
}

/// Runs `cores` cores with rings of `ring` messages. On each core, `given_up` more publishers start, and are dropped
/// while they wait for room.
fn run(cores: usize, ring: usize, given_up: usize) {
    let (to_home, to_core) = (LanesPlan::new(cores, ring), LanesPlan::new(cores, ring));
    let (finished, all) = channel();
    for _ in 0..cores {
        let (to_home, to_core, finished) = (to_home.clone(), to_core.clone(), finished.clone());
        runtime::start("core", None, move || core(cores, given_up, (to_home, to_core), finished))
            .expect("a core");
    }
    for finished in 0..cores {
        let heard = all.recv_timeout(DEADLINE);
        assert!(heard.is_ok(), "{finished} of {cores} cores got all messages, with rings of {ring}");
    }
}

async fn core(
    cores: usize,
    given_up: usize,
    plans: (LanesPlan<Published>, LanesPlan<Published>),
    finished: Sender<()>,
) {
    let (to_home, home_ends) = plans.0.join().await.expect("a mesh");
    let (to_core, core_ends) = plans.1.join().await.expect("a mesh");
    let (id, published) = (own_id(&home_ends, cores), PUBLISHERS * MESSAGES);
    // A core sends its messages to the other cores in turn; each home forwards every message to all other cores.
    let at_home = published;
    let arrives = published * (cores - 1);
    let expected = Cell::new((at_home, arrives));
    let core = Rc::new(TestCore { id, cores, to_home, to_core, expected, done: Default::default() });
    for peer in home_ends.peers() {
        let (core, ends) = (core.clone(), home_ends.clone());
        runtime::spawn(async move {
            while ends.receive(peer).await.is_some() {
                core.pass_on().await;
            }
        })
        .detach();
    }
    for peer in core_ends.peers() {
        let (core, ends) = (core.clone(), core_ends.clone());
        runtime::spawn(async move {
            while ends.receive(peer).await.is_some() {
                core.count(0, 1);
            }
        })
        .detach();
    }
    for first in 0..given_up {
        // Its messages are not counted: it only waits for room like the others.
        let core = core.clone();
        let gives_up = async move {
            let waits = async {
                loop {
                    core.room_at_home(core.peer(first)).await;
                    yield_now().await;
                }
            };
            let patience = async {
                for _ in 0..50 {
                    yield_now().await;
                }
            };
            waits.or(patience).await;
        };
        runtime::spawn(gives_up).detach();
    }
    for first in 0..PUBLISHERS {
        let core = core.clone();
        runtime::spawn(async move {
            for message in 0..MESSAGES {
                let home = core.peer(first + message);
                core.room_at_home(home).await;
                core.to_home.send(home, Published);
            }
        })
        .detach();
    }
    while core.expected.get() != (0, 0) {
        core.done.rung().await;
    }
    let _ = finished.send(());
    // The others may still need this core.
    std::future::pending::<()>().await;
}

/// The mesh numbers cores in the order they join.
fn own_id(ends: &RingEnds<Published>, cores: usize) -> CoreId {
    let peers = ends.peers();
    let own = (0..cores as u16).map(CoreId).find(|id| !peers.contains(id));
    own.expect("a core that is not its own peer")
}

impl TestCore {
    fn peer(&self, number: usize) -> CoreId {
        let distance = 1 + number % (self.cores - 1);
        CoreId(((self.id.index() + distance) % self.cores) as u16)
    }

    async fn room_at_home(&self, home: CoreId) {
        let roomier = self.to_home.roomier();
        while !self.to_home.has_room(home) {
            roomier.rung().await;
        }
    }

    /// Works as a home: waits for room towards all cores, then sends one message to each.
    async fn pass_on(&self) {
        let roomier = self.to_core.roomier();
        while !self.to_core.all_have_room() {
            roomier.rung().await;
        }
        (0..self.cores - 1).for_each(|number| self.to_core.send(self.peer(number), Published));
        self.count(1, 0);
    }

    fn count(&self, passed_on: usize, arrived: usize) {
        let (at_home, arrives) = self.expected.get();
        self.expected.set((at_home - passed_on, arrives - arrived));
        self.done.ring();
    }
}

//! One core's lanes of a mesh: for each other core an ordered queue in front of the ring. A message goes straight
//! into the ring while there is room and nothing waits; else it waits in the lane, behind what waits there already.
//! Lanes are bounded by those who send: they ask [`Lanes::has_room`] before they take on work that makes messages, and
//! wait for [`Lanes::roomier`] if there is none.

use crate::bell::Bell;
use crate::ids::CoreId;
use crate::runtime::{self, Receivers, Senders};
use crate::slack::Look;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

/// Messages that may wait in front of a full ring before [`Lanes::has_room`] says no.
const WAITING: usize = 1024;
/// Messages that wait when those who wait for room hear that there is some. There is always a ring between full and
/// empty, and each is followed by many sends, so it does not matter that it wakes everybody.
const ROOMY: usize = WAITING / 2;

/// The sending side.
pub struct Lanes<T: Send + 'static> {
    senders: Option<Rc<Senders<T>>>,
    lanes: Vec<Rc<Lane<T>>>,
    /// Rung when a lane has become [`ROOMY`].
    roomier: Rc<Bell>,
}

struct Lane<T> {
    waiting: RefCell<VecDeque<T>>,
    /// A message was taken off `waiting` and is not in the ring yet: nothing may pass it.
    moving: Cell<bool>,
    /// Messages that have waited here and are in the ring.
    moved: Cell<u64>,
    filled: Bell,
}

/// What waits in a lane.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LaneLoad {
    /// The core that the lane leads to.
    pub to: CoreId,
    /// Messages that wait in front of the ring.
    pub messages: usize,
    /// Messages that have waited and went on since start. While this stands still, the other core takes nothing.
    pub moved: u64,
}

/// The receiving side: one ring from every other core.
pub struct RingEnds<T: Send + 'static> {
    receivers: Option<Rc<Receivers<T>>>,
}

impl<T: Send + 'static> Lanes<T> {
    /// The lanes of a core that has no peers.
    pub fn alone() -> Lanes<T> {
        Lanes { senders: None, lanes: Vec::new(), roomier: Rc::default() }
    }

    /// Lanes into `senders`' rings. Starts a task for each lane that moves what waits into the ring.
    pub(super) fn new(senders: Senders<T>) -> Lanes<T> {
        let (senders, roomier) = (Rc::new(senders), Rc::<Bell>::default());
        let lanes: Vec<Rc<Lane<T>>> = (0..senders.nr_consumers()).map(|_| Rc::default()).collect();
        for (peer, lane) in lanes.iter().enumerate().filter(|(peer, _)| *peer != senders.peer_id()) {
            runtime::spawn(forward(senders.clone(), peer, lane.clone(), roomier.clone())).detach();
        }
        Lanes { senders: Some(senders), lanes, roomier }
    }

    /// Sends `message` to another core, behind everything sent to it before.
    pub fn send(&self, core: CoreId, message: T) {
        let (Some(senders), Some(lane)) = (&self.senders, self.lanes.get(core.index())) else { return };
        let mut waiting = lane.waiting.borrow_mut();
        let mut message = Some(message);
        if waiting.is_empty() && !lane.moving.get() {
            message = message.take().and_then(|message| senders.try_send_to(core.index(), message).err());
        }
        if let Some(message) = message {
            waiting.push_back(message);
            lane.filled.ring();
        }
    }

    /// Whether less waits for `core` than may.
    pub fn has_room(&self, core: CoreId) -> bool {
        self.lanes.get(core.index()).is_none_or(|lane| lane.waiting.borrow().len() < WAITING)
    }

    /// Whether all lanes have room.
    pub fn all_have_room(&self) -> bool {
        self.lanes.iter().all(|lane| lane.waiting.borrow().len() < WAITING)
    }

    /// Rung when a lane that had no room has some again.
    pub fn roomier(&self) -> Rc<Bell> {
        self.roomier.clone()
    }

    /// Has a look at the queues.
    pub fn look_at_tables(&self, look: &mut Look<'_>) {
        self.lanes.iter().for_each(|lane| look.at(&mut *lane.waiting.borrow_mut()));
    }

    /// What waits in each lane in which something does.
    pub fn loads(&self) -> impl Iterator<Item = LaneLoad> {
        self.lanes.iter().enumerate().filter_map(|(to, lane)| {
            let messages = lane.waiting.borrow().len() + usize::from(lane.moving.get());
            let load = LaneLoad { to: CoreId(to as u16), messages, moved: lane.moved.get() };
            (messages > 0).then_some(load)
        })
    }
}

impl<T> Default for Lane<T> {
    fn default() -> Lane<T> {
        let (waiting, moving) = (RefCell::default(), Cell::default());
        Lane { waiting, moving, moved: Cell::default(), filled: Bell::default() }
    }
}

impl<T: Send + 'static> RingEnds<T> {
    /// The ends of a core that has no peers.
    pub fn alone() -> RingEnds<T> {
        RingEnds { receivers: None }
    }

    pub(super) fn new(receivers: Receivers<T>) -> RingEnds<T> {
        RingEnds { receivers: Some(Rc::new(receivers)) }
    }

    /// The other cores that send to this one.
    pub fn peers(&self) -> Vec<CoreId> {
        let Some(receivers) = &self.receivers else { return Vec::new() };
        let own = receivers.peer_id();
        (0..receivers.nr_producers()).filter(|peer| *peer != own).map(|peer| CoreId(peer as u16)).collect()
    }

    /// The next message from `peer`; `None` when that core is gone.
    pub async fn receive(&self, peer: CoreId) -> Option<T> {
        self.receivers.as_ref()?.recv_from(peer.index()).await
    }
}

impl<T: Send + 'static> Clone for RingEnds<T> {
    fn clone(&self) -> Self {
        RingEnds { receivers: self.receivers.clone() }
    }
}

/// Moves what waits in `lane` into the ring, in order.
async fn forward<T: Send + 'static>(
    senders: Rc<Senders<T>>,
    peer: usize,
    lane: Rc<Lane<T>>,
    roomier: Rc<Bell>,
) {
    loop {
        let next = lane.waiting.borrow_mut().pop_front();
        let Some(message) = next else {
            lane.filled.rung().await;
            continue;
        };
        lane.moving.set(true);
        senders.send_to(peer, message).await;
        lane.moving.set(false);
        lane.moved.set(lane.moved.get() + 1);
        if lane.waiting.borrow().len() == ROOMY {
            roomier.ring();
        }
    }
}

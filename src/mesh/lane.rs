//! One core's lanes of a mesh: for each other core an ordered queue in front of the ring. A message goes into the
//! ring if the ring has room and no message waits before it; otherwise it waits in the lane, behind earlier messages.
//! The senders keep lanes bounded: a sender calls [`Lanes::has_room`] before it starts work that makes messages, and
//! waits for [`Lanes::roomier`] if there is no room.

use crate::bell::Bell;
use crate::ids::CoreId;
use crate::runtime::{self, Receivers, Senders};
use crate::slack::Look;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

/// Messages that may wait in front of a full ring before [`Lanes::has_room`] returns false.
const WAITING: usize = 1024;
/// When the queue of a full lane has shrunk to this many messages, senders that wait for room are woken. Filling and
/// draining a lane takes many sends, so it does not matter that a ring wakes all waiting senders.
const ROOMY: usize = WAITING / 2;

/// The sending side.
pub struct Lanes<T: Send + 'static> {
    senders: Option<Rc<Senders<T>>>,
    lanes: Vec<Rc<Lane<T>>>,
    /// Rung when a lane has shrunk to [`ROOMY`] messages.
    roomier: Rc<Bell>,
}

struct Lane<T> {
    waiting: RefCell<VecDeque<T>>,
    /// A message was taken off `waiting` and is not in the ring yet, so no other message may enter the ring.
    moving: Cell<bool>,
    /// Messages that have waited here and were moved into the ring.
    moved: Cell<u64>,
    filled: Bell,
}

/// The load of one lane.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LaneLoad {
    /// The core that the lane leads to.
    pub to: CoreId,
    /// Messages that wait in front of the ring.
    pub messages: usize,
    /// Messages that have waited and were moved into the ring since start. While this does not grow, the other core
    /// reads nothing.
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

    /// Creates the lanes to all other cores. For each lane, a task moves waiting messages into the ring.
    pub(super) fn new(senders: Senders<T>) -> Lanes<T> {
        let (senders, roomier) = (Rc::new(senders), Rc::<Bell>::default());
        let lanes: Vec<Rc<Lane<T>>> = (0..senders.nr_consumers()).map(|_| Rc::default()).collect();
        for (peer, lane) in lanes.iter().enumerate().filter(|(peer, _)| *peer != senders.peer_id()) {
            runtime::spawn(forward(senders.clone(), peer, lane.clone(), roomier.clone())).detach();
        }
        Lanes { senders: Some(senders), lanes, roomier }
    }

    /// Sends `message` to another core, behind all messages that were sent to it before.
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

    /// Whether the lane to `core` has room for more work.
    pub fn has_room(&self, core: CoreId) -> bool {
        self.lanes.get(core.index()).is_none_or(|lane| lane.waiting.borrow().len() < WAITING)
    }

    /// Whether all lanes have room for more work.
    pub fn all_have_room(&self) -> bool {
        self.lanes.iter().all(|lane| lane.waiting.borrow().len() < WAITING)
    }

    /// The bell that is rung when a full lane has room again.
    pub fn roomier(&self) -> Rc<Bell> {
        self.roomier.clone()
    }

    /// Lets `look` shrink the queues.
    pub fn look_at_tables(&self, look: &mut Look<'_>) {
        self.lanes.iter().for_each(|lane| look.at(&mut *lane.waiting.borrow_mut()));
    }

    /// The load of each lane in which messages wait.
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
    /// The receiving side of a core that has no peers.
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

    /// Waits for the next message from `peer`; `None` if that core has ended.
    pub async fn receive(&self, peer: CoreId) -> Option<T> {
        self.receivers.as_ref()?.recv_from(peer.index()).await
    }
}

impl<T: Send + 'static> Clone for RingEnds<T> {
    fn clone(&self) -> Self {
        RingEnds { receivers: self.receivers.clone() }
    }
}

/// Moves the messages that wait in `lane` into the ring, in order.
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

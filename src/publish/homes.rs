//! Lets the homes of channels on this core do their work, and exchanges messages between homes and cores. The queues
//! are bounded: code that fills one first looks whether there is room, or waits for room.

use super::Publishing;
use crate::channel::{HomeTimes, LastId, ToCore, ToHome};
use crate::context::Life;
use crate::delivery::ForHome;
use crate::ids::CoreId;
use crate::runtime;
use crate::slack::Look;
use smallvec::SmallVec;
use std::rc::Rc;

/// At most this many messages to homes on this core wait.
const OWN_HOME_WAITING: usize = 1024;
/// Messages that the homes on this core take in one turn.
const HOME_MESSAGES: usize = 4096;
/// Unused channels that are dropped in one turn.
const EXPIRIES: usize = 512;

/// Messages from homes to cores.
type FromHome = SmallVec<[(CoreId, ToCore); 4]>;

impl Publishing {
    /// Whether every home has room.
    pub fn all_homes_have_room(&self) -> bool {
        self.has_room(self.context.id) && self.mesh.to_home.all_have_room()
    }

    /// Whether `home` is this core and would take a message at once.
    pub(super) fn is_at_hand(&self, home: CoreId) -> bool {
        home == self.context.id && !self.has_own_waiting() && self.homes_have_room()
    }

    /// Whether messages from this core to the homes on this core are waiting.
    pub fn has_own_waiting(&self) -> bool {
        !self.to_own_home.borrow().is_empty()
    }

    /// Has the homes on this core handle `message` of core `from`. If it publishes an item, the item was published on
    /// this node, so backplanes are told of it.
    pub fn at_home(self: &Rc<Self>, from: CoreId, message: ToHome) {
        if let ToHome::Publish(publication) = &message {
            self.backplanes.publish(publication);
        }
        self.handle_at_home(from, message);
    }

    /// Has the homes on this core handle `message`, without telling backplanes of an item.
    pub(super) fn handle_at_home(self: &Rc<Self>, from: CoreId, message: ToHome) {
        if let ToHome::Publish(publication) = &message
            && self.context.settings().log.requests
            && !self.home.borrow().has_interest(&publication.channel)
        {
            let (channel, id) = (&*publication.channel, publication.id.as_deref());
            tracing::info!(channel, id, receivers = 0, "published");
        }
        let mut out = FromHome::new();
        self.home.borrow_mut().handle(from, message, &mut |core, message| out.push((core, message)));
        self.tell_of_interest();
        self.dispatch(out);
    }

    /// Lets the homes on this core deliver one publication whose predecessor did not come in time. Returns whether
    /// there was one.
    pub fn lose_patience_at_home(self: &Rc<Self>) -> bool {
        let mut out = FromHome::new();
        let was_one = {
            let mut home = self.home.borrow_mut();
            home.lose_patience(self.context.clock.judged(), &mut |core, message| out.push((core, message)))
        };
        self.dispatch(out);
        was_one
    }

    /// Sends the homes' messages to other cores, and takes those for this core.
    fn dispatch(self: &Rc<Self>, messages: FromHome) {
        // All messages are counted before any is sent. So a client that has seen a message on one core and then
        // subscribes on another core is not sent the message again.
        let others = messages.iter().map(|(core, _)| *core).filter(|core| *core != self.context.id);
        others.for_each(|core| self.dispatched.count(self.context.id, core));
        let mut to_own = SmallVec::<[ToCore; 2]>::new();
        for (core, message) in messages {
            match core == self.context.id {
                true => to_own.push(message),
                false => self.mesh.to_core.send(core, message),
            }
        }
        to_own.into_iter().for_each(|message| self.take_from_home(message));
    }

    /// Whether there is room for more messages from the homes on this core.
    pub fn homes_have_room(&self) -> bool {
        self.mesh.to_core.all_have_room() && self.delivery.has_room()
    }

    /// Waits until `has_room` returns true. It may depend on lanes, on the fan-out, and on the queue of the homes here.
    pub async fn await_room_until(&self, has_room: impl Fn() -> bool) {
        while !has_room() {
            self.room.rung().await;
        }
    }

    /// Starts tasks that wake all waiters for room, and the loop, when a lane has room again. The loop may have put off
    /// work because a lane was full.
    pub fn start_hearing_of_room(self: &Rc<Self>) {
        for roomier in [self.mesh.to_home.roomier(), self.mesh.to_core.roomier()] {
            let publishing = self.clone();
            runtime::spawn(async move {
                let mut heard = 0;
                loop {
                    roomier.rung_since(heard).await;
                    heard = roomier.rings();
                    publishing.room.ring();
                    publishing.context.wake();
                }
            })
            .detach();
        }
    }

    /// Takes a message from a home to this core.
    pub fn take_from_home(&self, message: ToCore) {
        match message {
            ToCore::Sequenced { ticket } => self.confirmations.borrow_mut().confirm(ticket),
            message => self.delivery.take(message),
        }
    }

    /// Sends `message` to the homes on core `home`.
    pub fn send_home(&self, home: CoreId, message: ToHome) {
        if home == self.context.id {
            self.to_own_home.borrow_mut().push_back(message);
            self.context.wake();
        } else {
            self.mesh.to_home.send(home, message);
        }
    }

    /// Sends `messages`, each to its home.
    pub fn send_home_all(&self, messages: Vec<ForHome>) {
        messages.into_iter().for_each(|(home, message)| self.send_home(home, message));
    }

    /// Lets the homes on this core handle the messages of this core itself. Returns whether there were any.
    pub fn work_at_home(self: &Rc<Self>) -> bool {
        let mut busy = false;
        for _ in 0..HOME_MESSAGES {
            if !self.homes_have_room() {
                break;
            }
            let Some(message) = self.to_own_home.borrow_mut().pop_front() else { break };
            self.waits.taken_at_home.set(self.waits.taken_at_home.get() + 1);
            self.at_home(self.context.id, message);
            busy = true;
        }
        // A message that is still in the queue may be the predecessor that an item waits for.
        while self.context.gate.life() != Life::Quiet
            && !self.has_own_waiting()
            && self.homes_have_room()
            && self.lose_patience_at_home()
        {
            busy = true;
        }
        busy
    }

    /// Drops some of the channels that have had no subscribers for a while. Returns whether there are more, and how
    /// many were dropped.
    pub fn let_channels_go(&self) -> (bool, usize) {
        if self.context.gate.life() == Life::Quiet || !self.all_homes_have_room() {
            return (false, 0);
        }
        let mut farewells = Vec::new();
        let has_more = self.delivery.expire(EXPIRIES, &mut farewells);
        let count = farewells.len();
        self.send_home_all(farewells);
        (has_more, count)
    }

    /// The id of the last item that was published to `channel`, whose home is on this core.
    pub fn last_id_at_home(&self, channel: &str) -> LastId {
        self.home.borrow().last_id(channel)
    }

    /// How many channels have their home on this core.
    pub fn homes(&self) -> usize {
        self.home.borrow().channels()
    }

    /// Tells the homes that the current tick is `tick`.
    pub fn set_now(&self, tick: u32) {
        self.home.borrow_mut().set_now(tick);
    }

    /// Sets how long homes wait for missing predecessors, and how long they remember ids.
    pub fn set_times(&self, times: HomeTimes) {
        self.home.borrow_mut().set_times(times);
    }

    /// Wakes all waiters for room, because a bounded queue has become shorter.
    pub fn made_room(&self) {
        self.room.ring();
    }

    /// Shows its tables to `look`, which shrinks tables that have been nearly empty for a while.
    pub fn look_at_tables(&self, look: &mut Look<'_>) {
        self.home.borrow_mut().look_at_tables(look);
        self.confirmations.borrow_mut().look_at_tables(look);
        self.mesh.look_at_tables(look);
        look.at(&mut *self.to_own_home.borrow_mut());
    }

    pub(super) fn has_room(&self, home: CoreId) -> bool {
        match home == self.context.id {
            true => self.to_own_home.borrow().len() < OWN_HOME_WAITING,
            false => self.mesh.to_home.has_room(home),
        }
    }
}

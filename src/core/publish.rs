//! Publications on their way to the homes of their channels, with the back-pressure that keeps the mesh bounded: a
//! publisher waits while the way is full, and is told to come back later when that takes too long.

use super::Core;
use crate::bell::Bell;
use crate::channel::{Publication, ToCore, ToHome, home_of};
use crate::ids::{CoreId, Slot};
use crate::patience::within;
use crate::runtime;
use crate::slack::Look;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// How long a publisher waits for room, and for a confirmation: with the last look less than five seconds.
const PATIENCE: Duration = Duration::from_millis(4_850);
/// Messages to homes on this core that may wait.
const OWN_HOME_WAITING: usize = 1024;
/// Publications, and their bytes, that may wait for fan-out before the mesh is no longer read.
const PENDING_PUBLICATIONS: usize = 16 * 1024;
const PENDING_BYTES: usize = 64 * 1024 * 1024;

/// There is no room for more publications now.
#[derive(Debug, thiserror::Error)]
#[error("the server is busy delivering what was published before; try again")]
pub(super) struct Busy;

/// Publishers that wait for homes to confirm what they published, by ticket.
#[derive(Default)]
pub(super) struct Confirmations {
    waiting: FxHashMap<u64, Rc<Bell>>,
    tickets: u64,
}

/// A confirmation that is on its way; forgotten when this is dropped.
struct Expected<'c> {
    core: &'c Core,
    ticket: u64,
    /// Rung once, when it has come.
    confirmed: Rc<Bell>,
}

impl Drop for Expected<'_> {
    fn drop(&mut self) {
        self.core.confirmations.borrow_mut().waiting.remove(&self.ticket);
    }
}

impl Confirmations {
    /// Has a look at its tables.
    pub fn look_at_tables(&mut self, look: &mut Look<'_>) {
        look.at(&mut self.waiting);
    }

    /// A new ticket, and the bell that rings when it is confirmed.
    fn expect(&mut self) -> (u64, Rc<Bell>) {
        self.tickets += 1;
        let bell = Rc::<Bell>::default();
        self.waiting.insert(self.tickets, bell.clone());
        (self.tickets, bell)
    }

    fn confirm(&mut self, ticket: u64) {
        if let Some(bell) = self.waiting.remove(&ticket) {
            bell.ring();
        }
    }

    /// How many are on their way, and the ticket of the one that has been for longest.
    pub fn waiting(&self) -> (usize, Option<u64>) {
        (self.waiting.len(), self.waiting.keys().min().copied())
    }
}

/// What homes have for cores.
type FromHome = SmallVec<[(CoreId, ToCore); 4]>;

impl Core {
    /// Sends `publications` to the homes of their channels, in order, and waits until all have their place there: what
    /// a publisher sends after it was answered comes after, whichever core takes it. On `Err` those before the failing
    /// one are sent.
    pub(super) async fn publish(self: &Rc<Self>, publications: Vec<Publication>) -> Result<(), Busy> {
        let mut homes: SmallVec<[CoreId; 8]> = SmallVec::new();
        let block_bytes = self.settings().stats.message_block_bytes;
        for publication in publications {
            let home = home_of(&publication.channel, self.cores);
            if !self.has_room(home) {
                self.gauges.publish_waits_total.add(1);
                self.or_refused(self.await_room_until(|| self.has_room(home))).await?;
            }
            self.gauges.count_published(&publication, block_bytes);
            let message = ToHome::Publish(Arc::new(publication));
            if self.is_at_hand(home) {
                self.at_home(home, message);
                continue;
            }
            self.send_home(home, message);
            if !homes.contains(&home) {
                homes.push(home);
            }
        }
        self.confirmed_by(homes).await
    }

    /// Waits until `homes` have taken everything that this core has sent them.
    pub(super) async fn confirmed_by(&self, homes: impl IntoIterator<Item = CoreId>) -> Result<(), Busy> {
        let asked = homes.into_iter().map(|home| {
            let (ticket, confirmed) = self.confirmations.borrow_mut().expect();
            self.send_home(home, ToHome::Confirm { ticket });
            Expected { core: self, ticket, confirmed }
        });
        let asked: SmallVec<[Expected<'_>; 8]> = asked.collect();
        if asked.is_empty() {
            return Ok(());
        }
        let all = async {
            for expected in &asked {
                expected.confirmed.rung_since(0).await;
            }
        };
        self.or_refused(all).await
    }

    /// Waits for `what` as long as a publisher may wait.
    async fn or_refused(&self, what: impl Future<Output = ()>) -> Result<(), Busy> {
        let waited = within(PATIENCE, what).await;
        if waited.is_none() {
            self.gauges.refused_publishes_total.add(1);
        }
        waited.ok_or(Busy)
    }

    /// Sends `publications` to the homes of their channels without waiting, if all of them have room; else none of
    /// them. Whether it did.
    pub(super) fn publish_now(self: &Rc<Self>, publications: &mut Vec<Publication>) -> bool {
        let home = |publication: &Publication| home_of(&publication.channel, self.cores);
        if !publications.iter().all(|publication| self.has_room(home(publication))) {
            return false;
        }
        let block_bytes = self.settings().stats.message_block_bytes;
        for publication in publications.drain(..) {
            self.gauges.count_published(&publication, block_bytes);
            let home = home(&publication);
            let message = ToHome::Publish(Arc::new(publication));
            match self.is_at_hand(home) {
                true => self.at_home(home, message),
                false => self.send_home(home, message),
            }
        }
        true
    }

    /// Whether every home has room.
    pub(super) fn all_homes_have_room(&self) -> bool {
        self.has_room(self.id) && self.mesh.to_home.all_have_room()
    }

    /// Whether `home` is this core and takes messages at once.
    fn is_at_hand(&self, home: CoreId) -> bool {
        home == self.id && !self.has_own_waiting() && self.homes_have_room()
    }

    /// Whether messages of this core to homes on this core wait.
    pub(super) fn has_own_waiting(&self) -> bool {
        !self.to_own_home.borrow().is_empty()
    }

    /// Does what `message` of core `from` asks of the homes on this core.
    pub(super) fn at_home(self: &Rc<Self>, from: CoreId, message: ToHome) {
        if let ToHome::Publish(publication) = &message
            && self.settings().log.requests
            && !self.home.borrow().has_interest(&publication.channel)
        {
            self.tell_of_nobody(publication);
        }
        let mut out = FromHome::new();
        self.home.borrow_mut().handle(from, message, &mut |core, message| out.push((core, message)));
        self.tell_of_interest();
        self.dispatch(out);
    }

    /// Lets the homes on this core deliver a publication whose predecessor did not come in time; whether there was one.
    pub(super) fn lose_patience_at_home(self: &Rc<Self>) -> bool {
        let mut out = FromHome::new();
        let was_one = {
            let mut home = self.home.borrow_mut();
            home.lose_patience(self.judged.get(), &mut |core, message| out.push((core, message)))
        };
        self.dispatch(out);
        was_one
    }

    /// Sends what the homes on this core have for other cores, and takes what they have for this one.
    fn dispatch(self: &Rc<Self>, messages: FromHome) {
        // Counted for all cores before any has it: who asks one core after a message was seen on another does not get it.
        let others = messages.iter().map(|(core, _)| *core).filter(|core| *core != self.id);
        others.for_each(|core| self.dispatched.count(self.id, core));
        let mut to_own = SmallVec::<[ToCore; 2]>::new();
        for (core, message) in messages {
            match core == self.id {
                true => to_own.push(message),
                false => self.mesh.to_core.send(core, message),
            }
        }
        to_own.into_iter().for_each(|message| self.take_from_home(message));
    }

    /// Takes a message of a home.
    pub(super) fn take_from_home(self: &Rc<Self>, message: ToCore) {
        if let ToCore::Sequenced { ticket } = message {
            return self.confirmations.borrow_mut().confirm(ticket);
        }
        if let ToCore::Placed { receipt, cores } = message {
            return self.receipts.borrow_mut().placed(receipt, cores);
        }
        if let ToCore::Recover { home } = message {
            return self.recover_from(home);
        }
        self.note_first_subscription(&message);
        if let ToCore::Deliver(publication) = &message {
            self.tell_of_delivery(publication);
        }
        let mut ready: Vec<Slot> = Vec::new();
        self.subscriptions.borrow_mut().handle(message, &mut ready);
        ready.into_iter().for_each(|slot| self.subscribed(slot));
        self.report_unheard();
        self.wake();
    }

    /// Whether more publications may come to this core's fan-out.
    pub(super) fn can_take_deliveries(&self) -> bool {
        let (publications, bytes) = self.subscriptions.borrow().pending();
        publications < PENDING_PUBLICATIONS && bytes < PENDING_BYTES
    }

    /// Whether the homes on this core may cause more messages.
    pub(super) fn homes_have_room(&self) -> bool {
        self.mesh.to_core.all_have_room() && self.can_take_deliveries()
    }

    /// Waits until `has_room`, which looks at lanes, at what waits for fan-out or at what waits for the homes here.
    pub(super) async fn await_room_until(&self, has_room: impl Fn() -> bool) {
        while !has_room() {
            self.room.rung().await;
        }
    }

    /// Wakes who waits for room, and the loop, which may have left work for that reason, when a lane has some again.
    pub(super) fn start_hearing_of_room(self: Rc<Self>) {
        for roomier in [self.mesh.to_home.roomier(), self.mesh.to_core.roomier()] {
            let core = self.clone();
            runtime::spawn(async move {
                let mut heard = 0;
                loop {
                    roomier.rung_since(heard).await;
                    heard = roomier.rings();
                    core.room.ring();
                    core.wake();
                }
            })
            .detach();
        }
    }

    fn has_room(&self, home: CoreId) -> bool {
        match home == self.id {
            true => self.to_own_home.borrow().len() < OWN_HOME_WAITING,
            false => self.mesh.to_home.has_room(home),
        }
    }
}

//! Sends publications to the homes of their channels, with the back-pressure that keeps the mesh bounded: a publisher
//! waits while a queue is full, and is told to try again later if that takes too long.

use super::{Admitted, Publishing};
use crate::bell::Bell;
use crate::channel::{ToHome, home_of};
use crate::ids::CoreId;
use crate::origin::Pool;
use crate::patience::within;
use crate::proto::grip::Publication;
use smallvec::SmallVec;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// How long a publisher waits for room and for a confirmation. Together with the last look at the queue that is less
/// than five seconds.
const PATIENCE: Duration = Duration::from_millis(4_850);

/// There is no room for more publications now, or a home did not confirm in time.
#[derive(Debug, thiserror::Error)]
#[error("the server is busy delivering earlier items; try again")]
pub struct Busy;

/// An awaited confirmation. Dropping this value forgets it.
struct Expected<'p> {
    publishing: &'p Publishing,
    ticket: u64,
    /// Rings once, when the confirmation has come.
    confirmed: Rc<Bell>,
}

impl Drop for Expected<'_> {
    fn drop(&mut self) {
        self.publishing.confirmations.borrow_mut().forget(self.ticket);
    }
}

/// A publish call that is under way; dropping this ends it.
struct UnderWay<'p>(&'p Cell<usize>);

impl UnderWay<'_> {
    fn begin(count: &Cell<usize>) -> UnderWay<'_> {
        count.set(count.get() + 1);
        UnderWay(count)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl Publishing {
    /// Sends `admitted` to the homes of their channels, in order, and waits until all of them have their places. So an item
    /// that the publisher sends afterwards is placed behind them, whichever core takes it.
    ///
    /// # Errors
    /// If a home has no room or does not confirm in time. Some of the items may have been sent.
    pub async fn publish(self: &Rc<Self>, admitted: Admitted) -> Result<(), Busy> {
        if !self.context.gate.may_publish().await {
            return Err(Busy);
        }
        let _publishes = UnderWay::begin(&self.publishes);
        let mut homes: SmallVec<[CoreId; 8]> = SmallVec::new();
        let block_bytes = self.context.settings().stats.message_block_bytes;
        for publication in admitted.into_items() {
            let home = home_of(&publication.channel, self.context.cores);
            if !self.has_room(home) {
                self.context.metrics.publish_waits_total.add(1);
                self.or_refused(self.await_room_until(|| self.has_room(home))).await?;
            }
            self.context.metrics.count_published(&publication, block_bytes);
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

    /// Publishes the items of the built-in applications of `pool`, from now on, before these applications answer.
    pub fn publish_for_applications(self: &Rc<Self>, pool: &Pool) {
        let publishing = Rc::downgrade(self);
        pool.publish_by(move |publications| {
            let publishing = publishing.upgrade();
            Box::pin(async move {
                match publishing {
                    Some(publishing) => {
                        let admitted = Admitted::all(publications);
                        publishing.publish(admitted).await.map_err(|busy| busy.to_string())
                    }
                    None => Ok(()),
                }
            })
        });
    }

    /// Waits until `homes` have taken all messages that this core has sent them.
    ///
    /// # Errors
    /// If one of them does not confirm in time.
    pub async fn confirmed_by(&self, homes: impl IntoIterator<Item = CoreId>) -> Result<(), Busy> {
        let asked = homes.into_iter().map(|home| {
            let (ticket, confirmed) = self.confirmations.borrow_mut().expect();
            self.send_home(home, ToHome::Confirm { ticket });
            Expected { publishing: self, ticket, confirmed }
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

    /// Awaits `what`, but no longer than a publisher may wait.
    async fn or_refused(&self, what: impl Future<Output = ()>) -> Result<(), Busy> {
        let waited = within(PATIENCE, what).await;
        if waited.is_none() {
            self.context.metrics.refused_publishes_total.add(1);
        }
        waited.ok_or(Busy)
    }

    /// Sends `admitted` to the homes of their channels without waiting, if all of these have room; else sends none of
    /// them. Returns whether they were sent. `spent` has their memory afterwards.
    pub(super) fn publish_now(self: &Rc<Self>, admitted: Admitted, spent: &mut Vec<Publication>) -> bool {
        let home = |publication: &Publication| home_of(&publication.channel, self.context.cores);
        *spent = admitted.into_items();
        if !spent.iter().all(|publication| self.has_room(home(publication))) {
            spent.clear();
            return false;
        }
        let block_bytes = self.context.settings().stats.message_block_bytes;
        for publication in spent.drain(..) {
            self.context.metrics.count_published(&publication, block_bytes);
            let home = home(&publication);
            let message = ToHome::Publish(Arc::new(publication));
            match self.is_at_hand(home) {
                true => self.at_home(home, message),
                false => self.send_home(home, message),
            }
        }
        true
    }

    /// Has all homes forget their last ids, and all holds refetch.
    ///
    /// # Errors
    /// If a home does not confirm it in time.
    pub async fn recover(self: &Rc<Self>) -> Result<(), Busy> {
        if !self.context.gate.may_publish().await {
            return Err(Busy);
        }
        let _publishes = UnderWay::begin(&self.publishes);
        let homes = (0..self.context.cores).map(|home| CoreId(home as u16));
        homes.clone().for_each(|home| self.send_home(home, ToHome::Recover));
        self.confirmed_by(homes).await
    }
}

//! The homes of channels on their way to another process. They move when nothing is on its way: no item is being
//! published, and no message is in the mesh.

use super::Publishing;
use crate::channel::{PackedHomes, ToHome, home_of};
use crate::ids::CoreId;
use crate::runtime;
use std::rc::Rc;
use std::time::Duration;

impl Publishing {
    /// Waits until no item is being published here, and until all homes have handled what this core has sent them.
    /// Nothing new may be published.
    ///
    /// # Errors
    /// If a home does not confirm it in time.
    pub async fn is_published(self: &Rc<Self>) -> Result<(), super::Busy> {
        while self.publishes.get() > 0 {
            runtime::sleep(LOOK_AGAIN).await;
        }
        self.confirmed_by((0..self.context.cores).map(|home| CoreId(home as u16))).await
    }

    /// Whether no message waits for a home or for a core here, and this core has taken everything that homes have sent
    /// it.
    pub fn is_idle(&self) -> bool {
        let mut lanes = self.mesh.to_home.loads().chain(self.mesh.to_core.loads());
        lanes.next().is_none() && !self.has_own_waiting() && self.delivery.has_taken_all()
    }

    /// The state of the homes here.
    pub fn pack_homes(&self) -> PackedHomes {
        self.home.borrow().pack()
    }

    /// Sends homes of another process to their homes in this one.
    pub fn take_over(&self, packed: PackedHomes) {
        let PackedHomes { channels, recent_ids } = packed;
        let homes = (0..self.context.cores).map(|_| PackedHomes {
            channels: Vec::new(),
            // Which of them belong to which home is not known: only hashes are kept.
            recent_ids: recent_ids.clone(),
        });
        let mut homes: Vec<PackedHomes> = homes.collect();
        for channel in channels {
            let home = home_of(&channel.name, self.context.cores);
            homes.get_mut(home.index()).into_iter().for_each(|home| home.channels.push(channel.clone()));
        }
        for (home, packed) in homes.into_iter().enumerate() {
            self.send_home(CoreId(home as u16), ToHome::TakeOver(packed.into()));
        }
    }

    /// The channels that were taken over and that nobody is subscribed to are forgotten.
    pub fn forget_unwanted(&self) {
        self.home.borrow_mut().forget_unwanted();
    }
}

/// How often is looked whether items are published. A task that only yields would keep the executor from hearing of
/// other cores.
const LOOK_AGAIN: Duration = Duration::from_micros(200);

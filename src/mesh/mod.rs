//! Messages between cores, in two meshes of lock-free rings with one sender and one receiver each (`runtime`'s): one
//! leads to the homes of channels, the other away from them. They are separate because they are read differently. A
//! home that cannot forward stops reading messages to homes. Messages from homes are read until fan-out falls behind,
//! and fan-out sends into no ring. So full rings cannot block each other in a circle. The room `queries` adds a third
//! mesh, for core queries of operators.
//!
//! `lane` queues messages in front of a full ring.

#![forbid(unsafe_code)]

mod lane;
#[cfg(test)]
mod tests;

pub use lane::{LaneLoad, Lanes, RingEnds};

use crate::channel::{ToCore, ToHome};
use crate::runtime::MeshBuilder;
use crate::slack::Look;

/// Makes one mesh; every core joins with its own clone.
pub struct LanesPlan<T: Send + 'static> {
    mesh: MeshBuilder<T>,
    cores: usize,
}

impl<T: Send + 'static> Clone for LanesPlan<T> {
    fn clone(&self) -> Self {
        LanesPlan { mesh: self.mesh.clone(), cores: self.cores }
    }
}

impl<T: Send + 'static> LanesPlan<T> {
    /// Rings of `messages` messages between each two of `cores` cores.
    pub fn new(cores: usize, messages: usize) -> LanesPlan<T> {
        LanesPlan { mesh: MeshBuilder::new(cores, messages), cores }
    }

    /// Joins the mesh, and returns when every core has joined; `None` if a core joined twice or cannot join.
    pub async fn join(self) -> Option<(Lanes<T>, RingEnds<T>)> {
        if self.cores == 1 {
            return Some((Lanes::alone(), RingEnds::alone()));
        }
        let (senders, receivers) = self.mesh.join().await?;
        Some((Lanes::new(senders), RingEnds::new(receivers)))
    }
}

/// Makes the two meshes; every core joins with its own clone.
#[derive(Clone)]
pub struct MeshPlan {
    to_home: LanesPlan<ToHome>,
    to_core: LanesPlan<ToCore>,
}

/// One core's ends of the two meshes.
pub struct Mesh {
    /// Subscriptions and published items, on their way to the homes of their channels.
    pub to_home: Lanes<ToHome>,
    /// Acknowledgements and items, on their way from homes to interested cores.
    pub to_core: Lanes<ToCore>,
}

impl Mesh {
    /// Lets `look` shrink the queues of all lanes.
    pub fn look_at_tables(&self, look: &mut Look<'_>) {
        self.to_home.look_at_tables(look);
        self.to_core.look_at_tables(look);
    }
}

impl MeshPlan {
    /// Rings of `messages` messages between each two of `cores` cores.
    pub fn new(cores: usize, messages: usize) -> MeshPlan {
        MeshPlan { to_home: LanesPlan::new(cores, messages), to_core: LanesPlan::new(cores, messages) }
    }

    /// Joins both meshes, and returns when every core has joined; `None` if a core joined twice or cannot join.
    pub async fn join(self) -> Option<(Mesh, RingEnds<ToHome>, RingEnds<ToCore>)> {
        let (to_home, home_ends) = self.to_home.join().await?;
        let (to_core, core_ends) = self.to_core.join().await?;
        Some((Mesh { to_home, to_core }, home_ends, core_ends))
    }
}

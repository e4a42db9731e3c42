//! Messages between cores: two meshes of lock-free SPSC rings (glommio's channel mesh), one towards the channels'
//! homes and one from them. They are two because their readers differ: a home that cannot forward stops reading what
//! is sent to homes, while what comes from homes is always read until fan-out falls behind, and fan-out needs no
//! ring. So no circle of full rings can form.

#![forbid(unsafe_code)]

mod lane;

pub use lane::{Lanes, RingEnds};

use crate::channel::{ToCore, ToHome};
use futures_lite::FutureExt;
use glommio::channels::channel_mesh::{Full, MeshBuilder, Receivers, Senders};
use std::time::Duration;

/// How often a core that waits for others to join looks for them.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// Makes the two meshes; every core joins a clone.
#[derive(Clone)]
pub struct MeshPlan {
    to_home: MeshBuilder<ToHome, Full>,
    to_core: MeshBuilder<ToCore, Full>,
    cores: usize,
}

/// One core's ends of the two meshes.
pub struct Mesh {
    /// Subscribes and publishes, on their way to the home of their channel.
    pub to_home: Lanes<ToHome>,
    /// Acknowledgements and deliveries, on their way to interested cores.
    pub to_core: Lanes<ToCore>,
}

impl MeshPlan {
    /// Rings of `messages` messages between each two of `cores` cores.
    pub fn new(cores: usize, messages: usize) -> MeshPlan {
        MeshPlan {
            to_home: MeshBuilder::full(cores, messages),
            to_core: MeshBuilder::full(cores, messages),
            cores,
        }
    }

    /// Joins both meshes; returns when every core has. `None` when a core joined twice or cannot join.
    pub async fn join(self) -> Option<(Mesh, RingEnds<ToHome>, RingEnds<ToCore>)> {
        if self.cores == 1 {
            let mesh = Mesh { to_home: Lanes::alone(), to_core: Lanes::alone() };
            return Some((mesh, RingEnds::alone(), RingEnds::alone()));
        }
        let (home_senders, home_receivers) = join(self.to_home).await?;
        let (core_senders, core_receivers) = join(self.to_core).await?;
        let mesh = Mesh { to_home: Lanes::new(home_senders), to_core: Lanes::new(core_senders) };
        Some((mesh, RingEnds::new(home_receivers), RingEnds::new(core_receivers)))
    }
}

/// Joins one mesh. A core that waits for the last one to join would sleep until that one rings, and the ring can be
/// lost: then both would wait for ever, and no client would be answered. So it also wakes by itself, and looks.
async fn join<T: Send + 'static>(mesh: MeshBuilder<T, Full>) -> Option<(Senders<T>, Receivers<T>)> {
    let joined = async { mesh.join().await.ok() };
    let waking = async {
        loop {
            glommio::timer::sleep(LOOK_AGAIN).await;
        }
    };
    joined.or(waking).await
}

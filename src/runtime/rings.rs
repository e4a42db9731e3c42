//! Rings between cores: bounded queues of messages from each core to each other core. They are glommio's channel
//! mesh, or simulated rings if the cores run in a simulation.

#[cfg(feature = "simulation")]
use super::simulated_rings as simulated;
use futures_lite::FutureExt;
use glommio::channels::channel_mesh::{self, Full};
use glommio::{GlommioError, ResourceType};
use std::time::Duration;

/// How often a core that waits for others to join checks whether they have.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// Makes a mesh; every core joins with its own clone.
pub(crate) enum MeshBuilder<T: Send + 'static> {
    Glommio(channel_mesh::MeshBuilder<T, Full>),
    #[cfg(feature = "simulation")]
    Simulated(simulated::MeshBuilder<T>),
}

/// The sending ends of a core's rings.
pub(crate) enum Senders<T: Send + 'static> {
    Glommio(channel_mesh::Senders<T>),
    #[cfg(feature = "simulation")]
    Simulated(simulated::Ends<T>),
}

/// The receiving ends of a core's rings.
pub(crate) enum Receivers<T: Send + 'static> {
    Glommio(channel_mesh::Receivers<T>),
    #[cfg(feature = "simulation")]
    Simulated(simulated::Ends<T>),
}

impl<T: Send + 'static> Clone for MeshBuilder<T> {
    fn clone(&self) -> Self {
        match self {
            MeshBuilder::Glommio(mesh) => MeshBuilder::Glommio(mesh.clone()),
            #[cfg(feature = "simulation")]
            MeshBuilder::Simulated(mesh) => MeshBuilder::Simulated(mesh.clone()),
        }
    }
}

impl<T: Send + 'static> MeshBuilder<T> {
    /// Rings of `messages` messages between each two of `cores` cores.
    pub fn new(cores: usize, messages: usize) -> MeshBuilder<T> {
        #[cfg(feature = "simulation")]
        if crate::simulation::current().is_some() {
            return MeshBuilder::Simulated(simulated::MeshBuilder::new(cores, messages));
        }
        MeshBuilder::Glommio(channel_mesh::MeshBuilder::full(cores, messages))
    }

    /// Joins the mesh, and returns when every core has joined; `None` if a core joined twice or cannot join.
    pub async fn join(self) -> Option<(Senders<T>, Receivers<T>)> {
        match self {
            MeshBuilder::Glommio(mesh) => join(mesh).await,
            #[cfg(feature = "simulation")]
            MeshBuilder::Simulated(mesh) => {
                let (senders, receivers) = mesh.join().await;
                Some((Senders::Simulated(senders), Receivers::Simulated(receivers)))
            }
        }
    }
}

impl<T: Send + 'static> Senders<T> {
    /// The number of this core.
    pub fn peer_id(&self) -> usize {
        match self {
            Senders::Glommio(senders) => senders.peer_id(),
            #[cfg(feature = "simulation")]
            Senders::Simulated(ends) => ends.core,
        }
    }

    /// The number of cores.
    pub fn nr_consumers(&self) -> usize {
        match self {
            Senders::Glommio(senders) => senders.nr_consumers(),
            #[cfg(feature = "simulation")]
            Senders::Simulated(ends) => ends.cores(),
        }
    }

    /// Sends `message` to `core`, or gives `message` back if the ring is full.
    ///
    /// # Errors
    /// Returns `message` if the ring is full.
    pub fn try_send_to(&self, core: usize, message: T) -> Result<(), T> {
        match self {
            Senders::Glommio(senders) => refused(senders.try_send_to(core, message)).map_or(Ok(()), Err),
            #[cfg(feature = "simulation")]
            Senders::Simulated(ends) => ends.try_send_to(core, message),
        }
    }

    /// Sends `message` to `core`, and waits for room in the ring.
    pub async fn send_to(&self, core: usize, message: T) {
        match self {
            // A closed ring means that the peer core ended, and with it the process.
            Senders::Glommio(senders) => drop(senders.send_to(core, message).await),
            #[cfg(feature = "simulation")]
            Senders::Simulated(ends) => ends.send_to(core, message).await,
        }
    }
}

impl<T: Send + 'static> Receivers<T> {
    /// The number of this core.
    pub fn peer_id(&self) -> usize {
        match self {
            Receivers::Glommio(receivers) => receivers.peer_id(),
            #[cfg(feature = "simulation")]
            Receivers::Simulated(ends) => ends.core,
        }
    }

    /// The number of cores.
    pub fn nr_producers(&self) -> usize {
        match self {
            Receivers::Glommio(receivers) => receivers.nr_producers(),
            #[cfg(feature = "simulation")]
            Receivers::Simulated(ends) => ends.cores(),
        }
    }

    /// Waits for the next message from `core`; `None` if that core has ended.
    pub async fn recv_from(&self, core: usize) -> Option<T> {
        match self {
            Receivers::Glommio(receivers) => receivers.recv_from(core).await.ok().flatten(),
            #[cfg(feature = "simulation")]
            Receivers::Simulated(ends) => Some(ends.recv_from(core).await),
        }
    }
}

/// Joins glommio's mesh. A core that waits for the last one to join sleeps until it is notified, and this
/// notification can be lost. The cores would then wait for ever, and no client would be answered. So the core also
/// wakes at an interval to check.
async fn join<T: Send + 'static>(
    mesh: channel_mesh::MeshBuilder<T, Full>,
) -> Option<(Senders<T>, Receivers<T>)> {
    let joined = async { mesh.join().await.ok() };
    let waking = async {
        loop {
            super::sleep(LOOK_AGAIN).await;
        }
    };
    let (senders, receivers) = joined.or(waking).await?;
    Some((Senders::Glommio(senders), Receivers::Glommio(receivers)))
}

/// The message that was not sent because the ring was full.
fn refused<T>(outcome: glommio::Result<(), T>) -> Option<T> {
    match outcome {
        Err(GlommioError::WouldBlock(ResourceType::Channel(message))) => Some(message),
        _ => None,
    }
}

//! Takes the messages from other cores to the homes here, and from their homes to this core. Each ring of the mesh that
//! ends here has a task, which waits while there is no room for its messages.

use super::Publishing;
use super::waits::Reader;
use crate::channel::{ToCore, ToHome};
use crate::mesh::RingEnds;
use crate::runtime;
use std::rc::Rc;

impl Publishing {
    /// Starts one task for each ring.
    pub fn start_readers(self: &Rc<Self>, home_ends: RingEnds<ToHome>, core_ends: RingEnds<ToCore>) {
        for peer in home_ends.peers() {
            let (publishing, ends, reader) = (self.clone(), home_ends.clone(), Reader::new(self.clone()));
            runtime::spawn(async move {
                while let Some(message) = ends.receive(peer).await {
                    reader.await_room_until(|| publishing.homes_have_room()).await;
                    publishing.at_home(peer, message);
                }
            })
            .detach();
        }
        for peer in core_ends.peers() {
            let (publishing, ends, reader) = (self.clone(), core_ends.clone(), Reader::new(self.clone()));
            runtime::spawn(async move {
                while let Some(message) = ends.receive(peer).await {
                    reader.await_room_until(|| publishing.delivery.has_room()).await;
                    publishing.take_from_home(message);
                    publishing.delivery.took_from(peer);
                }
            })
            .detach();
        }
    }
}

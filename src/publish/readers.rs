//! Takes what other cores have for the homes here, and what their homes have for this core: one task for each ring of the
//! mesh that ends here, which waits while there is no room for more.

use super::Publishing;
use super::waits::Reader;
use crate::channel::{ToCore, ToHome};
use crate::mesh::RingEnds;
use crate::runtime;
use std::rc::Rc;

impl Publishing {
    /// Starts the tasks.
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

//! A core's ends of backplanes. Items that arrive go to the homes on this core like the items of another core, as fast
//! as the homes take them. Backplanes are told which channels have interest, and which items were published on this
//! node.

use super::Publishing;
use crate::backplane::{Arrival, Caller, Item, Lost, OperatorCommand, Source};
use crate::channel::ToHome;
use std::rc::Rc;

impl Publishing {
    /// The commands of operators that have come by way of backplanes, each with its caller, who waits for the outcome.
    pub fn take_commands(&self) -> Vec<(OperatorCommand, Caller)> {
        self.backplanes.take_commands()
    }

    /// Takes arrivals from backplanes, within the budget of a turn. Returns whether there were any.
    pub fn take_from_backplanes(self: &Rc<Self>) -> bool {
        self.backplanes.take_arrivals(|| self.homes_have_room(), |arrival| self.take_arrival(arrival))
    }

    fn take_arrival(self: &Rc<Self>, arrival: Arrival) {
        let id = self.context.id;
        match arrival {
            Arrival::Item(Item { publication, source, position }) => {
                let channel = &*publication.channel;
                tracing::trace!(channel, id = publication.id.as_deref(), ?source, ?position, "arrived");
                let message = ToHome::Publish(publication);
                match source {
                    // Every peer that reaches such a socket may publish everything, so nothing is decided on the item. A hook on
                    // publish is called here as well, and must answer at once.
                    Source::ThisNode => self.at_home(id, message),
                    Source::Elsewhere(_) => self.handle_at_home(id, message),
                }
            }
            Arrival::Lost(Lost::All) => self.handle_at_home(id, ToHome::Recover),
            Arrival::Lost(Lost::Channel(channel)) => {
                self.handle_at_home(id, ToHome::RecoverChannel { channel });
            }
        }
    }

    /// Tells backplanes in which channels interest has begun or ended.
    pub(super) fn tell_of_interest(&self) {
        if self.backplanes.wants().interest {
            let changes = self.home.borrow_mut().take_changes();
            changes.iter().for_each(|(channel, wanted)| self.backplanes.interest(channel, *wanted));
        }
    }
}

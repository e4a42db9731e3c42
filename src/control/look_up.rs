//! Answers core queries about the channels and clients of this core, from its tables.

use super::port::ControlPort;
use crate::channel::{Page, Reach, home_of};
use crate::clients::{CloseReason, InKernel};
use crate::context::Life;
use crate::ids::ConnectionId;
use crate::proto::grip::Receipt;
use crate::queries::{ClientState, LookUp, QueryAnswer, Question, Refreshed};

impl LookUp for ControlPort {
    fn look_up(&self, question: Question) -> QueryAnswer {
        let delivery = &self.delivery;
        match question {
            Question::Channels { from, prefix, limit } => {
                QueryAnswer::Channels(delivery.list(from, &prefix, limit))
            }
            Question::Audiences(channels) => {
                QueryAnswer::Audiences(channels.iter().map(|channel| delivery.audience(channel)).collect())
            }
            Question::Channel(channel) => {
                let is_home = home_of(&channel, self.context.cores) == self.context.id;
                let last_id = is_home.then(|| self.publishing.last_id_at_home(&channel)).flatten();
                QueryAnswer::Channel(delivery.audience(&channel), last_id)
            }
            Question::Members { channel, before, limit } => {
                let Page { items, next } = delivery.members(&channel, before, limit);
                let name = |(slot, transport)| (self.clients.id_of_place(slot), transport);
                QueryAnswer::Members(Page { items: items.into_iter().map(name).collect(), next })
            }
            Question::Present(ids) => {
                QueryAnswer::Present(ids.iter().copied().filter(|id| self.clients.is_present(*id)).collect())
            }
            Question::Client(id) => QueryAnswer::Client(self.state_of_client(id).map(Box::new)),
            // Until it is decided to which process the clients belong, nothing is done to them.
            Question::Close(_) if self.is_quiet() => QueryAnswer::Closed(false),
            Question::Refresh(_) if self.is_quiet() => QueryAnswer::Refreshed(Refreshed::NoClient),
            Question::Close(id) => QueryAnswer::Closed(self.close_client(id)),
            Question::Refresh(id) => QueryAnswer::Refreshed(self.refresh_client(id)),
        }
    }

    fn reached(&self, receipt: Receipt, reach: Reach) {
        self.delivery.reached(receipt, reach);
    }
}

impl ControlPort {
    fn is_quiet(&self) -> bool {
        self.context.gate.life() == Life::Quiet
    }

    /// The state of the client; `None` if no client has this id.
    fn state_of_client(&self, id: ConnectionId) -> Option<ClientState> {
        let slot = self.clients.find(id)?;
        let held = self.clients.held(slot).map(|held| held.describe()).unwrap_or_default();
        Some(ClientState {
            id: self.clients.id_of_place(slot),
            connection_id: held.id_of_application,
            peer: self.clients.peer(slot),
            transport: held.transport,
            channels: self.delivery.channels_of(slot),
            is_behind: self.clients.is_backlogged(slot),
        })
    }

    /// Closes the connection of a client: a hold is closed in the way of its kind, another connection is reset. Returns
    /// whether there was such a client.
    fn close_client(&self, id: ConnectionId) -> bool {
        let Some(slot) = self.clients.find(id) else { return false };
        match self.clients.held(slot) {
            Some(held) => held.close(slot, CloseReason::Operator),
            None => self.clients.reset(slot, InKernel::Delivered),
        }
        true
    }

    /// Has the client refetch at once.
    fn refresh_client(&self, id: ConnectionId) -> Refreshed {
        let Some(slot) = self.clients.find(id) else { return Refreshed::NoClient };
        match self.clients.held(slot).is_some_and(|held| held.refresh(slot)) {
            true => Refreshed::Asked,
            false => Refreshed::Nothing,
        }
    }
}

//! SockJS: browsers without WebSockets, or with the library of that name, speak with an application that knows
//! WebSockets. A conversation is a `session`; for the application it is a WebSocket like any other, whose client is
//! this server itself, at the other end of a pair of sockets (`bridge`). So channels, filters, pings and all else are
//! those of WebSockets, and here is only the form. `serve` answers the client's requests, `socket` speaks by a
//! WebSocket, `places` bounds how many conversations there are.
//!
//! What it costs: two sockets and a task for each conversation, and with a WebSocket a third.

mod bridge;
mod places;
mod serve;
mod session;
mod socket;

pub use session::Session;

pub(super) use serve::{answer, next};
pub(super) use session::{Attached, Told};

use crate::config::Config;
use crate::ids::{NameMap, Slot};
use crate::slack::Look;
use places::{Place, Places};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// The conversations of all cores, by route and name.
#[derive(Default)]
pub struct Sessions {
    by_name: Mutex<NameMap<Box<str>, Arc<Session>>>,
    places: Places,
}

impl Sessions {
    /// The conversation of this name.
    fn find(&self, name: &str) -> Option<Arc<Session>> {
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// A place for one more of a client at `peer`, if there is any.
    fn place(&self, peer: Option<SocketAddr>, settings: &Config) -> Option<Place> {
        let (address, limits) = (peer.map(|peer| peer.ip()), &settings.limits);
        let is_exempt = limits.exempt.has(address, settings.http.trusted_proxies.as_ref());
        self.places.take(address, limits.sockjs_conversations, is_exempt)
    }

    /// The same, and whether it is new; `None` if there is no place for it.
    fn find_or_begin(
        &self,
        name: &str,
        place: impl FnOnce() -> Option<Place>,
    ) -> Option<(Arc<Session>, bool)> {
        let mut by_name = self.by_name.lock().unwrap_or_else(PoisonError::into_inner);
        match by_name.get(name) {
            Some(known) => Some((known.clone(), false)),
            None => {
                let session = Session::new(Some(place()?));
                by_name.insert(name.into(), session.clone());
                Some((session, true))
            }
        }
    }

    /// Has a look at the table.
    pub(super) fn look_at_tables(&self, look: &mut Look<'_>) {
        look.at(&mut *self.by_name.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn remove(&self, name: &str) {
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }
}

/// A WebSocket that this server asks itself for, until its end of the pair is in the wire.
pub(super) struct Joining {
    pub request: super::connection::Request,
    pub route: Arc<crate::origin::Route>,
}

impl super::Core {
    /// A number that nobody can know before.
    fn entropy(&self) -> u32 {
        self.spread.borrow_mut().random_below(u64::from(u32::MAX)) as u32
    }

    /// The end of a pair that was asked for with number `id` is in the wire: it asks for its WebSocket.
    pub(super) fn joined(self: &std::rc::Rc<Self>, slot: Slot, id: u32) {
        let Some(Joining { request, route }) = self.joining.borrow_mut().remove(&id) else { return };
        self.join(slot, request, route);
    }
}

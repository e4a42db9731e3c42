//! SockJS: browsers without WebSockets, or with the library of that name, speak with an application that knows
//! WebSockets. A conversation is a `session`; for the application it is a WebSocket like any other, whose client is
//! this server itself: a task (`bridge`) at the other end of a virtual slot of the wire (`line`). So channels, filters,
//! pings and all else are those of WebSockets, and here is only the form. `serve` answers the client's requests,
//! `socket` speaks by a WebSocket, `places` bounds how many conversations there are.
//!
//! What it costs: a row, a task and some memory for each conversation. It has no descriptor but that of the client's own
//! connection, and is none of `limits.connections_per_core`.

mod bridge;
mod line;
mod places;
mod serve;
mod session;
mod socket;

pub use session::Session;

pub(super) use serve::{answer, next};
pub(super) use session::{Attached, Told};

use super::Core;
use super::connection::Request;
use super::forwarding::client_address;
use crate::ids::NameMap;
use crate::slack::Look;
use places::{Place, Places};
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

    /// A place for one more of the client that `request` comes from, if there is any.
    fn place(&self, core: &Core, request: &Request) -> Option<Place> {
        let (address, settings) = (client_address(core, request), core.settings());
        let is_exempt = settings.limits.exempt.has(address, settings.http.trusted_proxies.as_ref());
        self.places.take(address, settings.limits.sockjs_conversations, is_exempt)
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

    /// Bytes that wait in all conversations.
    pub(super) fn kept_bytes(&self) -> usize {
        self.places.kept_bytes()
    }

    /// Has a look at the table.
    pub(super) fn look_at_tables(&self, look: &mut Look<'_>) {
        look.at(&mut *self.by_name.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn remove(&self, name: &str) {
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }
}

impl Core {
    /// A number that nobody can know before.
    fn entropy(&self) -> u32 {
        self.spread.borrow_mut().random_below(u64::from(u32::MAX)) as u32
    }
}

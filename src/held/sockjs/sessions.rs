//! The SockJS conversations of all cores, by name.

use super::conversation_limit::{ConversationLimit, ConversationPermit};
use super::session::Session;
use crate::clients::Request;
use crate::config::Config;
use crate::ids::NameMap;
use crate::requests::forwarding::client_address;
use crate::slack::Look;
use std::sync::{Arc, Mutex, PoisonError};

/// The SockJS conversations of all cores, by route and name.
#[derive(Default)]
pub struct Sessions {
    by_name: Mutex<NameMap<Box<str>, Arc<Session>>>,
    places: ConversationLimit,
}

impl Sessions {
    /// The conversation with this name.
    pub(super) fn find(&self, name: &str) -> Option<Arc<Session>> {
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// A place for one more conversation of the client that sent `request`, if there is one.
    pub(super) fn place(&self, settings: &Config, request: &Request) -> Option<ConversationPermit> {
        let address = client_address(settings, request);
        let is_exempt = settings.limits.exempt.has(address, settings.http.trusted_proxies.as_ref());
        self.places.take(address, settings.limits.sockjs_conversations, is_exempt)
    }

    /// The conversation with this name, which begins if it does not exist, and whether it is new; `None` if there is no
    /// place for it.
    pub(super) fn find_or_begin(
        &self,
        name: &str,
        place: impl FnOnce() -> Option<ConversationPermit>,
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

    /// Shows the table to `look`, which shrinks tables that have been nearly empty for a while.
    pub fn look_at_tables(&self, look: &mut Look<'_>) {
        look.at(&mut *self.by_name.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(super) fn remove(&self, name: &str) {
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }
}

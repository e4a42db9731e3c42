//! Packs holds for the hand-over to another process. A hold is packed with the subscriptions of its client; each kind of
//! hold has a value of its own for what is left.

use super::Holds;
use crate::channel::Transport;
use crate::clients::Held;
use crate::filters::PackedSubscriber;
use crate::ids::Slot;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;

/// A held client as a value.
#[derive(Serialize, Deserialize)]
pub(super) struct Packed {
    pub kind: HoldKind,
    /// The hold, by its kind.
    pub hold: Bytes,
    pub channels: Vec<Arc<str>>,
    /// The last items that the client has got, on the channels whose ids it follows.
    pub heard: Vec<(Arc<str>, Box<str>)>,
    pub filtering: Option<PackedSubscriber>,
}

/// The kind of a packed hold.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(super) enum HoldKind {
    Poll,
    Stream,
    Linked,
    WebSocket,
}

/// A hold that was made again for a client.
pub(super) trait Adoptable: Held {
    /// How items are written to the client.
    fn transport(&self) -> Transport;

    /// The subscriptions of the client in `slot` are in force again.
    fn adopted(self: Rc<Self>, slot: Slot);
}

/// In the process that has the clients.
impl Holds {
    /// The client in `slot`, whose hold is `hold` as a value, as bytes.
    pub(super) fn pack(&self, slot: Slot, kind: HoldKind, hold: &impl Serialize) -> Option<Bytes> {
        let packed = Packed {
            kind,
            hold: postcard::to_allocvec(hold).ok()?.into(),
            channels: self.delivery.channels_of(slot),
            heard: self.delivery.heard_before_filters(slot),
            filtering: self.filters.pack(slot),
        };
        postcard::to_allocvec(&packed).ok().map(Bytes::from)
    }

    /// Takes out the descriptors of the connections to applications that belong to the clients which were packed last.
    pub fn take_connections(&self) -> Vec<OwnedFd> {
        self.connections.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::pinned::pinned;
    use serde_json::json;

    #[test]
    fn the_form_of_the_first_version_is_pinned() {
        let target = json!({ "https": true, "authority": "a", "path_and_query": "/" });
        let filtering = json!({
            "origin": { "asked_for": target, "client": 7, "route": "r" }, "at": target,
            "variables": [["user", "u"]], "sent_at": 9,
            "channels": [{ "name": "c", "filters": ["SkipSelf", "VarSubst"], "got": "1" }],
            "waiting": [[1]],
        });
        pinned::<Packed>(
            json!({
                "kind": "WebSocket", "hold": [1], "channels": ["c"], "heard": [["c", "1"]],
                "filtering": filtering,
            }),
            "030101010163010163013101010161012f070172010161012f0104757365720175010901016302000401010131010101",
        );
    }
}

//! The state that an old process hands over to a new one, part by part.

use crate::channel::{ChannelActivity, PackedHomes};
use crate::clients::PackedClient;
use serde::{Deserialize, Serialize};

/// The version of the state's form. A process of another version takes over no clients. Any change of a packed value
/// changes it: the tests with fixed bytes fail until this number is raised.
pub const HAND_OVER_FORMAT: u32 = 1;

/// A part of the state.
#[derive(Serialize, Deserialize)]
pub(super) enum Part {
    /// The first part.
    Begin(Beginning),
    /// Some clients. The descriptors are their sockets, in order, and then the connections to their applications.
    Clients(Vec<PackedClient>),
    /// There are no more parts.
    End,
}

/// What comes before the clients.
#[derive(Serialize, Deserialize)]
pub(super) struct Beginning {
    /// The tick of the old core's clock.
    pub tick: u32,
    /// The homes of channels.
    pub homes: PackedHomes,
    /// When items last arrived on the channels of the clients.
    pub activity: Vec<ChannelActivity>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::pinned::pinned;
    use serde_json::json;

    #[test]
    fn the_form_of_the_first_version_is_pinned() {
        let homes = json!({
            "channels": [{ "name": "c", "last_id": "1", "waiting": [[5, [1, 2]]] }],
            "recent_ids": [[9, [300, 4]]],
        });
        let activity = json!([{ "name": "c", "stream_tick": 7, "socket_tick": null }]);
        pinned::<Part>(
            json!({ "Begin": { "tick": 1000, "homes": homes, "activity": activity } }),
            "00e80701016301013101050201020109ac0204010163010700",
        );
        let socket = json!({
            "port_use": "Clients", "is_paused": true, "is_metered": false, "is_corked": true,
            "backlog": [[97, 98]], "behind_cork": [[99]],
        });
        let client = json!({
            "place": { "slot": 17, "generation": 3 }, "socket": socket,
            "service": { "Clients": "Plain" }, "peer": "127.0.0.1:80", "is_counted": true,
            "route": "r", "carry": [71], "due": 400, "hold": [1],
        });
        pinned::<Part>(
            json!({ "Clients": [client] }),
            "010111030001000101026162010163000001007f00000150010101720147019003010101",
        );
        pinned::<Part>(json!("End"), "02");
    }
}

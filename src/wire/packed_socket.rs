//! The state of a connection in the wire, as a plain value that another process can put in force (`moving`). The socket
//! itself goes as a descriptor.
//!
//! Measurements of slow clients and of paused ones are not part of it: they begin anew. Neither is the client's
//! address, which the wire does not know: whoever knows it gives it to [`Wire::unpack`](super::Wire::unpack).

use super::admission::PortUse;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// The state of a connection besides its socket.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct PackedSocket {
    /// Who connected.
    pub port_use: PortUse,
    /// Nothing is received.
    pub is_paused: bool,
    /// The client was paused before, so each of its receives takes one buffer.
    pub is_metered: bool,
    /// Data waits for the cork to be removed.
    pub is_corked: bool,
    /// The unsent data, in order. Of the first slice, it has the part that was not sent. Slices are shared, not copied.
    pub backlog: Vec<Bytes>,
    /// The data behind the cork, in order.
    pub behind_cork: Vec<Bytes>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_of_a_connection_survives_its_way_as_bytes() {
        let state = PackedSocket {
            port_use: PortUse::Operators,
            is_paused: true,
            is_metered: true,
            is_corked: true,
            backlog: vec![Bytes::from_static(b"a"), Bytes::from_static(b"bc")],
            behind_cork: vec![Bytes::from_static(b"d")],
        };
        let bytes = serde_json::to_vec(&state).expect("plain values");
        assert_eq!(serde_json::from_slice::<PackedSocket>(&bytes).expect("the same values"), state);
    }
}

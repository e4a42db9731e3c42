//! Packs the state of a WebSocket over HTTP for the hand-over to another process.

use super::handshake::Handshake;
use super::pings::Pings;
use super::state::OverHttp;
use crate::proto::grip::LinkTarget;
use crate::proto::websocket::Compression;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use uuid::Uuid;

/// The state of a WebSocket over HTTP as a value.
#[derive(Serialize, Deserialize)]
pub(in crate::held::websocket) struct PackedOverHttp {
    handshake: Bytes,
    id: Uuid,
    interval_s: u32,
    grip: bool,
    one_event: bool,
    compression: Option<Compression>,
    heard: u32,
    asked: bool,
}

impl OverHttp {
    /// The state as a value.
    pub fn pack(&self) -> PackedOverHttp {
        // A field that is added is to be named here, and packed if another process needs it.
        let OverHttp { handshake, id, interval_s, grip, one_event, compression, pings } = self;
        let Pings { heard, asked } = pings;
        PackedOverHttp {
            handshake: Bytes::copy_from_slice(handshake.text()),
            id: *id,
            interval_s: interval_s.get(),
            grip: grip.get(),
            one_event: one_event.get(),
            compression: *compression,
            heard: heard.get(),
            asked: asked.get(),
        }
    }
}

impl PackedOverHttp {
    /// The state that was packed in another process.
    pub fn unpack(self) -> OverHttp {
        let PackedOverHttp { handshake, id, interval_s, grip, one_event, compression, heard, asked } = self;
        OverHttp {
            handshake: Handshake::of_text(&handshake),
            id,
            interval_s: Cell::new(interval_s),
            grip: Cell::new(grip),
            one_event: Cell::new(one_event),
            compression,
            pings: Pings { heard: Cell::new(heard), asked: Cell::new(asked) },
        }
    }

    /// The URI of the client's request.
    pub fn asked_for(&self) -> LinkTarget {
        let request = Handshake::of_text(&self.handshake).request();
        // A port with TLS is not handed over, so whether the client used TLS is only known by its route.
        LinkTarget { https: false, authority: request.host, path_and_query: request.target }
    }
}

//! The permanent state of a WebSocket over HTTP.

use super::handshake::Handshake;
use super::pings::Pings;
use crate::clients::Request;
use crate::proto::websocket::Compression;
use std::cell::Cell;
use uuid::Uuid;

/// The permanent state of a WebSocket over HTTP.
pub(in crate::held::websocket) struct OverHttp {
    pub(super) handshake: Handshake,
    /// The Connection-Id.
    pub(super) id: Uuid,
    /// Seconds of idleness after which the application is asked for events; 0 is never.
    pub(super) interval_s: Cell<u32>,
    /// The application speaks GRIP: its messages have a prefix, and some are control messages for this server.
    pub(super) grip: Cell<bool>,
    /// The application takes one event at a time.
    pub(super) one_event: Cell<bool>,
    /// How messages are compressed, if compression was agreed.
    pub(super) compression: Option<Compression>,
    pub(super) pings: Pings,
}

impl OverHttp {
    pub(super) fn new(request: &Request, compression: Option<Compression>, id: Uuid, now: u32) -> OverHttp {
        OverHttp {
            handshake: Handshake::keep(request),
            id,
            interval_s: Cell::new(0),
            grip: Cell::new(false),
            one_event: Cell::new(false),
            compression,
            pings: Pings::new(now),
        }
    }

    /// The client's handshake, as far as it is kept.
    pub fn handshake(&self) -> Request {
        self.handshake.request()
    }
}

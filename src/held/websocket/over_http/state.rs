//! What a WebSocket over HTTP has always.

use super::handshake::Handshake;
use super::pings::Pings;
use crate::clients::Request;
use crate::proto::websocket::Compression;
use std::cell::Cell;
use uuid::Uuid;

/// What a WebSocket over HTTP has always.
pub(in crate::held::websocket) struct OverHttp {
    pub(super) handshake: Handshake,
    /// Connection-Id.
    pub(super) id: Uuid,
    /// Seconds of idleness after which the application is asked whether it has anything; 0 is never.
    pub(super) interval_s: Cell<u32>,
    /// The application speaks GRIP: messages have a prefix, and some are for this server.
    pub(super) grip: Cell<bool>,
    /// The application takes one event at a time.
    pub(super) one_event: Cell<bool>,
    /// How messages are compressed, if they may be.
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

    /// The client's handshake, as far as it was kept.
    pub fn handshake(&self) -> Request {
        self.handshake.request()
    }
}

//! Packs a WebSocket that passes through for the hand-over to another process, with the connection to its application.
//! Its task is stopped before: everything that the task knows is in the [`Through`].

use super::{Outgoing, Through};
use crate::context::Owner;
use crate::origin::{PackedUpgraded, Pool};
use crate::proto::client_network::ClientNetwork;
use crate::proto::grip::LinkTarget;
use crate::proto::websocket::Relay;
use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;

/// A WebSocket that passes through, as a value.
#[derive(Serialize, Deserialize)]
pub(in crate::held::websocket) struct PackedThrough {
    /// The URI of the client's request.
    pub asked_for: LinkTarget,
    client: ClientNetwork,
    outgoing: Outgoing,
    application: Option<PackedUpgraded>,
    relay: Relay,
    rest: Bytes,
    sending: BytesMut,
    has_closed: bool,
    extensions: bool,
}

impl Through {
    /// The WebSocket as a value, and the connection to its application, if it has one. `None` if a control message is being carried
    /// out, or if the connection cannot move.
    pub fn pack(&self) -> Option<(PackedThrough, Option<OwnedFd>)> {
        // A field that is added is to be named here, and packed if another process needs it.
        let Through {
            asked_for,
            client,
            outgoing,
            waiting: _,
            left: _,
            application,
            relay,
            rest,
            sending,
            task: _,
            acts,
            has_closed,
            extensions,
            _connection,
            outgoing_bytes: _,
        } = self;
        if acts.get() {
            return None;
        }
        let (application, connection) = match &*application.borrow() {
            Some(application) => {
                let (application, connection) = application.pack()?;
                (Some(application), Some(connection))
            }
            None => (None, None),
        };
        let packed = PackedThrough {
            asked_for: asked_for.clone(),
            client: *client,
            outgoing: outgoing.borrow().clone(),
            application,
            relay: relay.borrow().clone(),
            rest: rest.borrow().clone(),
            sending: sending.borrow().clone(),
            has_closed: has_closed.get(),
            extensions: *extensions,
        };
        Some((packed, connection))
    }
}

impl PackedThrough {
    /// The WebSocket that was packed in another process, whose application has the next `connection`, if it has one.
    ///
    /// # Errors
    /// When the connection is missing or cannot be used.
    pub fn unpack(
        self,
        pool: &Pool,
        connection: impl FnOnce() -> io::Result<OwnedFd>,
        owner: Rc<Owner>,
    ) -> io::Result<Through> {
        let PackedThrough {
            asked_for,
            client,
            outgoing,
            application,
            relay,
            rest,
            sending,
            has_closed,
            extensions,
        } = self;
        let application = match application {
            Some(application) => Some(pool.take_over(application, connection()?)?),
            None => None,
        };
        let mut through = Through::new(asked_for, client, application, None, owner);
        through.extensions = extensions;
        (through.outgoing, through.relay) = (RefCell::new(outgoing), RefCell::new(relay));
        (through.rest, through.sending) = (RefCell::new(rest), RefCell::new(sending));
        through.has_closed = Cell::new(has_closed);
        Ok(through)
    }
}

//! WebSockets that pass through to an application that speaks WebSocket itself. `open` asks the application with the
//! client's own handshake. `relay` is the task that then carries frames both ways, without assembling messages.
//! `receiving` takes what the client sends. With
//! GRIP's extension, control messages of the application are carried out on the way (`open_socket`). Published items
//! wait behind a cork while a message of the application is partly sent.

mod open;
mod packing;
mod receiving;
mod relay;

pub(super) use packing::PackedThrough;

use crate::bell::Bell;
use crate::context::{Booking, Kind, Owner};
use crate::origin::Upgraded;
use crate::proto::client_network::ClientNetwork;
use crate::proto::grip::LinkTarget;
use crate::proto::websocket::{Close, Frames, Opcode, Piece, ProtocolError, Relay, Seen, mask_frame};
use crate::runtime::Task;
use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// While more bytes than this wait for the application, the client is not read.
const WAITING_BYTES: usize = 64 * 1024;

/// Memory of the connection to the application, with its socket.
const CONNECTION_BYTES: usize = 16 * 1024;

/// The state of a WebSocket that passes through.
pub(super) struct Through {
    /// The URI of the client's request.
    pub asked_for: LinkTarget,
    /// The network of the client's address.
    pub client: ClientNetwork,
    outgoing: RefCell<Outgoing>,
    /// Rings when there are bytes for the application, and when the client is gone.
    waiting: Bell,
    /// Rings when the client is gone.
    left: Bell,
    /// The connection to the application, as long as the task carries frames.
    application: RefCell<Option<Rc<Upgraded>>>,
    /// The application's frames.
    relay: RefCell<Relay>,
    /// The application's bytes behind its last control message, which are not relayed yet.
    rest: RefCell<Bytes>,
    /// The client's bytes that are being written to the application.
    sending: RefCell<BytesMut>,
    /// The task that carries frames both ways. Everything that it knows is here, so it can be stopped and started
    /// again at any wait, except while `acts` is set.
    task: RefCell<Option<Task<()>>>,
    /// The task is carrying out a control message.
    acts: Cell<bool>,
    /// The application has closed.
    has_closed: Cell<bool>,
    /// The two sides may have agreed on extensions.
    extensions: bool,
    /// Memory of the connection to the application, which closes some time after the client is gone.
    _connection: Booking,
    /// The bytes on their way to the application.
    outgoing_bytes: RefCell<Booking>,
}

/// The client's bytes that wait for the application.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Outgoing {
    bytes: BytesMut,
    /// Where the client's frames end.
    frames: Frames,
    has_close: bool,
    paused: bool,
}

impl Through {
    /// The state of a WebSocket of `client`, which asked for `asked_for` and is connected to `application`. With `grip`,
    /// this server takes part in the conversation, and extensions are between this server and each side; its value is
    /// the prefix of messages for the client, if the application agreed to one.
    pub fn new(
        asked_for: LinkTarget,
        client: ClientNetwork,
        application: Option<Upgraded>,
        grip: Option<Option<Box<str>>>,
        owner: Rc<Owner>,
    ) -> Through {
        let extensions = grip.is_none();
        Through {
            asked_for,
            client,
            outgoing: RefCell::default(),
            waiting: Bell::default(),
            left: Bell::default(),
            application: application.map(Rc::new).into(),
            relay: Relay::new(grip.flatten()).into(),
            rest: RefCell::default(),
            sending: RefCell::default(),
            task: RefCell::default(),
            acts: Cell::default(),
            has_closed: Cell::default(),
            extensions,
            _connection: owner.clone().book_beyond_connection(Kind::Requests, CONNECTION_BYTES),
            outgoing_bytes: owner.book(Kind::Requests, 0).into(),
        }
    }

    /// Takes bytes from the client for the application, and counts their messages in `heard`. Returns whether the
    /// client must be paused.
    ///
    /// # Errors
    /// If a frame breaks the protocol. None of the given bytes is then passed on. If the two sides may have agreed on
    /// extensions, frames are not checked, because extensions may change their meaning.
    pub fn pass(&self, bytes: &[u8], heard: &mut Seen) -> Result<bool, ProtocolError> {
        let (full, kept) = self.take(bytes, heard)?;
        self.book(kept);
        self.waiting.ring();
        Ok(full)
    }

    /// Adds bytes. Returns whether too many are on their way now, and how much memory they take.
    fn take(&self, bytes: &[u8], heard: &mut Seen) -> Result<(bool, usize), ProtocolError> {
        let mut outgoing = self.outgoing.borrow_mut();
        let mut rest = bytes;
        while let Some(piece) = outgoing.frames.next(&mut rest) {
            heard.see(&piece);
            if let Piece::Header(header) = piece {
                if !self.extensions {
                    header.check(false)?;
                }
                outgoing.has_close |= header.opcode == Some(Opcode::Close);
            }
        }
        outgoing.bytes.extend_from_slice(bytes);
        let full = outgoing.bytes.len() > WAITING_BYTES && !outgoing.paused;
        outgoing.paused |= full;
        Ok((full, outgoing.bytes.capacity()))
    }

    /// Books the bytes that are kept for the application.
    fn book(&self, bytes: usize) {
        self.outgoing_bytes.borrow_mut().set(bytes);
    }

    /// Skips the rest of the message that the application got in part. Returns the bytes behind it.
    pub fn skip<'a>(&self, mut bytes: &'a [u8]) -> &'a [u8] {
        let frames = &mut self.outgoing.borrow_mut().frames;
        while !frames.is_between_messages() && frames.next(&mut bytes).is_some() {}
        bytes
    }

    /// Moves the bytes that wait for the application to those that are being written, unless there are some. Returns
    /// whether the client was paused because of them.
    fn move_outgoing(&self) -> bool {
        let was_paused = {
            let (mut outgoing, mut sending) = (self.outgoing.borrow_mut(), self.sending.borrow_mut());
            if !sending.is_empty() {
                return false;
            }
            *sending = std::mem::take(&mut outgoing.bytes);
            std::mem::take(&mut outgoing.paused)
        };
        let kept = self.sending.borrow().capacity();
        self.book(kept);
        was_paused
    }

    /// Notes whether a close of the application has passed.
    fn note_close(&self) {
        let relay = self.relay.borrow();
        self.has_closed.set(relay.has_closed() && relay.is_between_frames());
    }

    /// Whether the client has closed, and the application has got all its bytes.
    fn client_has_closed(&self) -> bool {
        let outgoing = self.outgoing.borrow();
        let is_sent = outgoing.bytes.is_empty() && self.sending.borrow().is_empty();
        outgoing.has_close && is_sent && outgoing.frames.is_between_frames()
    }

    /// Sends the application a close, unless the client has closed or a frame of the client is partly sent.
    pub fn close(&self, close: Option<&Close>) {
        let mut outgoing = self.outgoing.borrow_mut();
        if outgoing.frames.is_between_frames() && !outgoing.has_close {
            let payload = close.map(Close::payload).unwrap_or_default();
            mask_frame(&mut outgoing.bytes, Opcode::Close, &payload);
        }
        self.waiting.ring();
    }

    /// Whether the client has sent a whole close.
    pub fn has_client_close(&self) -> bool {
        let outgoing = self.outgoing.borrow();
        outgoing.has_close && outgoing.frames.is_between_frames()
    }

    /// Whether the application has closed.
    pub fn has_closed(&self) -> bool {
        self.has_closed.get()
    }

    /// Stops carrying frames, unless a control message is being carried out.
    pub fn stop(&self) {
        if !self.acts.get() {
            drop(self.task.take());
        }
    }

    /// The client is gone.
    pub fn end(&self) {
        self.waiting.ring();
        self.left.ring();
    }
}

//! WebSockets that pass through to an application that speaks WebSocket itself. `open` asks the application with the
//! client's own handshake, and `relay` is the one task that then carries frames both ways, without putting them together.
//! `receiving` takes what the client sends.
//! With GRIP's extension, what the application says to this server is done on the way (`open_socket`). What is published waits
//! behind a cork while a message of the application is partly sent.

mod open;
mod receiving;
mod relay;

use crate::bell::Bell;
use crate::context::{Account, Booking};
use crate::proto::client_network::ClientNetwork;
use crate::proto::grip::LinkTarget;
use crate::proto::websocket::{Frames, Opcode, Piece, ProtocolError, Seen};
use bytes::BytesMut;
use std::cell::{Cell, RefCell};

/// Bytes on their way to the application, beyond which the client is not read.
const WAITING_BYTES: usize = 64 * 1024;

/// What the connection to the application takes, with its socket.
const CONNECTION_BYTES: usize = 16 * 1024;

/// A close without a code, with the mask of a client. It holds nothing that the mask could hide.
const CLOSE_FRAME: &[u8] = b"\x88\x80\0\0\0\0";

/// What a WebSocket has that passes through.
pub(super) struct Through {
    /// What the client asked for.
    pub asked_for: LinkTarget,
    /// Who the client is, as far as its address tells.
    pub client: ClientNetwork,
    outgoing: RefCell<Outgoing>,
    /// Rung when there is something for the application, and when the client is gone.
    waiting: Bell,
    /// Rung when the client is gone.
    left: Bell,
    /// The application has closed.
    has_closed: Cell<bool>,
    /// The two sides may have agreed on extensions.
    extensions: bool,
    /// The connection to the application, and what is on its way there.
    booking: RefCell<Booking>,
}

/// What the client sent, for the application.
#[derive(Default)]
struct Outgoing {
    bytes: BytesMut,
    /// Where the client's frames end.
    frames: Frames,
    has_close: bool,
    paused: bool,
}

impl Through {
    /// Of `client`, which asked for this. With `grip` this server takes part, and extensions are its own.
    pub fn new(asked_for: LinkTarget, client: ClientNetwork, grip: bool, account: &Account) -> Through {
        Through {
            asked_for,
            client,
            outgoing: RefCell::default(),
            waiting: Bell::default(),
            left: Bell::default(),
            has_closed: Cell::default(),
            extensions: !grip,
            booking: account.book(CONNECTION_BYTES).into(),
        }
    }

    /// Takes bytes of the client for the application; whether the client is to be paused. Messages are counted in
    /// `heard`. A frame that breaks the protocol goes no further, and nothing after it; with extensions both sides may
    /// have agreed on what it means.
    pub fn pass(&self, bytes: &[u8], heard: &mut Seen) -> Result<bool, ProtocolError> {
        let (full, kept) = self.take(bytes, heard)?;
        self.book(kept);
        self.waiting.ring();
        Ok(full)
    }

    /// Whether there is too much of what is on its way now, and how much it takes.
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

    /// So many bytes of the client are kept for the application.
    fn book(&self, bytes: usize) {
        self.booking.borrow_mut().set(CONNECTION_BYTES + bytes);
    }

    /// Bytes of the client that are on their way to the application.
    pub fn kept_bytes(&self) -> usize {
        self.booking.borrow().bytes().saturating_sub(CONNECTION_BYTES)
    }

    /// Passes over bytes of the client that the application does not get, to the end of the message that it got in part.
    pub fn skip<'a>(&self, mut bytes: &'a [u8]) -> &'a [u8] {
        let frames = &mut self.outgoing.borrow_mut().frames;
        while !frames.is_between_messages() && frames.next(&mut bytes).is_some() {}
        bytes
    }

    /// Whether the client has closed, and the application has all of it.
    fn client_has_closed(&self) -> bool {
        let outgoing = self.outgoing.borrow();
        outgoing.has_close && outgoing.bytes.is_empty() && outgoing.frames.is_between_frames()
    }

    /// Closes towards the application; in the middle of a frame of the client that cannot be said.
    pub fn close(&self) {
        let mut outgoing = self.outgoing.borrow_mut();
        if outgoing.frames.is_between_frames() {
            outgoing.bytes.extend_from_slice(CLOSE_FRAME);
        }
        self.waiting.ring();
    }

    /// Whether the application has closed.
    pub fn has_closed(&self) -> bool {
        self.has_closed.get()
    }

    /// The client is gone.
    pub fn end(&self) {
        self.waiting.ring();
        self.left.ring();
    }
}

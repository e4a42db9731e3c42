//! WebSockets that applications see as HTTP requests (WebSocket-over-HTTP). `open` answers the upgrade when the
//! application accepts it, `receive` takes what the client sends, `talk` brings that to the application, one request at a
//! time, and does what its answers say; `clock` tells what is to be done by the clock, `handshake` keeps what every
//! request repeats. An idle WebSocket is its row and this value; there is a task only while a request is on its way.

mod clock;
mod handshake;
mod open;
mod receive;
mod talk;

pub(super) use open::answer;

use crate::bell::Bell;
use crate::origin::Route;
use crate::proto::grip::WebSocketEvent;
use crate::proto::websocket::Decoder;
use bytes::BytesMut;
use clock::Clock;
use handshake::Handshake;
use http::HeaderValue;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Bytes of events that may wait for the application; beyond them the client is not read. Also the largest message.
const WAITING_BYTES: usize = 200_000;

/// A WebSocket.
pub struct Socket {
    handshake: Handshake,
    route: Arc<Route>,
    /// Connection-Id.
    id: HeaderValue,
    /// What precedes messages that are for the client; `None` is no GRIP: all are, and none is a control message.
    prefix: Option<Box<str>>,
    /// Absent between messages.
    incoming: RefCell<Option<Box<Incoming>>>,
    waiting: RefCell<Waiting>,
    meta: RefCell<BTreeMap<String, String>>,
    /// Seconds of idleness after which the application is asked whether it has anything.
    interval_s: Cell<Option<u64>>,
    clock: RefCell<Clock>,
    closing: Cell<Closing>,
    /// A task is talking to the application.
    talking: Cell<bool>,
    /// The application is to be asked once more when that is done.
    ask_again: Cell<bool>,
    /// The application takes no more part.
    detached: Cell<bool>,
    /// The client is gone.
    gone: Cell<bool>,
    /// Rung when a channel came into force, when the client took what was sent, and when it is gone.
    changed: Bell,
}

/// What the client is sending.
struct Incoming {
    decoder: Decoder,
    /// Received, and not yet a whole frame or part of one.
    carry: BytesMut,
    /// The message whose frames are arriving.
    message: BytesMut,
}

impl Incoming {
    fn new() -> Incoming {
        let (carry, message) = (BytesMut::new(), BytesMut::new());
        Incoming { decoder: Decoder::new(WAITING_BYTES as u64), carry, message }
    }

    /// Whether nothing is lost without it.
    fn is_idle(&self) -> bool {
        self.carry.is_empty() && self.decoder.is_between_messages()
    }
}

/// Events on their way to the application.
#[derive(Default)]
struct Waiting {
    events: Vec<WebSocketEvent>,
    bytes: usize,
    /// The client is not read until they are gone.
    paused: bool,
}

/// How far the closing handshake is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Closing {
    /// Nobody closes.
    No,
    /// The client has closed, and the application is to answer.
    ByClient,
    /// The client was sent a close and is to answer.
    ByServer,
    /// Both have.
    Done,
}

impl Socket {
    /// Nothing more is sent to or expected of the client.
    pub fn end(&self) {
        self.gone.set(true);
        self.changed.ring();
    }

    /// Something that this WebSocket may wait for has happened.
    pub fn wake(&self) {
        self.changed.ring();
    }

    /// Queues an event for the application.
    fn tell(&self, event: WebSocketEvent) {
        if self.detached.get() {
            return;
        }
        let mut waiting = self.waiting.borrow_mut();
        waiting.bytes += event.content_bytes();
        waiting.events.push(event);
    }
}

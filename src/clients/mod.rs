//! The clients of this core. Each has a slot of the wire or a virtual slot, a row that says what the client is doing,
//! and a timer. This room reads requests, writes answers and ends connections. The rooms above decide which requests go
//! to applications, and what happens to a held client.
//!
//! - [`Clients`] is the table of clients with its wire and timers. `sending` has the methods by which other rooms use a
//!   client's bytes and timer, `row` is a client's entry in the table, `service` says what a listener serves,
//!   `timer_wheel` keeps all deadlines.
//! - The life of a connection: `opening` begins it, `reading` reads its requests, `closing` ends it, `engagement`
//!   reports it to operators, `slowness` (with `least_rate`) judges slow clients, `address_limits` bounds addresses.
//!   `draining` ends connections when the server is about to end.
//! - A hand-over to another process: `put_off` keeps requests that may not begin, `stillness` stops and resumes the wire,
//!   `packing` makes clients into values and takes them over.
//! - A request: `request` is a request as it was read, `exchange` a request that is being answered. `answer` writes the
//!   answer, with `body_writer` for a body without an end, and `counting` counts both.
//! - A held client: `held` is the interface of all holds, `holding` puts a hold into the client's row.
//!
//! Borrowing, in this and all other rooms of a core: each part has a RefCell of its own. It is borrowed for a statement
//! or a block, and never across an await. Such a block calls no method of a room except the clock's and the settings',
//! and starts no task, because a new task runs at once. `tests/borrowing.rs` looks for breaches of this rule.

#![forbid(unsafe_code)]

mod address_limits;
pub mod answer;
mod body_writer;
mod closing;
pub mod counting;
mod draining;
mod engagement;
mod exchange;
mod held;
mod holding;
mod least_rate;
mod opening;
mod packing;
mod put_off;
mod reading;
mod request;
mod row;
mod sending;
mod service;
mod slowness;
mod stillness;
mod timer_wheel;

pub use body_writer::BodyWriter;
pub use exchange::{Asked, CollectError, Exchange, Gone, INBOX_BYTES, RESUME_BYTES};
pub use held::{CloseReason, Description, Held, InKernel, ItemOffer, Reason, Undeliverable};
pub use packing::PackedClient;
pub use request::Request;
pub use sending::{Kept, Levels};
pub use service::{Port, Service};

use crate::context::Context;
use crate::ids::Slot;
use crate::proto::http1::HeadError;
use crate::wire::Wire;
use draining::Draining;
use http::HeaderMap;
use row::Rows;
use slowness::Takings;
use std::cell::{Cell, OnceCell, RefCell};
use std::rc::{Rc, Weak};
use timer_wheel::TimerWheel;

/// All clients of a core.
pub struct Clients {
    context: Rc<Context>,
    wire: RefCell<Wire>,
    rows: RefCell<Rows>,
    timers: RefCell<TimerWheel>,
    /// Connections whose next request has arrived with the one before it.
    pipelined: RefCell<Vec<Slot>>,
    /// The clients that have a backlog.
    takings: RefCell<Takings>,
    listeners: Listeners,
    draining: Draining,
    /// Requests that are being answered or held, and WebSockets.
    engaged: Cell<u64>,
    /// The row at which the walk that repeats reports of connections continues.
    walked: Cell<usize>,
    services: OnceCell<Weak<dyn Services>>,
}

/// What each listener of the wire serves.
pub struct Listeners {
    /// The sockets of TCP, by number.
    pub tcp: Vec<Service>,
    /// The Unix sockets.
    pub local: Vec<Service>,
}

/// Answers the requests that this room has read.
pub trait Services {
    /// Starts answering `request`.
    fn answer(&self, exchange: Rc<Exchange>, request: Request);

    /// Whether a request with these headers comes from another GRIP proxy.
    fn are_trusted(&self, headers: &HeaderMap) -> bool;

    /// Status and text of the answer to a client of `service` whose request head cannot be read.
    fn refusal(&self, service: Service, error: &HeadError) -> (u16, String);
}

impl Clients {
    /// The clients of a core on which nobody is connected yet.
    pub fn new(context: Rc<Context>, wire: Wire, listeners: Listeners) -> Rc<Clients> {
        Rc::new(Clients {
            context,
            wire: wire.into(),
            rows: RefCell::default(),
            timers: TimerWheel::new(0).into(),
            pipelined: RefCell::default(),
            takings: RefCell::default(),
            listeners,
            draining: Draining::default(),
            engaged: Cell::default(),
            walked: Cell::default(),
            services: OnceCell::new(),
        })
    }

    /// Requests are answered by `services` from now on.
    ///
    /// # Panics
    /// If services were set before.
    pub fn serve(&self, services: Weak<dyn Services>) {
        assert!(self.services.set(services).is_ok(), "services are given once");
    }

    /// The values that all rooms of the clients' core share.
    pub fn context(&self) -> &Rc<Context> {
        &self.context
    }
}

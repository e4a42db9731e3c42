//! Whoever is connected to this core: a slot of the wire or a virtual one, a row that says what the client is doing, a
//! timer. Here requests are read and answers written, and connections end; what is asked of applications, and what
//! becomes of a client that is held, is decided by the rooms above.
//!
//! - [`Clients`] is the table with its wire and timers. `sending` has what others may do with the bytes of a client,
//!   `row` is its place in the table, `service` says whom a listener serves, `timer_wheel` keeps all deadlines.
//! - The life of a connection: `opening` begins it, `reading` has its requests, `closing` ends it, `engagement` tells
//!   operators of it, `slowness` (with `least_rate`) judges clients that are slow, `address_limits` bounds addresses.
//! - A request: `request` is one as it was read, `exchange` is one that is being answered. `answer` writes its answer, with
//!   `body_writer` for a body without an end, and `counting` counts both.
//! - A client that is held: `held` is the interface of everything that holds one, `holding` puts it in its row.
//!
//! Borrowing, here and in all rooms of a core: each part has a RefCell of its own, borrowed for the length of a statement
//! or a block that calls nothing of a room but the clock and the settings, and starts no task, as a task runs at once.
//! Never across an await. `tests/borrowing.rs` looks for what breaks that.

#![forbid(unsafe_code)]

mod address_limits;
pub mod answer;
mod body_writer;
mod closing;
pub mod counting;
mod engagement;
mod exchange;
mod held;
mod holding;
mod least_rate;
mod opening;
mod reading;
mod request;
mod row;
mod sending;
mod service;
mod slowness;
mod timer_wheel;

pub use body_writer::BodyWriter;
pub use exchange::{Asked, CollectError, Exchange, Gone, INBOX_BYTES, RESUME_BYTES};
pub use held::{CloseReason, Description, Held, InKernel, ItemOffer, Reason, Undeliverable};
pub use request::Request;
pub use sending::{Kept, Levels};
pub use service::{Port, Service};

use crate::context::Context;
use crate::ids::Slot;
use crate::proto::http1::HeadError;
use crate::wire::Wire;
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
    /// Clients that do not take what they are sent as quickly as it comes.
    takings: RefCell<Takings>,
    listeners: Listeners,
    /// Requests that are being answered or held, and WebSockets.
    engaged: Cell<u64>,
    /// The row at which the walk goes on that repeats who is connected.
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

/// Those who answer requests.
pub trait Services {
    /// Starts answering `request`.
    fn answer(&self, exchange: Rc<Exchange>, request: Request);

    /// Whether a request with these headers comes from another GRIP proxy.
    fn are_trusted(&self, headers: &HeaderMap) -> bool;

    /// Status and text for a client of `service` whose request head cannot be read.
    fn refusal(&self, service: Service, error: &HeadError) -> (u16, String);
}

impl Clients {
    /// Nobody is connected yet.
    pub fn new(context: Rc<Context>, wire: Wire, listeners: Listeners) -> Rc<Clients> {
        Rc::new(Clients {
            context,
            wire: wire.into(),
            rows: RefCell::default(),
            timers: TimerWheel::new(0).into(),
            pipelined: RefCell::default(),
            takings: RefCell::default(),
            listeners,
            engaged: Cell::default(),
            walked: Cell::default(),
            services: OnceCell::new(),
        })
    }

    /// Requests are answered by `services` from now on.
    ///
    /// # Panics
    /// When they were given before.
    pub fn serve(&self, services: Weak<dyn Services>) {
        assert!(self.services.set(services).is_ok(), "services are given once");
    }

    /// What the clients share with the other rooms of their core.
    pub fn context(&self) -> &Rc<Context> {
        &self.context
    }
}

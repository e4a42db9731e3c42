//! The values that all rooms of one core share: the core's number, its settings, its clock, its counters, the
//! accounts of the bytes that it keeps for clients, and the bell that wakes its loop. A core makes one [`Context`] and
//! hands it to each of its rooms. Other threads share only two parts of a context: the counters, which any thread may
//! read, and the mailbox of the stats socket. `clock` is the time of a core, `gate` says what it may begin, `accounts`
//! counts the bytes that the core keeps, and `rules` has the limits on them. `readiness` says whether the server should get
//! new clients.

#![forbid(unsafe_code)]

mod accounts;
mod clock;
mod gate;
mod readiness;
pub mod rules;

pub use accounts::{Accounts, Booking, Kind, Owner};
pub use clock::{Clock, SECOND, TICK_MS, ticks};
pub use gate::{Gate, Life, Pass};
pub use readiness::{Phase, Readiness};

use crate::bell::Bell;
use crate::config::Config;
use crate::ids::CoreId;
use crate::ingest::Permits;
use crate::observe::{Metrics, StatsReporter};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

/// The values that the rooms of a core share.
pub struct Context {
    /// Number of the core.
    pub id: CoreId,
    /// How many cores there are.
    pub cores: usize,
    /// The core's clock.
    pub clock: Clock,
    /// How much the core may begin.
    pub gate: Gate,
    /// The counters of this core.
    pub metrics: Arc<Metrics>,
    /// Gathers events for the stats socket; `None` if the server has no stats socket.
    pub stats_reporter: Option<StatsReporter>,
    /// Bytes kept for clients.
    pub accounts: Accounts,
    settings: RefCell<Rc<Config>>,
    permits: RefCell<Rc<Permits>>,
    work: Bell,
}

impl Context {
    /// The context of core `id` of `cores`, with its clock at 0.
    pub fn new(
        id: CoreId,
        cores: usize,
        settings: &Config,
        metrics: Arc<Metrics>,
        stats_reporter: Option<StatsReporter>,
    ) -> Rc<Context> {
        Rc::new(Context {
            id,
            cores,
            clock: Clock::start(),
            gate: Gate::default(),
            metrics,
            stats_reporter,
            accounts: Accounts::default(),
            permits: RefCell::new(Rc::new(Permits::new(settings))),
            settings: RefCell::new(Rc::new(settings.clone())),
            work: Bell::default(),
        })
    }

    /// The tick of the core's clock; wraps.
    pub fn now(&self) -> u32 {
        self.clock.tick()
    }

    /// Milliseconds since the core has started.
    pub fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    /// The settings in force now. A caller that has awaited something calls this again, because the settings may
    /// have been replaced meanwhile.
    pub fn settings(&self) -> Rc<Config> {
        self.settings.borrow().clone()
    }

    /// The users who may publish by datagrams and Unix sockets, according to the settings in force now.
    pub fn permits(&self) -> Rc<Permits> {
        self.permits.borrow().clone()
    }

    /// Puts `settings` in force.
    pub fn renew(&self, settings: &Config) {
        *self.permits.borrow_mut() = Rc::new(Permits::new(settings));
        *self.settings.borrow_mut() = Rc::new(settings.clone());
    }

    /// Wakes the core's loop, because there is work for it.
    pub fn wake(&self) {
        self.work.ring();
    }

    /// How often the loop has been woken since the start.
    pub fn wakes(&self) -> u64 {
        self.work.rings()
    }

    /// Waits until the loop is woken after the `seen`th time.
    pub async fn woken_since(&self, seen: u64) {
        self.work.rung_since(seen).await;
    }
}

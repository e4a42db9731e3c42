//! One core's world: its wire, its connections, its subscriptions, its share of the channels' homes, its origin pool
//! and its mesh ends. Nothing here is shared with other threads.
//!
//! - The loop is `turn`. `timer_wheel` keeps all deadlines, `waits` finds work that stands still, `memory` gives back
//!   memory that is not needed, `accounts` count what is kept for clients and `ceiling` bounds it, `renewal` takes over
//!   new settings, and `address_limits` those by address.
//! - A client: `connection` is its life between requests, `closing` its end, `row` its place in the table, `exchange` a request that is
//!   being answered, `client_body` what it uploads. `serve` hands requests to `proxy` (clients) or to `control` (the
//!   control port), and `respond` writes answers.
//! - A request of a client: `forwarding` finds out whose it is and by which way it came, `cross_origin` what browsers
//!   of other origins are to be told, and `signatures` makes the Grip-Sig of its route.
//! - What is held: `hold` keeps long polls and streams, `links` streams that go on with links, `socket` WebSockets, and
//!   `sockjs` those of browsers that have none. `subscription_limit` bounds the channels of a client.
//! - Messages: `control`, `ingest` (datagrams) and `bridge` (ZeroMQ) take them in, `publish` takes them to their homes,
//!   `deliver` writes them to subscribers, `filtering` puts them through filters, and `receipts` tell publishers whom
//!   they reached.
//! - Requests made again: `again` asks applications for clients that may have missed something, when `spread` lets it,
//!   or that are the first on their channel (`first_subscription`).
//! - What operators see: `gauges` is what other threads may read, `watch` what the stats socket is told, `count` counts
//!   for each route into `tallies`, `sums` is what Pushpin would count, and `prometheus` the page of all that.
//!   `errands` are what operators ask of all cores, about a `client` or a channel.
//!
//! Borrowing: each part has a RefCell of its own, borrowed for the length of a statement or a block that calls nothing
//! of the core but its clock and its settings, and starts no task, as a task runs at once. Never across an await.
//! `tests/borrowing.rs` looks for what breaks that.

#![forbid(unsafe_code)]

mod accounts;
mod address_limits;
mod again;
mod bridge;
mod ceiling;
mod client;
mod client_body;
mod closing;
mod connection;
mod control;
mod count;
mod cross_origin;
mod deliver;
mod errands;
mod exchange;
mod filtering;
mod first_subscription;
mod forwarding;
mod gauges;
mod hold;
mod ingest;
mod links;
mod memory;
mod pace;
mod prometheus;
mod proxy;
mod publish;
mod receipts;
mod renewal;
mod respond;
mod row;
mod serve;
mod signatures;
mod socket;
mod sockjs;
mod spread;
mod subscription_limit;
mod sums;
mod taking;
mod tallies;
mod timer_wheel;
mod told;
mod turn;
mod waits;
mod watch;

pub use bridge::BridgePlan;
pub use errands::ErrandPlan;
pub use gauges::{Gauge, Gauges};
pub use renewal::Renewal;
pub use row::{Port, Service};
pub use signatures::Signers;
pub use sockjs::Sessions;
pub use sums::Sums;
pub use turn::{CoreError, CorePlan, run};

use crate::bell::Bell;
use crate::channel::{Dispatched, Home, Receipts, Subscriptions, ToHome};
use crate::config::Config;
use crate::ids::{CoreId, Slot};
use crate::ingest::Permits;
use crate::mesh::{Lanes, Mesh};
use crate::origin::{Pool, Routes};
use crate::runtime;
use crate::wire::Wire;
use row::Rows;
use signatures::Signatures;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Instant;
use timer_wheel::TimerWheel;

/// Length of a tick of the core's clock, ms. Timeouts are as exact as that.
pub(crate) const TICK_MS: u64 = 100;
/// Ticks of a second.
const SECOND: u32 = (1000 / TICK_MS) as u32;

/// One core.
pub struct Core {
    id: CoreId,
    cores: usize,
    /// What is in force now.
    settings: RefCell<Rc<Config>>,
    routes: RefCell<Arc<Routes>>,
    renewals: Receiver<Renewal>,
    gauges: Arc<Gauges>,
    all_gauges: Arc<[Arc<Gauges>]>,
    /// What each listener of the wire serves.
    services: Vec<Service>,
    /// And each of those of this machine.
    local_services: Vec<Service>,
    wire: RefCell<Wire>,
    rows: RefCell<Rows>,
    /// Connections whose next request has arrived with the one before it.
    pipelined: RefCell<Vec<Slot>>,
    timers: RefCell<TimerWheel>,
    /// Clients that do not take what they are sent as quickly as it comes.
    takings: RefCell<taking::Takings>,
    subscriptions: RefCell<Subscriptions>,
    home: RefCell<Home>,
    /// Messages of this core to channels at home here, in order.
    to_own_home: RefCell<VecDeque<ToHome>>,
    mesh: Mesh,
    /// How many messages the homes of all cores have sent.
    dispatched: Arc<Dispatched>,
    errands: Lanes<errands::Errand>,
    asked: RefCell<errands::Asked>,
    receipts: RefCell<Receipts>,
    confirmations: RefCell<publish::Confirmations>,
    refused_subscriptions: RefCell<subscription_limit::RefusedSubscriptions>,
    first_subscriptions: RefCell<first_subscription::FirstSubscriptions>,
    pool: Pool,
    /// Links that will be asked for.
    fetches: RefCell<links::Fetches>,
    gone_links: links::GoneLinks,
    filtering: RefCell<filtering::Filtering>,
    /// Requests that applications are asked again.
    spread: RefCell<spread::Spread<Rc<again::Ticket>>>,
    signatures: RefCell<Signatures>,
    sockjs: Arc<sockjs::Sessions>,
    last_keep_alive: RefCell<Option<Rc<hold::KeepAlive>>>,
    started: Instant,
    told: told::Told,
    /// What is known of memory that is not needed.
    memory: RefCell<memory::Memory>,
    ingest: RefCell<Option<Box<ingest::Ingest>>>,
    bridge: Option<bridge::Bridge>,
    /// What the stats socket is told, if there is one.
    watch: Option<watch::Watch>,
    /// Requests that are being answered or held, and WebSockets.
    engaged: Cell<u64>,
    accounts: accounts::Accounts,
    ceiling: ceiling::Ceiling,
    permits: RefCell<Permits>,
    wrong_secrets: control::WrongSecrets,
    tick: Cell<u32>,
    /// Deadlines up to this tick may be judged: what had come by then was read.
    judged: Cell<u32>,
    work: Bell,
    /// What waits, and since when.
    waits: waits::Waits,
    /// Rung after every turn that took something off a bounded queue, and when a lane of the mesh has room again.
    room: Bell,
}

impl Core {
    /// The core's clock, in ticks since start; wraps.
    pub(super) fn now(&self) -> u32 {
        self.tick.get()
    }

    /// Milliseconds since start.
    pub(super) fn now_ms(&self) -> u64 {
        runtime::now().duration_since(self.started).as_millis() as u64
    }

    /// The settings, as they are now: whoever waits for something asks again.
    pub(super) fn settings(&self) -> Rc<Config> {
        self.settings.borrow().clone()
    }

    /// There is work for the loop.
    pub(super) fn wake(&self) {
        self.work.ring();
    }

    /// Sets the one timer of a connection.
    pub(super) fn set_timer(&self, slot: Slot, delay_ms: u64) {
        self.timers.borrow_mut().set(slot, self.now().wrapping_add(ticks(delay_ms)));
    }

    /// Sends `message` to the home of a channel, on whichever core that is.
    pub(super) fn send_home(&self, home: CoreId, message: ToHome) {
        if home == self.id {
            self.to_own_home.borrow_mut().push_back(message);
            self.wake();
        } else {
            self.mesh.to_home.send(home, message);
        }
    }
}

/// A delay in ticks, rounded up, and at most half of what the clock can tell apart.
pub(super) fn ticks(delay_ms: u64) -> u32 {
    delay_ms.div_ceil(TICK_MS).min(u64::from(u32::MAX / 4)) as u32
}

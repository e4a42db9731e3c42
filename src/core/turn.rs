//! A core's loop. Each turn moves the clock, takes what happened on the wire, judges deadlines, lets the homes on this
//! core work, and writes a slice or two of the fan-out; then the tasks have theirs. A deadline is judged when the clock
//! has moved on to another tick: by then a whole turn has read what had come before it, and the tasks have seen it. So
//! a pause of the process, however long, ends nothing whose bytes came meanwhile. With nothing left to do it sleeps
//! until the doorbell, a task, the mesh or the clock wakes it.

use super::bridge::{Bridge, BridgePlan};
use super::ceiling::Ceiling;
use super::errands::ErrandPlan;
use super::filtering::Filtering;
use super::gauges::Gauges;
use super::ingest::Ingest;
use super::memory::CHANNEL_BYTES;
use super::renewal::Renewal;
use super::signatures::Signatures;
use super::sockjs::Sessions;
use super::spread::Spread;
use super::timer_wheel::TimerWheel;
use super::waits::{Reader, Waits};
use super::watch::Watch;
use super::{Core, SECOND, Service, TICK_MS, control, row::Rows, ticks};
use crate::channel::{Dispatched, Home, HomeTimes, Slice, Subscriptions};
use crate::config::{Config, Endpoint, ZeroMq};
use crate::ids::CoreId;
use crate::ingest::Permits;
use crate::mesh::{MeshPlan, RingEnds};
use crate::origin::{OwnPorts, Pool};
use crate::runtime;
use crate::wire::{DatagramSocket, Doorbell, Event, Ledger, Preface, Wire, WireLimits};
use std::collections::VecDeque;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;
use std::{cell, io};

/// Rows written to in one turn, so that reads do not wait longer than about two milliseconds.
const TURN_ROWS: usize = 1024;
/// Requests of one connection that are read in one turn, if they came together and each is answered at once.
const PIPELINED: usize = 32;
/// Clients whose time is up in one turn. To close one takes about 10 us; those that have come meanwhile are answered in
/// between.
const TIMEOUTS: usize = 128;
/// Channels given up in one turn.
const EXPIRIES: usize = 512;
/// Messages to homes on this core taken in one turn.
const HOME_MESSAGES: usize = 4096;

/// Everything a core is started with.
pub struct CorePlan {
    /// Its number.
    pub id: CoreId,
    /// How many there are.
    pub cores: usize,
    /// The settings, the routes, and who signs for them.
    pub start: Renewal,
    /// What comes to replace them.
    pub renewals: Receiver<Renewal>,
    /// The counters of all cores.
    pub gauges: Arc<[Arc<Gauges>]>,
    /// Its listening sockets, what clients there are to begin with, and what each serves.
    pub listeners: Vec<((TcpListener, Preface), Service)>,
    /// Its listening sockets of this machine, and what each serves.
    pub local_listeners: Vec<(UnixListener, Service)>,
    /// Its datagram sockets.
    pub datagrams: Vec<DatagramSocket>,
    /// Its ways to and from the thread of ZeroMQ, if there is one.
    pub bridge: Option<BridgePlan>,
    /// Its place in the mesh.
    pub mesh: MeshPlan,
    /// How many messages homes have sent to other cores, which all cores know.
    pub dispatched: Arc<Dispatched>,
    /// And in that of what operators ask.
    pub errands: ErrandPlan,
    /// Sizes of its wire.
    pub wire: WireLimits,
    /// Memory of the machine, or what the control group of the process may have of it, bytes; `None` if that is not
    /// known.
    pub memory: Option<u64>,
    /// How many connections each address has, which all cores know.
    pub ledger: Arc<Ledger>,
    /// The conversations of SockJS, which all cores know.
    pub sockjs: Arc<Sessions>,
}

/// A core could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum CoreError {
    /// The wire ring failed.
    #[error("the ring of client sockets failed: {0}")]
    Wire(#[from] io::Error),
    /// The mesh could not be joined.
    #[error("the mesh between the cores could not be joined")]
    Mesh,
}

/// Runs a core inside its executor; returns only when it cannot go on.
pub async fn run(plan: CorePlan) -> Result<(), CoreError> {
    let Renewal { settings, routes, signers } = plan.start;
    let (mesh, home_ends, core_ends) = plan.mesh.join().await.ok_or(CoreError::Mesh)?;
    let (errands, errand_ends) = plan.errands.0.join().await.ok_or(CoreError::Mesh)?;
    let doorbell = Doorbell::new()?;
    let own_ports = own_ports(&plan.listeners, &settings);
    let (listeners, services) = plan.listeners.into_iter().unzip();
    let local_listeners = plan.local_listeners.into_iter();
    let local_listeners =
        local_listeners.map(|(listener, service)| ((listener, service.port_use()), service));
    let (local_listeners, local_services) = local_listeners.unzip();
    let wire = Wire::new(listeners, local_listeners, plan.wire, plan.ledger, &doorbell)?;
    let mut home = Home::new(plan.id, home_times(&settings.channels));
    if plan.bridge.as_ref().is_some_and(|bridge| bridge.listens) {
        home.watch();
    }
    let watched = plan.bridge.as_ref().filter(|bridge| bridge.watches);
    let watch = watched.map(|bridge| Watch::new(bridge.outlet.clone(), &settings.stats));
    let mut subscriptions = subscriptions(plan.cores, &settings, watch.is_some());
    subscriptions.set_dispatched(plan.dispatched.clone(), plan.id);
    let core = Rc::new(Core {
        id: plan.id,
        cores: plan.cores,
        routes: routes.into(),
        renewals: plan.renewals,
        gauges: plan.gauges.get(plan.id.index()).cloned().unwrap_or_default(),
        all_gauges: plan.gauges,
        services,
        local_services,
        wire: wire.into(),
        rows: Rows::default().into(),
        pipelined: cell::RefCell::default(),
        timers: TimerWheel::new(0).into(),
        takings: Default::default(),
        subscriptions: subscriptions.into(),
        home: home.into(),
        to_own_home: cell::RefCell::default(),
        mesh,
        dispatched: plan.dispatched,
        errands,
        asked: cell::RefCell::default(),
        receipts: cell::RefCell::default(),
        confirmations: cell::RefCell::default(),
        refused_subscriptions: cell::RefCell::default(),
        first_subscriptions: cell::RefCell::default(),
        pool: Pool::new(&settings.proxy),
        fetches: cell::RefCell::default(),
        gone_links: Rc::default(),
        filtering: Filtering::new(plan.cores).into(),
        spread: Spread::new(settings.channels.refetches_per_core, runtime::seed()).into(),
        signatures: Signatures::new(signers).into(),
        sockjs: plan.sockjs,
        last_keep_alive: cell::RefCell::default(),
        started: runtime::now(),
        told: Default::default(),
        memory: cell::RefCell::default(),
        ingest: Ingest::new(plan.datagrams).into(),
        watch,
        bridge: plan.bridge.map(|bridge| Bridge::new(bridge, doorbell.ringer())),
        engaged: cell::Cell::default(),
        accounts: Default::default(),
        ceiling: Ceiling::of(plan.memory),
        permits: Permits::new(&settings).into(),
        wrong_secrets: control::WrongSecrets::default(),
        tick: cell::Cell::new(0),
        judged: cell::Cell::new(0),
        work: crate::bell::Bell::default(),
        room: crate::bell::Bell::default(),
        waits: Waits::default(),
        settings: cell::RefCell::new(Rc::new((*settings).clone())),
    });
    core.pool.protect(own_ports);
    core.limit_addresses(&settings);
    core.clone().start_readers(home_ends, core_ends);
    core.start_errands(errand_ends);
    core.watch_datagrams();
    core.clone().start_hearing_of_room();
    runtime::spawn(hear(doorbell, core.clone())).detach();
    runtime::spawn(tick(core.clone())).detach();
    core.turn_forever().await
}

impl Core {
    async fn turn_forever(self: Rc<Self>) -> Result<(), CoreError> {
        let (mut events, mut slice) = (VecDeque::new(), Slice::default());
        loop {
            let heard = self.work.rings();
            let busy = self.turn(&mut events, &mut slice)?;
            if busy || self.wire.borrow().has_work() {
                runtime::yield_now().await;
                continue;
            }
            self.wire.borrow_mut().silence_doorbell(false);
            // What completed before the doorbell was heard again rang for nobody.
            if !self.turn(&mut events, &mut slice)? && !self.wire.borrow().has_work() {
                self.work.rung_since(heard).await;
            }
            self.wire.borrow_mut().silence_doorbell(true);
        }
    }

    /// One turn; whether there was anything to do.
    fn turn(self: &Rc<Self>, events: &mut VecDeque<Event>, slice: &mut Slice) -> Result<bool, CoreError> {
        self.gauges.turns_total.add(1);
        // Deadlines are judged by what had arrived before the clock moved, so then all of it is read.
        let has_moved = self.move_clock();
        let mut busy = self.look_at_backlogs();
        match has_moved {
            true => self.wire.borrow_mut().poll_all(events)?,
            false => self.wire.borrow_mut().poll(events)?,
        }
        busy |= !events.is_empty();
        while let Some(event) = events.pop_front() {
            self.handle(event);
        }
        for _ in 0..PIPELINED {
            if !self.read_pipelined() {
                break;
            }
            busy = true;
        }
        busy |= self.take_datagrams();
        busy |= self.take_from_bridge();
        busy |= self.let_time_out();
        busy |= self.let_channels_go();
        busy |= self.work_at_home();
        busy |= self.tell_of_the_gone();
        busy |= self.grant_permits();
        self.look_at_growth();
        let mut rows = 0;
        while rows < TURN_ROWS
            && let Some(written) = self.fan_out(slice)
        {
            rows += written.max(1);
            busy = true;
        }
        self.wire.borrow_mut().flush();
        if busy {
            self.room.ring();
        }
        Ok(busy)
    }

    /// Lets the homes on this core take what this core itself asks of them.
    fn work_at_home(self: &Rc<Self>) -> bool {
        let mut busy = false;
        for _ in 0..HOME_MESSAGES {
            if !self.homes_have_room() {
                break;
            }
            let Some(message) = self.to_own_home.borrow_mut().pop_front() else { break };
            self.waits.taken_at_home.set(self.waits.taken_at_home.get() + 1);
            self.at_home(self.id, message);
            busy = true;
        }
        // What comes before it in the queue may be what an item waits for.
        while !self.has_own_waiting() && self.homes_have_room() && self.lose_patience_at_home() {
            busy = true;
        }
        busy
    }

    /// Whether a tick is over.
    fn move_clock(self: &Rc<Self>) -> bool {
        let now = runtime::now();
        let tick = (now.duration_since(self.started).as_millis() / u128::from(TICK_MS)) as u32;
        let before = self.tick.replace(tick);
        if before == tick {
            return false;
        }
        self.wire.borrow_mut().set_now(now);
        self.take_renewals();
        if before / SECOND != tick / SECOND {
            self.each_second();
        }
        self.subscriptions.borrow_mut().set_now(tick);
        self.home.borrow_mut().set_now(tick);
        self.judged.set(before);
        self.update_first_subscribed();
        self.tell_what_happened();
        self.give_memory_back();
        let passed_ms = u64::from(tick.wrapping_sub(before)) * TICK_MS;
        self.gauges.client_requests_ms_total.add(self.engaged.get() * passed_ms);
        self.publish_gauges();
        self.keep_below_ceiling();
        true
    }

    /// Lets some of those whose time is up hear of it; whether there are more.
    fn let_time_out(self: &Rc<Self>) -> bool {
        let mut due = Vec::new();
        let has_more = self.timers.borrow_mut().advance(self.judged.get(), TIMEOUTS, &mut due);
        for slot in due {
            let is_read = self.wire.borrow().is_read(slot);
            match is_read {
                true => self.timed_out(slot),
                // What its client has sent, or taken, is looked at first.
                false => self.set_timer(slot, TICK_MS),
            }
        }
        has_more
    }

    /// Gives up some of the channels that nobody has used for a while; whether there are more.
    fn let_channels_go(&self) -> bool {
        if !self.all_homes_have_room() {
            return false;
        }
        let mut farewells = Vec::new();
        let mut say = |home, message| farewells.push((home, message));
        let has_more = self.subscriptions.borrow_mut().expire(EXPIRIES, &mut say);
        self.freed(farewells.len() * CHANNEL_BYTES);
        farewells.into_iter().for_each(|(home, message)| self.send_home(home, message));
        has_more
    }

    /// Housekeeping, and what an operator should hear of, each at most once a second.
    fn each_second(&self) {
        self.pool.purge(runtime::now());
        self.tell_of_counters();
        if let Some(error) = self.wire.borrow_mut().take_refusal() {
            tracing::warn!(core = self.id.0, %error, "clients wait to be accepted: raise RLIMIT_NOFILE (LimitNOFILE), or free memory");
        }
        self.tell_of_queue_timeouts();
        self.log_refused_subscriptions();
        self.tell_of_datagrams();
        self.tell_of_waits();
    }

    fn tell_of_queue_timeouts(&self) {
        let requests = self.told.queue_timeouts.of(&self.gauges.queue_timeouts_total);
        if requests == 0 {
            return;
        }
        let last = self.pool.take_overdue();
        tracing::warn!(
            core = self.id.0,
            requests,
            last,
            "requests were refused because they had waited for too long to be made (queue_timeout_ms): see whether an \
             application hangs or is overloaded, else raise open_requests_per_core"
        );
    }

    fn publish_gauges(&self) {
        self.count_kernel_drops();
        self.look_at_waits();
        let gauges = &self.gauges;
        {
            let wire = self.wire.borrow();
            gauges.connections.set(u64::from(wire.open_connections()));
            gauges.sockjs_conversations.set(wire.virtual_slots() as u64);
            gauges.backlog_bytes.set(wire.backlog_bytes() as u64);
            gauges.tls_failures_total.set(wire.tls_failures());
            let refused = wire.refused_connections();
            gauges.refused_connections_total.set(refused.connections);
            gauges.refused_new_connections_total.set(refused.new_connections);
            gauges.refused_handshakes_total.set(refused.handshakes);
        }
        let subscriptions = self.subscriptions.borrow();
        gauges.client_requests.set(self.engaged.get());
        let received = subscriptions.received();
        gauges.response_messages_total.set(received.responses as u64);
        gauges.stream_messages_total.set(received.streams as u64);
        gauges.socket_messages_total.set(received.sockets as u64);
        gauges.channels.set(subscriptions.channels() as u64);
        gauges.subscriptions.set(subscriptions.subscriptions() as u64);
        gauges.pending_publications.set(subscriptions.pending().0 as u64);
        gauges.refetches_waiting.set(self.spread.borrow().waiting() as u64);
        gauges.homes.set(self.home.borrow().channels() as u64);
        let requests = self.pool.counts();
        gauges.open_requests.set(requests.open);
        gauges.queued_requests.set(requests.waiting);
        gauges.queue_timeouts_total.set(requests.queue_timeouts_total);
    }

    /// One task for each ring that ends here.
    fn start_readers(
        self: Rc<Self>,
        home_ends: RingEnds<crate::channel::ToHome>,
        core_ends: RingEnds<crate::channel::ToCore>,
    ) {
        for peer in home_ends.peers() {
            let (core, ends, reader) = (self.clone(), home_ends.clone(), Reader::new(self.clone()));
            runtime::spawn(async move {
                while let Some(message) = ends.receive(peer).await {
                    reader.await_room_until(|| core.homes_have_room()).await;
                    core.at_home(peer, message);
                }
            })
            .detach();
        }
        for peer in core_ends.peers() {
            let (core, ends, reader) = (self.clone(), core_ends.clone(), Reader::new(self.clone()));
            runtime::spawn(async move {
                while let Some(message) = ends.receive(peer).await {
                    reader.await_room_until(|| core.can_take_deliveries()).await;
                    core.take_from_home(message);
                    core.subscriptions.borrow_mut().took(peer);
                }
            })
            .detach();
        }
    }
}

/// The table of a core of `cores`; the stats socket is told of it if `is_watched`.
fn subscriptions(cores: usize, settings: &Config, is_watched: bool) -> Subscriptions {
    let mut subscriptions = Subscriptions::new(cores, ticks(settings.channels.linger_ms));
    if is_watched {
        subscriptions.watch();
        subscriptions.tally(settings.stats.message_block_bytes);
    }
    subscriptions
}

/// The ports where operators and publishers are served, to which no application may send this server.
fn own_ports(listeners: &[((TcpListener, Preface), Service)], settings: &Config) -> OwnPorts {
    let is_for_operators = |service: &Service| matches!(service, Service::Control | Service::Metrics);
    let listening = listeners.iter().filter(|(_, service)| is_for_operators(service));
    let listening = listening.filter_map(|((listener, _), _)| listener.local_addr().ok());
    let ZeroMq { pull, sub, sub_connect, command, .. } = &settings.zeromq;
    let sub = sub.iter().filter(|_| !sub_connect);
    let zeromq = sub.chain(pull).chain(command).chain(&settings.stats.socket);
    OwnPorts::new(listening.chain(zeromq.filter_map(Endpoint::bound)))
}

pub(super) fn home_times(channels: &crate::config::Channels) -> HomeTimes {
    HomeTimes {
        message_wait: ticks(channels.message_wait_ms),
        duplicate_ids: ticks(channels.duplicate_ids_ms),
    }
}

/// Wakes the loop for what the wire has completed, and for other threads.
async fn hear(doorbell: Doorbell, core: Rc<Core>) {
    while doorbell.rung().await.is_ok() {
        core.wake();
    }
}

/// Wakes the loop for its timers.
async fn tick(core: Rc<Core>) {
    loop {
        runtime::sleep(Duration::from_millis(TICK_MS)).await;
        core.wake();
    }
}

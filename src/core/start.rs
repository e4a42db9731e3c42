//! Starts a core: makes its rooms, from the bottom up, and connects them.

use super::Core;
use super::ceiling::Ceiling;
use super::commands::{CoreCommands, Renewal, home_times};
use super::handing_over::Sent;
use super::taking_over::TakeOver;
use crate::backplane::Backplane;
use crate::channel::{Dispatched, Home, Subscriptions, ToCore, ToHome};
use crate::clients::{Clients, Listeners, Service};
use crate::config::{Config, Endpoint, ZeroMq};
use crate::context::{Context, Readiness, TICK_MS, ticks};
use crate::control::{AskToDrain, AskToUpgrade, ControlPort};
use crate::delivery::Delivery;
use crate::filters::Filters;
use crate::held::{Holds, Sessions};
use crate::ids::CoreId;
use crate::mesh::{MeshPlan, RingEnds};
use crate::monitor::Mailbox;
use crate::observe::{Growth, Metrics, ReportState, StatsReporter};
use crate::origin::OwnPorts;
use crate::publish::{Publishing, Ways};
use crate::queries::{Queries, QueryPlan, Questions};
use crate::requests::Requests;
use crate::runtime;
use crate::wire::{DatagramSocket, Doorbell, Ledger, Preface, Wire, WireLimits};
use std::cell::RefCell;
use std::io;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

/// Everything a core is started with.
pub struct CorePlan {
    /// The core's number.
    pub id: CoreId,
    /// How many cores there are.
    pub cores: usize,
    /// The settings, routes and signers to start with.
    pub start: Renewal,
    /// The queue of commands of the main thread.
    pub commands: CoreCommands,
    /// The counters of all cores.
    pub metrics: Arc<[Arc<Metrics>]>,
    /// The core's listening TCP sockets, each with the preface that its clients begin with and the service it has.
    pub listeners: Vec<((TcpListener, Preface), Service)>,
    /// The core's listening Unix sockets, in the same form.
    pub local_listeners: Vec<((UnixListener, Preface), Service)>,
    /// The core's datagram sockets.
    pub datagrams: Vec<DatagramSocket>,
    /// The core's ends of backplanes.
    pub backplanes: Vec<Box<dyn Backplane>>,
    /// The mailbox for its events, if the server has a stats socket.
    pub mailbox: Option<Arc<Mailbox>>,
    /// The core's ends of the meshes between cores and homes.
    pub mesh: MeshPlan,
    /// How many messages homes have sent to each core, shared by all cores.
    pub dispatched: Arc<Dispatched>,
    /// The core's end of the mesh for core queries.
    pub queries: QueryPlan,
    /// The sizes of the core's wire.
    pub wire: WireLimits,
    /// Memory of the machine, or the memory limit of the process's control group, bytes; `None` if neither is known.
    pub memory: Option<u64>,
    /// The number of connections of each address, shared by all cores.
    pub ledger: Arc<Ledger>,
    /// The SockJS conversations, shared by all cores.
    pub sockjs: Arc<Sessions>,
    /// What the core takes over from an old process, if this process replaces one.
    pub take_over: Option<TakeOver>,
    /// Whether the server is ready for new clients.
    pub readiness: Arc<Readiness>,
    /// Has the main thread drain the server.
    pub ask_to_drain: AskToDrain,
    /// Has the main thread replace the server by a new process.
    pub ask_to_upgrade: AskToUpgrade,
}

/// Why a core could not start or continue.
#[derive(Debug, thiserror::Error)]
pub enum CoreError {
    /// The wire ring failed.
    #[error("the ring of client sockets failed: {0}")]
    Wire(#[from] io::Error),
    /// The mesh could not be joined.
    #[error("the mesh between the cores could not be joined")]
    Mesh,
}

/// Runs a core inside its executor; returns only when it cannot go on. Calls `serving` when its loop begins.
///
/// # Errors
/// When the ring of client sockets, or the mesh between the cores, fails.
pub async fn run(mut plan: CorePlan, serving: impl FnOnce()) -> Result<(), CoreError> {
    let doorbell = Doorbell::new()?;
    let take_over = plan.take_over.take();
    let own_ports = own_ports(&plan.listeners, &plan.start.settings);
    let (core, incoming) = compose(plan, &doorbell).await?;
    core.requests.pool().protect(own_ports);
    connect(&core, incoming);
    if let Some(take_over) = take_over {
        core.take_over(take_over);
    }
    runtime::spawn(hear(doorbell, core.clone())).detach();
    runtime::spawn(tick(core.clone())).detach();
    serving();
    core.turn_forever().await
}

/// The receiving ends of the rings from other cores.
struct Incoming {
    to_home: RingEnds<ToHome>,
    to_core: RingEnds<ToCore>,
    questions: Questions,
}

/// Makes the rooms of a core, from the bottom up; `doorbell` wakes it.
async fn compose(plan: CorePlan, doorbell: &Doorbell) -> Result<(Rc<Core>, Incoming), CoreError> {
    let Renewal { settings, routes, signers } = plan.start;
    let (mesh, to_home, to_core) = plan.mesh.join().await.ok_or(CoreError::Mesh)?;
    let metrics = plan.metrics.get(plan.id.index()).cloned().unwrap_or_default();
    let reporter = plan.mailbox.map(|mailbox| StatsReporter::new(mailbox, &settings.stats));
    let mut subscriptions = subscriptions(plan.cores, &settings, reporter.is_some());
    subscriptions.set_dispatched(plan.dispatched.clone(), plan.id);
    plan.commands.wake_by(doorbell.ringer());
    let context = Context::new(plan.id, plan.cores, &settings, metrics, reporter);
    let (queries, questions) = Queries::join(context.clone(), plan.queries).await.ok_or(CoreError::Mesh)?;
    let (sockets, tcp) = plan.listeners.into_iter().unzip();
    let (local_sockets, local) = plan.local_listeners.into_iter().unzip();
    let wire = Wire::new(sockets, local_sockets, plan.wire, plan.ledger, doorbell)?;
    let clients = Clients::new(context.clone(), wire, Listeners { tcp, local });
    clients.limit_addresses(&settings);
    let delivery = Delivery::new(context.clone(), clients.clone(), queries.clone(), subscriptions);
    let ways = Ways {
        home: Home::new(plan.id, home_times(&settings.channels)),
        mesh,
        dispatched: plan.dispatched,
        datagrams: plan.datagrams,
        backplanes: plan.backplanes,
    };
    let publishing =
        Publishing::new(context.clone(), clients.clone(), delivery.clone(), ways, &doorbell.ringer());
    let requests = Requests::new(context.clone(), clients.clone(), delivery.clone(), routes, signers);
    let filters = Filters::new(context.clone(), clients.clone(), delivery.clone(), requests.clone());
    let core = Core {
        holds: Holds::new(publishing.clone(), requests.clone(), filters.clone(), plan.sockjs),
        control: ControlPort::new(
            publishing.clone(),
            queries.clone(),
            plan.metrics,
            plan.readiness,
            plan.ask_to_drain,
            plan.ask_to_upgrade,
        ),
        context,
        clients,
        delivery,
        publishing,
        requests,
        filters,
        queries,
        commands: plan.commands,
        ceiling: Ceiling::of(plan.memory),
        sent: Sent::default(),
        memory: RefCell::default(),
        report_state: ReportState::default(),
        reported_queue_timeouts: Growth::default(),
    };
    Ok((Rc::new(core), Incoming { to_home, to_core, questions }))
}

/// Gives lower rooms the higher rooms that they call through traits, and connects the core to other cores.
fn connect(core: &Rc<Core>, incoming: Incoming) {
    core.publishing.publish_for_applications(core.requests.pool());
    core.clients.serve(Rc::downgrade(core) as Weak<_>);
    core.delivery.filter_by(Rc::downgrade(&core.filters) as Weak<_>);
    core.queries.start(incoming.questions, Rc::downgrade(&core.control) as Weak<_>);
    core.publishing.start_readers(incoming.to_home, incoming.to_core);
    core.publishing.watch_datagrams();
    core.publishing.start_hearing_of_room();
}

/// The subscription table of one of `cores` cores. It notes changes for the stats socket if `is_watched`.
fn subscriptions(cores: usize, settings: &Config, is_watched: bool) -> Subscriptions {
    let mut subscriptions = Subscriptions::new(cores, ticks(settings.channels.linger_ms));
    if is_watched {
        subscriptions.watch();
        subscriptions.route_stats(settings.stats.message_block_bytes);
    }
    subscriptions
}

/// The ports that serve operators and publishers. An application must not have this server send requests to them.
fn own_ports(listeners: &[((TcpListener, Preface), Service)], settings: &Config) -> OwnPorts {
    let is_for_operators = |service: &Service| matches!(service, Service::Control | Service::Metrics);
    let listening = listeners.iter().filter(|(_, service)| is_for_operators(service));
    let listening = listening.filter_map(|((listener, _), _)| listener.local_addr().ok());
    let ZeroMq { pull, sub, sub_connect, command, .. } = &settings.zeromq;
    let sub = sub.iter().filter(|_| !sub_connect);
    let zeromq = sub.chain(pull).chain(command).chain(&settings.stats.socket);
    OwnPorts::new(listening.chain(zeromq.filter_map(Endpoint::bound)))
}

/// Wakes the loop when the wire has completed something, or when another thread rings.
async fn hear(doorbell: Doorbell, core: Rc<Core>) {
    while doorbell.rung().await.is_ok() {
        core.context.wake();
    }
}

/// Wakes the loop at each tick of its clock.
async fn tick(core: Rc<Core>) {
    loop {
        runtime::sleep(Duration::from_millis(TICK_MS)).await;
        core.context.wake();
    }
}

//! Starts the cores: checks the kernel, binds the ports, and pins a thread for each core. The server ends after a drain
//! (`draining`, which moves from one part of the server's `life` to the next), or at the first failure of a core.
//! `sockets` binds the ports of the settings; `keys` and `certificates` read the files that the settings name. While the cores run, `watch` notices changed files, `supervisor` sends new settings
//! and routes to the cores, `watchdog` reports cores whose loop is stuck, and `notifier` tells the service manager how
//! the server is.

mod certificates;
mod draining;
mod error;
mod keys;
mod life;
mod notifier;
mod sockets;
mod supervisor;
mod watch;
mod watchdog;

pub use certificates::check_certificates;
pub use error::ServerError;
pub use keys::check_keys;
pub use life::EndsAtOnce;
pub use notifier::Notifier;
pub use supervisor::Files;

use crate::backplane::{Backplane, ThreadEnd};
use crate::channel::Dispatched;
use crate::config::Config;
use crate::context::Readiness;
use crate::control::AskToDrain;
use crate::core::{CoreCommands, CorePlan, Renewal};
use crate::doctor::{self, Machine};
use crate::held::Sessions;
use crate::ids::CoreId;
use crate::mesh::MeshPlan;
use crate::monitor::{Mailbox, Stats};
use crate::observe::Metrics;
use crate::origin::Routes;
use crate::queries::QueryPlan;
use crate::runtime;
use crate::wire::{self, HandedSockets, Ledger, RESERVED_SLOTS, SLOTS, WireLimits};
use crate::zeromq::{self, ZeroMqError};
use certificates::certificates;
use keys::signers;
use life::Life;
use nix::sys::pthread::pthread_self;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use sockets::Sockets;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Instant;
use supervisor::{Supervisor, SupervisorEvent, paths};
use watch::FileWatch;
use watchdog::{WAKING_SIGNAL, Watchdog};

/// Runs the server until it is drained, which SIGINT and SIGTERM begin, unless they end the server at once
/// (`ends_at_once`). `files` are read again when one changes, and at SIGHUP.
///
/// # Errors
/// Why the server cannot start, or the failure of a core or of ZeroMQ's thread.
pub fn serve(
    settings: Config,
    routes: Arc<Routes>,
    files: &mut dyn Files,
    ends_at_once: EndsAtOnce,
) -> Result<(), ServerError> {
    // First of all, before other descriptors are opened.
    let handed = HandedSockets::take()?;
    let cpus: Vec<usize> =
        core_affinity::get_core_ids().unwrap_or_default().into_iter().map(|core| core.id).collect();
    let cores = settings.cores.unwrap_or(cpus.len()).max(1);
    if cpus.is_empty() {
        return Err(ServerError::NoCpus);
    }
    // Signals are handled before the ports are open: whoever sees an open port may send one.
    let (tell, events) = channel();
    watch_signals(tell.clone())?;
    let certificates = certificates(&settings);
    let watch = watch_files(tell.clone(), paths(files, certificates.as_deref()));
    let limits = wire_limits(&settings, wire::raise_file_limit(cores)?);
    wire::check_kernel(limits.connections)?;
    let (sockets, socket_files) = sockets::open(&settings, cores, certificates.as_ref(), handed)?;
    let zeromq = zeromq::Sockets::open(&settings)?;
    let metrics: Arc<[Arc<Metrics>]> =
        (0..cores + usize::from(zeromq.is_some())).map(|_| Arc::default()).collect();
    let zeromq = zeromq.map(|sockets| ZeroMqThread::new(sockets, &settings, cores, &metrics)).transpose()?;
    let settings = Arc::new(settings);
    let readiness = Arc::<Readiness>::default();
    let ask_to_drain = || drain_by(tell.clone());
    let shared = Shared { metrics: &metrics, readiness: &readiness, ask_to_drain: &ask_to_drain };
    let (mut plans, commands) = plan(&settings, &routes, sockets, limits, &shared, zeromq.as_ref())?;
    // Dropping `_zeromq` when this function returns ends the thread.
    let _zeromq = zeromq.map(|thread| thread.run(tell.clone())).transpose()?;
    for plan in plans.drain(..) {
        let cpu = cpus.get(plan.id.index() % cpus.len()).copied().unwrap_or_default();
        start(plan, cpu, tell.clone())?;
    }
    let metrics: Vec<_> = metrics.iter().take(cores).cloned().collect();
    let watchdog = Watchdog::new(metrics.clone(), Instant::now());
    let (renewing, reloads) = (VecDeque::new(), 0);
    Supervisor {
        settings,
        files,
        certificates,
        events,
        tell,
        commands,
        renewing,
        reloads,
        watch,
        due: None,
        watchdog,
        starting: cores,
        life: Life::Serving,
        ends_at_once,
        readiness,
        notifier: Notifier::from_environment(),
        socket_files,
        metrics,
    }
    .run()
}

/// What all cores have in common, beside the settings.
struct Shared<'s> {
    metrics: &'s Arc<[Arc<Metrics>]>,
    readiness: &'s Arc<Readiness>,
    ask_to_drain: &'s dyn Fn() -> AskToDrain,
}

/// Asks the main thread for a drain.
fn drain_by(tell: Sender<SupervisorEvent>) -> AskToDrain {
    // Nobody hears it if the server ends at this moment.
    Box::new(move || drop(tell.send(SupervisorEvent::Drain)))
}

fn watch_files(tell: Sender<SupervisorEvent>, paths: Vec<PathBuf>) -> Option<FileWatch> {
    let watch = FileWatch::new(move || tell.send(SupervisorEvent::Touched).is_ok());
    let watch = watch.inspect_err(
        |error| tracing::warn!(%error, "changed files will not be noticed: send SIGHUP after a change"),
    );
    let mut watch = watch.ok()?;
    watch.look_at(paths);
    Some(watch)
}

fn wire_limits(settings: &Config, files: u64) -> WireLimits {
    let clients = u32::try_from(settings.limits.connections_per_core).unwrap_or(u32::MAX);
    let files = u32::try_from(files).unwrap_or(u32::MAX);
    // Reserved slots are added to the limit, if the system allows so many.
    let connections = clients.saturating_add(RESERVED_SLOTS).min(SLOTS.max(clients)).min(files).max(1);
    WireLimits {
        connections,
        reserved: RESERVED_SLOTS.min(connections.saturating_sub(clients).max(connections / 8)),
        backlog_bytes: settings.limits.backlog_bytes,
        backlog_bytes_total: settings.limits.backlog_bytes_per_core,
    }
}

/// The thread of ZeroMQ before it runs, with its connections to the cores.
struct ZeroMqThread {
    sockets: zeromq::Sockets,
    ties: zeromq::Ties,
}

impl ZeroMqThread {
    /// Connects `sockets` with `cores` cores. The last of `metrics` belongs to the thread.
    fn new(
        sockets: zeromq::Sockets,
        settings: &Config,
        cores: usize,
        metrics: &Arc<[Arc<Metrics>]>,
    ) -> Result<ZeroMqThread, ServerError> {
        let end = ThreadEnd::new(cores).map_err(ServerError::Descriptor)?;
        let (own, all) = (metrics.last().cloned().unwrap_or_default(), metrics.clone());
        let stats = Stats::new(&settings.stats, settings.channels.linger_ms);
        let (metrics, mailbox) = ((own, all), Arc::new(Mailbox::new(cores)));
        Ok(ZeroMqThread { sockets, ties: zeromq::Ties { end, metrics, stats, mailbox } })
    }

    fn run(self, tell: Sender<SupervisorEvent>) -> Result<zeromq::Running, ZeroMqError> {
        self.sockets.run(self.ties, move |error| {
            // Sending fails only while the server ends.
            let _ = tell.send(SupervisorEvent::ZeroMq(error));
        })
    }

    /// The backplane's end for `core`.
    fn core_end(&self, core: CoreId) -> Option<Box<dyn Backplane>> {
        self.ties.end.core_end(core, self.sockets.listens())
    }

    /// The mailbox for the cores' events, if the stats socket is on.
    fn mailbox(&self) -> Option<Arc<Mailbox>> {
        self.sockets.watches().then(|| self.ties.mailbox.clone())
    }
}

/// The plan of each core, and its queue for new settings.
fn plan(
    settings: &Arc<Config>,
    routes: &Arc<Routes>,
    sockets: Vec<Sockets>,
    wire: WireLimits,
    shared: &Shared<'_>,
    zeromq: Option<&ZeroMqThread>,
) -> Result<(Vec<CorePlan>, Vec<CoreCommands>), ServerError> {
    let cores = sockets.len();
    let mesh = MeshPlan::new(cores, settings.limits.mesh_messages);
    if let Some(error) = check_keys(settings, routes).into_iter().next() {
        return Err(error);
    }
    let queries = QueryPlan::new(cores);
    let dispatched = Arc::new(Dispatched::new(cores));
    let sockjs = Arc::<Sessions>::default();
    let machine = Machine::open(Path::new("/"), None).ok();
    let memory = machine.as_ref().and_then(doctor::memory_bytes);
    let ledger = Arc::new(Ledger::new(Instant::now()));
    let mut plans = (Vec::new(), Vec::new());
    for (index, sockets) in sockets.into_iter().enumerate() {
        let signers = signers(settings, routes)?;
        let commands = CoreCommands::default();
        plans.1.push(commands.clone());
        let id = CoreId(index as u16);
        plans.0.push(CorePlan {
            id,
            cores,
            start: Renewal { settings: settings.clone(), routes: routes.clone(), signers },
            commands,
            sockjs: sockjs.clone(),
            metrics: shared.metrics.clone(),
            readiness: shared.readiness.clone(),
            ask_to_drain: (shared.ask_to_drain)(),
            listeners: sockets.listeners,
            local_listeners: sockets.local_listeners,
            datagrams: sockets.datagrams,
            backplanes: zeromq.and_then(|zeromq| zeromq.core_end(id)).into_iter().collect(),
            mailbox: zeromq.and_then(ZeroMqThread::mailbox),
            mesh: mesh.clone(),
            dispatched: dispatched.clone(),
            queries: queries.clone(),
            wire,
            memory,
            ledger: ledger.clone(),
        });
    }
    Ok(plans)
}

fn watch_signals(tell: Sender<SupervisorEvent>) -> Result<(), ServerError> {
    let mut signals =
        signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP]).map_err(ServerError::Signals)?;
    // Nothing reads the flag. The handler is needed because an ignored signal would not interrupt a system call.
    signal_hook::flag::register(WAKING_SIGNAL as i32, Arc::default()).map_err(ServerError::Signals)?;
    std::thread::spawn(move || {
        for signal in signals.forever() {
            let event =
                if signal == SIGHUP { SupervisorEvent::Hangup } else { SupervisorEvent::Signal(signal) };
            if tell.send(event).is_err() {
                return;
            }
        }
    });
    Ok(())
}

fn start(plan: CorePlan, cpu: usize, tell: Sender<SupervisorEvent>) -> Result<(), ServerError> {
    let id = plan.id.0;
    let core = move || async move {
        let _ = tell.send(SupervisorEvent::Started(id, pthread_self()));
        let serving = || drop(tell.send(SupervisorEvent::Serving));
        let reason = match crate::core::run(plan, serving).await {
            Ok(()) => "its loop ended".to_owned(),
            Err(error) => error.to_string(),
        };
        let _ = tell.send(SupervisorEvent::Core(id, reason));
    };
    runtime::start(&format!("core-{id}"), Some(cpu), core)
        .map_err(|error| ServerError::Start(id, error.to_string()))
}

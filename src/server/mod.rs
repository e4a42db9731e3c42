//! Starts the cores: checks the kernel, binds the ports, and pins a thread for each core. The server ends after a drain
//! (`draining`, which moves from one part of the server's `life` to the next), at the first failure of a core, or when a
//! new process has replaced it (`upgrading`, by the sequence of `upgrade`). `sockets` binds the ports of the settings; `keys`
//! and `certificates` read the files that the settings name. While the cores run, `watch` notices changed files,
//! `supervisor` sends new settings and routes to the cores, `watchdog` reports cores whose loop is stuck, and `notifier`
//! tells the service manager how the server is.

mod certificates;
mod draining;
mod error;
mod keys;
mod life;
mod notifier;
mod sockets;
mod supervisor;
mod upgrade;
mod upgrading;
mod watch;
mod watchdog;

pub use certificates::check_certificates;
pub use error::ServerError;
pub use keys::check_keys;
pub use life::EndsAtOnce;
pub use notifier::Notifier;
pub use supervisor::Files;
pub use upgrade::{Launch, UpgradeError};

use crate::backplane::{Backplane, ThreadEnd};
use crate::channel::Dispatched;
use crate::config::Config;
use crate::context::{Phase, Readiness};
use crate::control::{AskToDrain, AskToUpgrade};
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
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR2};
use sockets::{Opened, Sockets};
use std::collections::VecDeque;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Instant;
use supervisor::{Supervisor, SupervisorEvent, paths};
use upgrade::{Belongings, Inheritance, NewCores, UpgradeDesk};
use watch::FileWatch;
use watchdog::{WAKING_SIGNAL, Watchdog};

/// Runs the server until it is drained, which SIGINT and SIGTERM begin, unless they end the server at once
/// (`ends_at_once`), or until a new process has replaced it, which SIGUSR2 begins. `files` are read again when one changes,
/// and at SIGHUP. If `launch` has a socket to an old process, this one replaces it.
///
/// # Errors
/// Why the server cannot start, or the failure of a core or of ZeroMQ's thread.
pub fn serve(
    settings: Config,
    routes: Arc<Routes>,
    files: &mut dyn Files,
    ends_at_once: EndsAtOnce,
    mut launch: Launch,
) -> Result<(), ServerError> {
    // First of all, before other descriptors are opened.
    let (inheritance, handed) = match launch.control.take() {
        None => (None, HandedSockets::take()?),
        Some(control) => {
            let (inheritance, sockets) = Inheritance::hear(control)?;
            let handed = HandedSockets::of_old_process(sockets, inheritance.files())?;
            (Some(inheritance), handed)
        }
    };
    let is_new = inheritance.is_some();
    let prepared = prepare(settings, routes, files, ends_at_once, launch, handed, is_new);
    let Prepared { mut supervisor, mut plans, cpus, silent } = prepared.inspect_err(|error| {
        if let Some(inheritance) = &inheritance {
            inheritance.refuse(error.to_string());
        }
    })?;
    let Some(inheritance) = inheritance else {
        start_all(plans, &cpus, &supervisor.tell)?;
        return supervisor.run();
    };
    let (cores, take_overs) = NewCores::new(plans.len());
    plans.iter_mut().zip(take_overs).for_each(|(plan, take_over)| plan.take_over = Some(take_over));
    start_all(plans, &cpus, &supervisor.tell)?;
    inheritance.prepared(&cores)?;
    inheritance.serve(&cores, &supervisor.commands, &silent)?;
    supervisor.socket_files.arm();
    if let Some(zeromq) = &supervisor.zeromq {
        zeromq.serve();
    }
    drop((inheritance, silent));
    supervisor.run()
}

/// A server whose cores are not started yet.
struct Prepared<'f> {
    supervisor: Supervisor<'f>,
    plans: Vec<CorePlan>,
    cpus: Vec<usize>,
    /// Listeners beside those of an old process, which do not listen yet.
    silent: Vec<TcpListener>,
}

/// Checks the kernel, opens the ports and does everything else that can fail. If `is_new`, this process replaces an old one,
/// which still has the addresses of the ZeroMQ sockets.
fn prepare(
    settings: Config,
    routes: Arc<Routes>,
    files: &mut dyn Files,
    ends_at_once: EndsAtOnce,
    launch: Launch,
    handed: HandedSockets,
    is_new: bool,
) -> Result<Prepared<'_>, ServerError> {
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
    let Opened { of_cores, files: socket_files, silent } =
        sockets::open(&settings, cores, certificates.as_ref(), handed)?;
    let copies = sockets::copies(&of_cores).map_err(ServerError::Descriptor)?;
    let zeromq = zeromq::Sockets::open(&settings, !is_new)?;
    let metrics: Arc<[Arc<Metrics>]> =
        (0..cores + usize::from(zeromq.is_some())).map(|_| Arc::default()).collect();
    let zeromq = zeromq.map(|sockets| ZeroMqThread::new(sockets, &settings, cores, &metrics)).transpose()?;
    let settings = Arc::new(settings);
    let readiness = Arc::<Readiness>::default();
    let shared = Shared { metrics: &metrics, readiness: &readiness, tell: &tell };
    let (plans, commands) = plan(&settings, &routes, of_cores, limits, &shared, zeromq.as_ref())?;
    let zeromq = zeromq.map(|thread| thread.run(tell.clone())).transpose()?.map(Arc::new);
    let metrics: Vec<_> = metrics.iter().take(cores).cloned().collect();
    let watchdog = Watchdog::new(metrics.clone(), Instant::now());
    let upgrades = UpgradeDesk::new(Belongings {
        launch,
        commands: commands.clone(),
        sockets: copies,
        files: socket_files.paths(),
        zeromq: zeromq.clone(),
    });
    let supervisor = Supervisor {
        settings,
        files,
        certificates,
        events,
        tell,
        commands,
        renewing: VecDeque::new(),
        reloads: 0,
        watch,
        due: None,
        watchdog,
        life: Life::Serving,
        ends_at_once,
        starting: cores,
        readiness,
        notifier: Notifier::from_environment(),
        socket_files,
        upgrades,
        ends_after_upgrade: false,
        zeromq,
        metrics,
    };
    Ok(Prepared { supervisor, plans, cpus, silent })
}

fn start_all(
    plans: Vec<CorePlan>,
    cpus: &[usize],
    tell: &Sender<SupervisorEvent>,
) -> Result<(), ServerError> {
    for plan in plans {
        let cpu = cpus.get(plan.id.index() % cpus.len().max(1)).copied().unwrap_or_default();
        start(plan, cpu, tell.clone())?;
    }
    Ok(())
}

/// What all cores have in common, beside the settings.
struct Shared<'s> {
    metrics: &'s Arc<[Arc<Metrics>]>,
    readiness: &'s Arc<Readiness>,
    /// Tells the main thread what the cores ask of it.
    tell: &'s Sender<SupervisorEvent>,
}

/// Asks the main thread for a drain. The server is not ready from then on, so that nobody who has the answer finds it ready.
fn drain_by(readiness: Arc<Readiness>, tell: Sender<SupervisorEvent>) -> AskToDrain {
    Box::new(move || {
        readiness.enter(Phase::Draining);
        // Nobody hears it if the server ends at this moment.
        drop(tell.send(SupervisorEvent::Drain));
    })
}

/// Asks the main thread for an upgrade.
fn upgrade_by(tell: Sender<SupervisorEvent>) -> AskToUpgrade {
    // If the server ends at this moment, so does the call.
    Box::new(move |reply| drop(tell.send(SupervisorEvent::Upgrade(Some(reply)))))
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
            ask_to_drain: drain_by(shared.readiness.clone(), shared.tell.clone()),
            ask_to_upgrade: upgrade_by(shared.tell.clone()),
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
            take_over: None,
        });
    }
    Ok(plans)
}

fn watch_signals(tell: Sender<SupervisorEvent>) -> Result<(), ServerError> {
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP, SIGUSR2])
        .map_err(ServerError::Signals)?;
    // Nothing reads the flag. The handler is needed because an ignored signal would not interrupt a system call.
    signal_hook::flag::register(WAKING_SIGNAL as i32, Arc::default()).map_err(ServerError::Signals)?;
    std::thread::spawn(move || {
        for signal in signals.forever() {
            let event = match signal {
                SIGHUP => SupervisorEvent::Hangup,
                SIGUSR2 => SupervisorEvent::Upgrade(None),
                signal => SupervisorEvent::Signal(signal),
            };
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

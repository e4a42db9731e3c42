//! Starts the cores: checks the kernel, binds the ports, pins a thread for each core, and ends with the first signal or
//! the first core that cannot go on. `sockets` binds what the settings ask for. Meanwhile `supervisor` has the cores
//! take over what changes in files, which `watch` notices, and `watchdog` looks for cores that do not move.

mod sockets;
mod supervisor;
mod watch;
mod watchdog;

pub use supervisor::Files;

use crate::backplane::{Backplane, ThreadEnd};
use crate::channel::Dispatched;
use crate::config::Config;
use crate::core::{CorePlan, Renewal};
use crate::doctor::{self, Machine};
use crate::held::Sessions;
use crate::ids::CoreId;
use crate::mesh::MeshPlan;
use crate::monitor::{Mailbox, Stats};
use crate::observe::Gauges;
use crate::origin::{Route, Routes, Signing, read_certificate};
use crate::proto::grip::signature::{Key, KeyError, Signer};
use crate::proto::grip::upstream::UpstreamKey;
use crate::queries::QueryPlan;
use crate::requests::Signers;
use crate::tls::{self, CertificateProblem, Certificates, NoTls};
use crate::wire::{self, BindError, Ledger, MissingFeature, RESERVED_SLOTS, SLOTS, WireLimits};
use crate::zeromq::{self, ZeroMqError};
use glommio::{LocalExecutorBuilder, Placement};
use nix::sys::pthread::pthread_self;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use sockets::Sockets;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Instant;
use supervisor::{Event, Supervisor, paths};
use watch::Watch;
use watchdog::{WAKING_SIGNAL, Watchdog};

/// The server could not start, or a core failed.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The kernel lacks something.
    #[error(transparent)]
    Kernel(#[from] MissingFeature),
    /// A port could not be had.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// There is no certificate for a port.
    #[error(transparent)]
    Tls(#[from] NoTls),
    /// A socket of ZeroMQ could not be had, or waited for.
    #[error(transparent)]
    ZeroMq(#[from] ZeroMqError),
    /// A socket cannot be shared by the cores.
    #[error("a socket cannot be shared by the cores: {0}")]
    Descriptor(io::Error),
    /// The signing key cannot be read.
    #[error("sig_key{of_route}: {source}")]
    Key {
        /// Which route's, if not the default one.
        of_route: String,
        /// What is wrong with it.
        source: KeyError,
    },
    /// The key of other proxies cannot be read.
    #[error("upstream_key: {0}")]
    UpstreamKey(KeyError),
    /// The certificate of a target cannot be read.
    #[error("client_cert and client_key of route {route}: {source}")]
    Certificate {
        /// Whose.
        route: String,
        /// What is wrong, and with which file.
        source: io::Error,
    },
    /// Signals cannot be received.
    #[error("signals cannot be received: {0}")]
    Signals(io::Error),
    /// The system does not say which CPUs this process may use.
    #[error("the CPUs of this process are unknown; set `cores`")]
    NoCpus,
    /// A core could not be started.
    #[error("core {0} could not be started: {1}")]
    Start(u16, String),
    /// A core ended.
    #[error("core {0} cannot go on: {1}")]
    Core(u16, String),
}

/// Runs the server until SIGINT or SIGTERM. `files` are read again when one changes, and at SIGHUP.
pub fn serve(settings: Config, routes: Arc<Routes>, files: &mut dyn Files) -> Result<(), ServerError> {
    let cpus: Vec<usize> =
        core_affinity::get_core_ids().unwrap_or_default().into_iter().map(|core| core.id).collect();
    let cores = settings.cores.unwrap_or(cpus.len()).max(1);
    if cpus.is_empty() {
        return Err(ServerError::NoCpus);
    }
    // Before anyone can see that the server runs, and rely on it.
    let (tell, events) = channel();
    watch_signals(tell.clone())?;
    let certificates = certificates(&settings);
    let watch = watch_files(tell.clone(), paths(files, certificates.as_deref()));
    let limits = wire_limits(&settings, wire::raise_file_limit(cores)?);
    wire::check_kernel(limits.connections)?;
    // The files of sockets are removed when this returns.
    let (sockets, _files) = sockets::open(&settings, cores, certificates.as_ref())?;
    let zeromq = zeromq::Sockets::open(&settings)?;
    let gauges: Arc<[Arc<Gauges>]> =
        (0..cores + usize::from(zeromq.is_some())).map(|_| Arc::default()).collect();
    let zeromq = zeromq.map(|sockets| ZeroMqThread::new(sockets, &settings, cores, &gauges)).transpose()?;
    let settings = Arc::new(settings);
    let (mut plans, renewals) = plan(&settings, &routes, sockets, limits, &gauges, zeromq.as_ref())?;
    // It ends when this returns.
    let _zeromq = zeromq.map(|thread| thread.run(tell.clone())).transpose()?;
    for plan in plans.drain(..) {
        let cpu = cpus.get(plan.id.index() % cpus.len()).copied().unwrap_or_default();
        start(plan, cpu, tell.clone())?;
    }
    let gauges = gauges.iter().take(cores).cloned().collect();
    let watchdog = Watchdog::new(gauges, Instant::now());
    Supervisor { settings, files, certificates, events, renewals, watch, due: None, watchdog }.run()
}

/// Those that clients by TLS are shown, if there may be any; what cannot be used is logged.
fn certificates(settings: &Config) -> Option<Arc<Certificates>> {
    let (certificates, problems) = read_certificates(settings)?;
    tell_of(&problems);
    Some(Arc::new(certificates))
}

fn read_certificates(settings: &Config) -> Option<(Certificates, Vec<CertificateProblem>)> {
    (!settings.http.tls_listen.is_empty()).then(|| Certificates::read(&settings.http.certificates))
}

fn tell_of(problems: &[CertificateProblem]) {
    problems.iter().for_each(|problem| tracing::error!("certificate left out: {problem}"));
}

/// Everything wrong with the certificates that clients by TLS are to be shown: files, and ports that have none.
pub fn check_certificates(settings: &Config) -> Vec<String> {
    let Some((certificates, problems)) = read_certificates(settings) else { return Vec::new() };
    let missing = tls::offers(&Arc::new(certificates), &ports(settings)).err();
    let problems = problems.iter().map(ToString::to_string);
    problems.chain(missing.map(|missing| missing.to_string())).collect()
}

fn ports(settings: &Config) -> Vec<u16> {
    settings.http.tls_listen.iter().map(SocketAddr::port).collect()
}

fn watch_files(tell: Sender<Event>, paths: Vec<PathBuf>) -> Option<Watch> {
    let watch = Watch::new(move || tell.send(Event::Touched).is_ok());
    let watch = watch
        .inspect_err(|error| tracing::warn!(%error, "changes of files will not be noticed; send SIGHUP"));
    let mut watch = watch.ok()?;
    watch.look_at(paths);
    Some(watch)
}

fn wire_limits(settings: &Config, files: u64) -> WireLimits {
    let clients = u32::try_from(settings.limits.connections_per_core).unwrap_or(u32::MAX);
    let files = u32::try_from(files).unwrap_or(u32::MAX);
    // What is reserved comes on top, where the system allows that.
    let connections = clients.saturating_add(RESERVED_SLOTS).min(SLOTS.max(clients)).min(files).max(1);
    WireLimits {
        connections,
        reserved: RESERVED_SLOTS.min(connections.saturating_sub(clients).max(connections / 8)),
        backlog_bytes: settings.limits.backlog_bytes,
        backlog_bytes_total: settings.limits.backlog_bytes_per_core,
    }
}

/// The thread of ZeroMQ before it runs, and what ties it to the cores.
struct ZeroMqThread {
    sockets: zeromq::Sockets,
    ties: zeromq::Ties,
}

impl ZeroMqThread {
    /// Between `sockets` and `cores` cores; the last of `gauges` are the thread's.
    fn new(
        sockets: zeromq::Sockets,
        settings: &Config,
        cores: usize,
        gauges: &Arc<[Arc<Gauges>]>,
    ) -> Result<ZeroMqThread, ServerError> {
        let end = ThreadEnd::new(cores).map_err(ServerError::Descriptor)?;
        let (own, all) = (gauges.last().cloned().unwrap_or_default(), gauges.clone());
        let stats = Stats::new(&settings.stats, settings.channels.linger_ms);
        let (gauges, mailbox) = ((own, all), Arc::new(Mailbox::new(cores)));
        Ok(ZeroMqThread { sockets, ties: zeromq::Ties { end, gauges, stats, mailbox } })
    }

    fn run(self, tell: Sender<Event>) -> Result<zeromq::Running, ZeroMqError> {
        self.sockets.run(self.ties, move |error| {
            // Nobody hears it if the server ends at this moment.
            let _ = tell.send(Event::ZeroMq(error));
        })
    }

    /// The end of `core`.
    fn core_end(&self, core: CoreId) -> Option<Box<dyn Backplane>> {
        self.ties.end.core_end(core, self.sockets.listens())
    }

    /// Where the cores put what they observe, if anyone wants to know.
    fn mailbox(&self) -> Option<Arc<Mailbox>> {
        self.sockets.watches().then(|| self.ties.mailbox.clone())
    }
}

/// What each core starts with, and how it is told of what changes.
fn plan(
    settings: &Arc<Config>,
    routes: &Arc<Routes>,
    sockets: Vec<Sockets>,
    wire: WireLimits,
    gauges: &Arc<[Arc<Gauges>]>,
    zeromq: Option<&ZeroMqThread>,
) -> Result<(Vec<CorePlan>, Vec<Sender<Renewal>>), ServerError> {
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
        let (renew, renewals) = channel();
        plans.1.push(renew);
        let id = CoreId(index as u16);
        plans.0.push(CorePlan {
            id,
            cores,
            start: Renewal { settings: settings.clone(), routes: routes.clone(), signers },
            renewals,
            sockjs: sockjs.clone(),
            gauges: gauges.clone(),
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

/// Everything wrong with the keys and certificates that the settings and the routes name. Nothing is started with any.
pub fn check_keys(settings: &Config, routes: &Routes) -> Vec<ServerError> {
    let of_routes = routes.iter().map(|route| {
        let Signing { iss, key } = &*route.signing;
        key.as_ref().and_then(|key| signer(settings, iss.as_deref(), Some(key), &route.id).err())
    });
    let of_targets = routes.iter().flat_map(|route| {
        let certificates = route.targets.iter().filter_map(|target| target.client_certificate.as_ref());
        certificates.filter_map(|certificate| {
            let source = read_certificate(certificate).err()?;
            Some(ServerError::Certificate { route: route.id.clone(), source })
        })
    });
    let own = [signer(settings, None, None, "").err(), upstream_key(settings).err()];
    own.into_iter().flatten().chain(of_routes.flatten()).chain(of_targets).collect()
}

fn upstream_key(settings: &Config) -> Result<Option<UpstreamKey>, ServerError> {
    UpstreamKey::parse(&settings.proxy.upstream_key, Path::new(".")).map_err(ServerError::UpstreamKey)
}

fn signers(settings: &Config, routes: &Routes) -> Result<Signers, ServerError> {
    let own = routes.iter().filter(|route| route.signing.key.is_some() || route.signing.iss.is_some());
    let of_route = |route: &Arc<Route>| {
        let signing = &route.signing;
        let signer = signer(settings, signing.iss.as_deref(), signing.key.as_deref(), &route.id)?;
        Ok((signing.clone(), signer))
    };
    let by_route = own.map(of_route).collect::<Result<_, ServerError>>()?;
    Ok(Signers {
        default: signer(settings, None, None, "")?,
        by_route,
        upstream_key: upstream_key(settings)?,
    })
}

fn signer(
    settings: &Config,
    iss: Option<&str>,
    key: Option<&str>,
    route: &str,
) -> Result<Option<Signer>, ServerError> {
    let text = key.unwrap_or(&settings.proxy.sig_key);
    let key = Key::parse(text, Path::new(".")).map_err(|source| {
        let of_route = if route.is_empty() { String::new() } else { format!(" of route {route}") };
        ServerError::Key { of_route, source }
    })?;
    Ok(key.map(|key| Signer::new(iss.unwrap_or(&settings.proxy.sig_iss), &key)))
}

fn watch_signals(tell: Sender<Event>) -> Result<(), ServerError> {
    let mut signals =
        signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP]).map_err(ServerError::Signals)?;
    // The flag is for nobody: with a handler the signal is not ignored.
    signal_hook::flag::register(WAKING_SIGNAL as i32, Arc::default()).map_err(ServerError::Signals)?;
    std::thread::spawn(move || {
        for signal in signals.forever() {
            let event = if signal == SIGHUP { Event::Hangup } else { Event::Signal(signal) };
            if tell.send(event).is_err() {
                return;
            }
        }
    });
    Ok(())
}

fn start(plan: CorePlan, cpu: usize, tell: Sender<Event>) -> Result<(), ServerError> {
    let id = plan.id.0;
    LocalExecutorBuilder::new(Placement::Fixed(cpu))
        .name(&format!("core-{id}"))
        .spawn(move || async move {
            let _ = tell.send(Event::Started(id, pthread_self()));
            let reason = match crate::core::run(plan).await {
                Ok(()) => "it ended".to_owned(),
                Err(error) => error.to_string(),
            };
            let _ = tell.send(Event::Core(id, reason));
        })
        .map(drop)
        .map_err(|error| ServerError::Start(id, error.to_string()))
}

//! The cores of a simulated server, as `gripwire::server` starts them on real ones.

use gripwire::backplane::Backplane;
use gripwire::channel::Dispatched;
use gripwire::clients::{Port, Service};
use gripwire::config::Config;
use gripwire::context::Readiness;
use gripwire::core::{self, CoreCommand, CoreCommands, CorePlan, Renewal};
use gripwire::ids::CoreId;
use gripwire::mesh::MeshPlan;
use gripwire::observe::Metrics;
use gripwire::origin::Routes;
use gripwire::queries::QueryPlan;
use gripwire::requests::Signers;
use gripwire::runtime;
use gripwire::simulation::{self, Host, Simulation};
use gripwire::wire::{Ledger, PortUse, Preface, WireLimits};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Where clients and publishers connect. Nobody else has a network here, so these are no real ports.
pub const CLIENTS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 7999);
pub const CONTROL: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 5561);

/// Most clients of a core: few, so that slots are used again and again.
const CONNECTIONS: u32 = 64;

/// Levels that are 0 when everyone has gone.
const LEVELS: [&str; 9] = [
    "connections",
    "client_requests",
    "channels",
    "subscriptions",
    "homes",
    "backlog_bytes",
    "booked_bytes",
    "pending_publications",
    "refetches_waiting",
];

/// One of several servers in a world, by its number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Node(pub u8);

impl Node {
    /// Where its clients connect.
    pub fn clients(self) -> SocketAddr {
        self.moved(CLIENTS)
    }

    /// Where its publishers connect.
    pub fn control(self) -> SocketAddr {
        self.moved(CONTROL)
    }

    fn moved(self, address: SocketAddr) -> SocketAddr {
        SocketAddr::new(address.ip(), address.port() + 10 * u16::from(self.0))
    }

    fn host(self, core: usize) -> Host {
        Host::of(self.0, core as u8)
    }
}

/// A server.
#[derive(Clone)]
pub struct Cluster {
    metrics: Arc<[Arc<Metrics>]>,
    ledger: Arc<Ledger>,
    commands: Vec<CoreCommands>,
}

impl Cluster {
    /// Starts so many cores.
    pub fn start(simulation: &Simulation, cores: usize, settings: Config, routes: &str) -> Cluster {
        Cluster::start_node(simulation, Node(0), cores, settings, routes, Vec::new)
    }

    /// Starts so many cores of `node`, each with what `backplanes` gives it.
    pub fn start_node(
        simulation: &Simulation,
        node: Node,
        cores: usize,
        settings: Config,
        routes: &str,
        mut backplanes: impl FnMut() -> Vec<Box<dyn Backplane>>,
    ) -> Cluster {
        let (routes, problems) = Routes::parse(routes, "routes");
        assert!(problems.is_empty(), "{problems:?}");
        let (settings, routes) = (Arc::new(settings), Arc::new(routes));
        let metrics: Arc<[Arc<Metrics>]> = (0..cores).map(|_| Arc::default()).collect();
        let mesh = MeshPlan::new(cores, settings.limits.mesh_messages);
        let (queries, sockjs) = (QueryPlan::new(cores), Arc::default());
        let dispatched = Arc::new(Dispatched::new(cores));
        let ledger = Arc::new(Ledger::new(runtime::now()));
        let commands: Vec<CoreCommands> = (0..cores).map(|_| CoreCommands::default()).collect();
        for (core, of_core) in commands.iter().enumerate() {
            let signers = Signers { default: None, by_route: Vec::new(), upstream_key: None };
            let plan = CorePlan {
                id: CoreId(core as u16),
                cores,
                start: Renewal { settings: settings.clone(), routes: routes.clone(), signers },
                commands: of_core.clone(),
                metrics: metrics.clone(),
                listeners: [
                    (node.clients(), Service::Clients(Port::Plain)),
                    (node.control(), Service::Control),
                ]
                .map(|(address, service)| {
                    let listener = simulation::listen(address).socket().expect("a descriptor");
                    let preface = Preface { port_use: service.port_use(), ..Preface::default() };
                    ((listener, preface), service)
                })
                .into(),
                local_listeners: Vec::new(),
                datagrams: Vec::new(),
                backplanes: backplanes(),
                mailbox: None,
                mesh: mesh.clone(),
                dispatched: dispatched.clone(),
                queries: queries.clone(),
                wire: WireLimits {
                    connections: CONNECTIONS,
                    reserved: CONNECTIONS / 8,
                    backlog_bytes: settings.limits.backlog_bytes,
                    backlog_bytes_total: settings.limits.backlog_bytes_per_core,
                },
                memory: None,
                sockjs: Arc::clone(&sockjs),
                ledger: ledger.clone(),
                take_over: None,
                readiness: Arc::<Readiness>::default(),
                ask_to_drain: Box::new(|| {}),
                ask_to_upgrade: Box::new(|_| {}),
            };
            let running = async move {
                let outcome = core::run(plan, || {}).await;
                panic!("core {core} ended: {outcome:?}");
            };
            simulation.world().spawn_on(node.host(core), running).detach();
        }
        Cluster { metrics, ledger, commands }
    }

    /// A counter or level, over all cores.
    pub fn sum(&self, name: &str) -> u64 {
        let sums = Metrics::sums(&self.metrics);
        sums.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("no gauge {name}")).1
    }

    /// Has all cores drain the connections of `port_use`, and waits until they have.
    pub async fn drain(&self, port_use: PortUse) {
        let drained = Arc::new(AtomicUsize::new(0));
        for core in &self.commands {
            let drained = drained.clone();
            core.send(CoreCommand::Drain(port_use), move |_| _ = drained.fetch_add(1, Ordering::Relaxed));
        }
        while drained.load(Ordering::Relaxed) < self.commands.len() {
            runtime::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until the server has nothing left of its clients.
    pub async fn emptied(&self) {
        let levels = || LEVELS.map(|name| (name, self.sum(name)));
        for _ in 0..400 {
            if levels().iter().all(|(_, level)| *level == 0) {
                return assert_eq!(self.ledger.connections(), 0, "connections of addresses");
            }
            runtime::sleep(Duration::from_secs(1)).await;
        }
        panic!("left over: {:?}", levels().iter().filter(|(_, level)| *level > 0).collect::<Vec<_>>());
    }
}

//! A server that holds its clients, and a server to which all clients connect at once.

use super::sample::Sample;
use super::scenario::{Load, Scenario};
use crate::process::{CLIENT_CPU, beside_this_program};
use crate::servers::{Running, Server};
use anyhow::{Context, bail, ensure};
use gripwire_loadgen::{
    Fleet, FleetError, FleetPlan, Layout, Opening, PublishPlan, Published, Publisher, ServerWatch, Target,
    Via, Workers, now_ns,
};
use std::net::SocketAddrV4;
use std::time::Duration;

/// A server with a scenario's clients. The clients are dropped before the server.
pub struct Held {
    fleet: Fleet,
    publisher: Publisher,
    watch: ServerWatch,
    /// The total that clients have received or will receive: bytes, if clients discard input, or else messages.
    awaited: u64,
    resident_bytes: f64,
    opening_cpu_ns: f64,
    opened_hz: f64,
    _few: Fleet,
    running: Running,
}

impl Held {
    /// Starts the server and opens the clients.
    pub fn open(scenario: &Scenario, server: &Server) -> anyhow::Result<Held> {
        let running = server.start(scenario.subscribers)?;
        let few = open_few(scenario, &running)?;
        let watch = ServerWatch::new(&running.family())?;
        let before = watch.cost();
        let plan = fleet_plan(scenario, running.target.clone(), vec![running.clients])?;
        let (fleet, opening) = open_all(&plan)?;
        let (after, clients) = (watch.cost(), f64::from(opening.open));
        Ok(Held {
            resident_bytes: after.data_bytes.saturating_sub(before.data_bytes) as f64 / clients,
            opening_cpu_ns: after.cpu_ns.saturating_sub(before.cpu_ns) as f64 / clients,
            opened_hz: clients / opening.seconds,
            publisher: Publisher::connect(publish_plan(scenario, &running))?,
            awaited: 0,
            fleet,
            watch,
            _few: few,
            running,
        })
    }

    /// Runs rounds until one is complete. Pushpin's subscriptions come into force some time after their clients were
    /// answered.
    pub fn warm(&mut self, scenario: &Scenario) -> anyhow::Result<()> {
        for _ in 0..WARMING_ROUNDS {
            let published = self.publish(scenario)?;
            let outcome = self.await_deliveries(scenario, &published, WARMING_PATIENCE);
            self.fleet.collect(&published.channels)?;
            match outcome {
                Err(FleetError::Late { came, .. }) => self.awaited = came,
                outcome => return Ok(outcome?),
            }
        }
        bail!("messages do not reach all clients")
    }

    /// Runs one round.
    pub fn round(&mut self, scenario: &Scenario) -> anyhow::Result<Sample> {
        let (before, started_ns) = (self.watch.cost(), now_ns());
        let published = self.publish(scenario)?;
        self.await_deliveries(scenario, &published, PATIENCE)?;
        let seconds = now_ns().saturating_sub(started_ns) as f64 / 1e9;
        let cpu_ns = self.watch.cost().cpu_ns.saturating_sub(before.cpu_ns) as f64;
        let deliveries = (published.messages * self.listeners(scenario)) as f64;
        let mut sample = Sample {
            cpu_ns: Some(cpu_ns / deliveries),
            deliveries_hz: Some(deliveries / seconds),
            resident_bytes: Some(self.resident_bytes),
            opening_cpu_ns: Some(self.opening_cpu_ns),
            opened_hz: Some(self.opened_hz),
            ..Sample::default()
        };
        if !scenario.drains() {
            let deliveries = self.fleet.collect(&published.channels)?;
            let latency = |percent| Some(deliveries.latencies.percentile_ns(percent) as f64);
            (sample.p50_ns, sample.p99_ns) = (latency(50.0), latency(99.0));
            sample.max_ns = Some(deliveries.latencies.max_ns() as f64);
            sample.failures = deliveries.lost + deliveries.duplicates + deliveries.out_of_order;
        }
        if scenario.stall_percent == 0 {
            sample.failures += u64::from(self.fleet.standing().closed);
        }
        Ok(sample)
    }

    fn publish(&mut self, scenario: &Scenario) -> anyhow::Result<Published> {
        let published = self.publisher.run()?;
        let each = if scenario.drains() { scenario.wire_bytes(&self.running.target) as u64 } else { 1 };
        self.awaited += published.messages * self.listeners(scenario) * each;
        Ok(published)
    }

    fn await_deliveries(
        &mut self,
        scenario: &Scenario,
        published: &Published,
        patience: Duration,
    ) -> Result<(), FleetError> {
        debug_assert!(published.messages > 0);
        match scenario.drains() {
            true => self.fleet.wait_bytes(self.awaited, patience),
            false => self.fleet.wait_messages(self.awaited, patience),
        }
    }

    /// Number of clients that get each message.
    fn listeners(&self, scenario: &Scenario) -> u64 {
        match scenario.layout {
            Layout::One => {
                let stalled = scenario.subscribers * scenario.stall_percent / 100;
                u64::from(self.fleet.standing().open.saturating_sub(stalled))
            }
            _ => 1,
        }
    }
}

/// Starts a server and connects all clients at once.
pub fn storm(scenario: &Scenario, server: &Server) -> anyhow::Result<Sample> {
    let running = server.start(scenario.subscribers)?;
    let mut plan = fleet_plan(scenario, running.target.clone(), vec![running.clients])?;
    plan.window = scenario.subscribers;
    let watch = ServerWatch::new(&running.family())?;
    let before = watch.cost();
    let (_fleet, opening) = Fleet::open(&plan)?;
    let (after, clients) = (watch.cost(), f64::from(opening.open));
    Ok(Sample {
        opening_cpu_ns: Some(after.cpu_ns.saturating_sub(before.cpu_ns) as f64 / clients),
        opened_hz: Some(clients / opening.seconds),
        failures: u64::from(opening.failed),
        ..Sample::default()
    })
}

/// Opens a few clients, which take the memory that is allocated once for all clients. They stay connected, because their
/// end would be work for the server.
fn open_few(scenario: &Scenario, running: &Running) -> anyhow::Result<Fleet> {
    let mut plan = FleetPlan::new(running.target.clone(), scenario.transport, FEW, running.clients);
    (plan.prefix, plan.window) = ("few-".into(), WINDOW);
    Ok(open_all(&plan)?.0)
}

/// Opens all clients of `plan`. It is an error if one fails.
pub fn open_all(plan: &FleetPlan) -> anyhow::Result<(Fleet, Opening)> {
    let (fleet, opening) = Fleet::open(plan)?;
    let why = opening.failure.as_deref().unwrap_or_default();
    ensure!(
        opening.failed == 0,
        "{} of {} clients could not be opened: {why}",
        opening.failed,
        plan.subscribers
    );
    Ok((fleet, opening))
}

/// The clients of a scenario.
pub fn fleet_plan(
    scenario: &Scenario,
    target: Target,
    destinations: Vec<SocketAddrV4>,
) -> anyhow::Result<FleetPlan> {
    let first = *destinations.first().context("the server has no address for clients")?;
    Ok(FleetPlan {
        layout: scenario.layout,
        destinations,
        workers: Workers::Processes(beside_this_program("gripwire-loadgen")?),
        drain: scenario.drains(),
        stall_percent: scenario.stall_percent,
        window: if target == Target::Pushpin { PUSHPIN_WINDOW } else { WINDOW },
        cpus: vec![CLIENT_CPU],
        ..FleetPlan::new(target, scenario.transport, scenario.subscribers, first)
    })
}

fn publish_plan(scenario: &Scenario, running: &Running) -> PublishPlan {
    let (messages, batch, rate_hz, duration) = match scenario.load {
        Load::Messages { messages, batch } => (Some(messages), batch, 0.0, None),
        Load::Continuous(duration) => (None, 1, 0.0, Some(duration)),
        Load::Paced { messages, rate_hz } => (Some(messages), 1, rate_hz, None),
        Load::Storm => (Some(0), 1, 0.0, None),
    };
    PublishPlan {
        target: running.target.clone(),
        address: running.publish.into(),
        via: Via::Http,
        connections: 1,
        calls_in_flight: None,
        prefix: "load-".into(),
        channels: scenario.layout.channels(scenario.subscribers),
        mix: scenario.transport.into(),
        size_bytes: scenario.bytes,
        // Only GRIP calls can have several messages.
        batch: if running.target == Target::Nchan { 1 } else { batch },
        rate_hz,
        messages,
        outlives_server: false,
        duration,
    }
}

const FEW: u32 = 500;
/// Most connections that are being opened at the same time, except in a storm. With more, Pushpin loses some between its
/// processes.
/// Most time for a round.
pub const PATIENCE: Duration = Duration::from_secs(60);
const WINDOW: u32 = 64;
const PUSHPIN_WINDOW: u32 = 8;
const WARMING_ROUNDS: u32 = 3;
const WARMING_PATIENCE: Duration = Duration::from_secs(10);

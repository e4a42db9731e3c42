//! A server with its clients open, and what one round of a scenario costs it.

use super::scenario::{Load, Scenario};
use crate::process::{CLIENT_CPU, beside_this_program};
use crate::servers::{Floor, Running, Server};
use anyhow::{Context, ensure};
use gripwire_loadgen::{
    Fleet, FleetPlan, Layout, Opening, PublishPlan, Publisher, ServerWatch, Target, Via, Workers, now_ns,
};
use std::net::SocketAddrV4;
use std::time::Duration;

/// A server under a scenario's clients. They are gone before it is.
pub enum Stand {
    Floor {
        fleet: Fleet,
        floor: Floor,
        sent_bytes: u64,
    },
    Server {
        fleet: Fleet,
        publisher: Publisher,
        watch: ServerWatch,
        held: Held,
        awaited: u64,
        _running: Running,
    },
}

/// What was seen when the clients had been opened.
#[derive(Clone, Copy)]
pub struct Held {
    resident_bytes: f64,
    opened_hz: f64,
}

/// What a round found; what does not apply is absent.
#[derive(Clone, Default)]
pub struct Sample {
    /// CPU of the server for a delivery.
    pub cpu_ns: Option<f64>,
    pub deliveries_hz: Option<f64>,
    pub p50_ns: Option<f64>,
    pub p99_ns: Option<f64>,
    pub max_ns: Option<f64>,
    /// User memory of the server for a held connection.
    pub resident_bytes: Option<f64>,
    pub opened_hz: Option<f64>,
    /// Deliveries that were lost, doubled or out of order, and clients that were refused or ended.
    pub failures: u64,
}

impl Stand {
    /// Starts the server and opens the clients.
    pub fn open(scenario: &Scenario, server: Server) -> anyhow::Result<Stand> {
        eprintln!("{}: {} opens {} clients", scenario.name, server.name(), scenario.subscribers);
        if server == Server::Floor {
            let mut floor = Floor::start(scenario.subscribers)?;
            let mut plan = fleet_plan(scenario, Target::Silent, floor.addresses.clone())?;
            plan.drain = true;
            let (fleet, _) = open_all(&plan)?;
            floor.await_connections(scenario.subscribers)?;
            return Ok(Stand::Floor { fleet, floor, sent_bytes: 0 });
        }
        let running = server.start(scenario.subscribers)?;
        warm(&running)?;
        let watch = ServerWatch::new(&running.family())?;
        let before = watch.cost();
        let (fleet, opening) =
            open_all(&fleet_plan(scenario, running.target.clone(), vec![running.clients])?)?;
        let grown = watch.cost().resident_bytes.saturating_sub(before.resident_bytes);
        let held = Held {
            resident_bytes: grown as f64 / f64::from(opening.open),
            opened_hz: f64::from(opening.open) / opening.seconds,
        };
        let publisher = Publisher::connect(publish_plan(scenario, &running))?;
        Ok(Stand::Server { fleet, publisher, watch, held, awaited: 0, _running: running })
    }

    /// One round.
    pub fn round(&mut self, scenario: &Scenario) -> anyhow::Result<Sample> {
        match self {
            Stand::Floor { fleet, floor, sent_bytes } => floor_round(scenario, fleet, floor, sent_bytes),
            Stand::Server { fleet, publisher, watch, held, awaited, _running } => {
                let drains = scenario.drains().then(|| scenario.wire_bytes(&_running.target) as u64);
                let listeners = listeners(scenario, fleet);
                let (before, started_ns) = (watch.cost(), now_ns());
                let published = publisher.run()?;
                let deliveries = published.messages * listeners;
                *awaited += deliveries;
                match drains {
                    Some(wire_bytes) => fleet.wait_bytes(*awaited * wire_bytes, PATIENCE)?,
                    None => fleet.wait_messages(*awaited, PATIENCE)?,
                }
                let seconds = now_ns().saturating_sub(started_ns) as f64 / 1e9;
                let cpu_ns = watch.cost().cpu_ns.saturating_sub(before.cpu_ns) as f64;
                let mut sample = Sample {
                    cpu_ns: Some(cpu_ns / deliveries as f64),
                    deliveries_hz: Some(deliveries as f64 / seconds),
                    resident_bytes: Some(held.resident_bytes),
                    opened_hz: Some(held.opened_hz),
                    ..Sample::default()
                };
                if drains.is_none() {
                    let tally = fleet.collect(&published.channels)?;
                    let latency = |percent| Some(tally.latencies.percentile_ns(percent) as f64);
                    (sample.p50_ns, sample.p99_ns) = (latency(50.0), latency(99.0));
                    sample.max_ns = Some(tally.latencies.max_ns() as f64);
                    sample.failures = tally.lost + tally.duplicates + tally.out_of_order;
                }
                if scenario.stall_percent == 0 {
                    sample.failures += u64::from(fleet.standing().closed);
                }
                Ok(sample)
            }
        }
    }
}

fn floor_round(
    scenario: &Scenario,
    fleet: &mut Fleet,
    floor: &mut Floor,
    sent_bytes: &mut u64,
) -> anyhow::Result<Sample> {
    let (messages, wire_bytes) = (scenario.floor_messages(), scenario.wire_bytes(&Target::Silent));
    let started_ns = now_ns();
    let cpu_ns = floor.send(messages, wire_bytes)?;
    let deliveries = messages * u64::from(scenario.subscribers);
    *sent_bytes += deliveries * wire_bytes as u64;
    fleet.wait_bytes(*sent_bytes, PATIENCE)?;
    let seconds = now_ns().saturating_sub(started_ns) as f64 / 1e9;
    Ok(Sample {
        cpu_ns: Some(cpu_ns as f64 / deliveries as f64),
        deliveries_hz: Some(deliveries as f64 / seconds),
        ..Sample::default()
    })
}

/// All connect at once to a server that was just started.
pub fn storm(scenario: &Scenario, server: Server) -> anyhow::Result<Sample> {
    let running = server.start(scenario.subscribers)?;
    let mut plan = fleet_plan(scenario, running.target.clone(), vec![running.clients])?;
    plan.window = scenario.subscribers;
    let (_, opening) = Fleet::open(&plan)?;
    Ok(Sample {
        opened_hz: Some(f64::from(opening.open) / opening.seconds),
        failures: u64::from(opening.failed),
        ..Sample::default()
    })
}

/// The first few clients pay for what is allocated once.
fn warm(running: &Running) -> anyhow::Result<()> {
    let transport = gripwire_loadgen::Transport::Sse;
    let mut plan = FleetPlan::new(running.target.clone(), transport, WARMING, running.clients);
    plan.prefix = "warm-".into();
    plan.window = WINDOW;
    Fleet::open(&plan)?;
    Ok(())
}

fn open_all(plan: &FleetPlan) -> anyhow::Result<(Fleet, Opening)> {
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

fn fleet_plan(
    scenario: &Scenario,
    target: Target,
    destinations: Vec<SocketAddrV4>,
) -> anyhow::Result<FleetPlan> {
    let first = *destinations.first().context("nowhere to connect to")?;
    Ok(FleetPlan {
        layout: scenario.layout,
        destinations,
        workers: Workers::Processes(beside_this_program("gripwire-loadgen")?),
        drain: scenario.drains(),
        stall_percent: scenario.stall_percent,
        window: WINDOW,
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
        // Only GRIP has calls with several messages.
        batch: if running.target == Target::Nchan { 1 } else { batch },
        rate_hz,
        messages,
        duration,
    }
}

/// Who gets each message.
fn listeners(scenario: &Scenario, fleet: &Fleet) -> u64 {
    match scenario.layout {
        Layout::One => {
            let stalled = u64::from(scenario.subscribers * scenario.stall_percent / 100);
            u64::from(fleet.standing().open) - stalled
        }
        _ => 1,
    }
}

const PATIENCE: Duration = Duration::from_secs(120);
const WARMING: u32 = 500;
/// Connections being opened at a time, outside of a storm: Pushpin refuses some of more.
const WINDOW: u32 = 64;

//! A server, or the floor, with open clients. It measures one round of a scenario at a time.

use super::held::{Held, PATIENCE, fleet_plan, open_all, storm};
use super::sample::Sample;
use super::scenario::{Load, Scenario};
use crate::servers::{Floor, Server};
use gripwire_loadgen::{Fleet, Target, now_ns};

/// A server, or the floor, that gives one sample per round.
pub enum Stand {
    Floor(Box<FloorStand>),
    Server(Box<Held>),
    /// A server that is started again for each round.
    Storm(Server),
}

/// The floor with its clients.
pub struct FloorStand {
    fleet: Fleet,
    floor: Floor,
    sent_bytes: u64,
}

impl Stand {
    /// Starts the server, opens the clients, and runs one round to warm up caches.
    pub fn open(scenario: &Scenario, server: &Server) -> anyhow::Result<Stand> {
        if matches!(scenario.load, Load::Storm) {
            return Ok(Stand::Storm(server.clone()));
        }
        if *server == Server::Floor {
            let mut stand = FloorStand::open(scenario)?;
            stand.round(scenario)?;
            return Ok(Stand::Floor(Box::new(stand)));
        }
        let mut held = Held::open(scenario, server)?;
        held.warm(scenario)?;
        Ok(Stand::Server(Box::new(held)))
    }

    /// Runs one round.
    pub fn round(&mut self, scenario: &Scenario) -> anyhow::Result<Sample> {
        match self {
            Stand::Floor(stand) => stand.round(scenario),
            Stand::Server(held) => held.round(scenario),
            Stand::Storm(server) => storm(scenario, server),
        }
    }
}

impl FloorStand {
    fn open(scenario: &Scenario) -> anyhow::Result<FloorStand> {
        let mut floor = Floor::start(scenario.subscribers)?;
        let mut plan = fleet_plan(scenario, Target::Silent, floor.addresses.clone())?;
        plan.drain = true;
        let (fleet, _) = open_all(&plan)?;
        floor.await_connections(scenario.subscribers)?;
        Ok(FloorStand { fleet, floor, sent_bytes: 0 })
    }

    fn round(&mut self, scenario: &Scenario) -> anyhow::Result<Sample> {
        let (messages, wire_bytes) = (scenario.floor_messages(), scenario.wire_bytes(&Target::Silent));
        let started_ns = now_ns();
        let cpu_ns = self.floor.send(messages, wire_bytes)?;
        let deliveries = messages * u64::from(scenario.subscribers);
        self.sent_bytes += deliveries * wire_bytes as u64;
        self.fleet.wait_bytes(self.sent_bytes, PATIENCE)?;
        let seconds = now_ns().saturating_sub(started_ns) as f64 / 1e9;
        Ok(Sample {
            cpu_ns: Some(cpu_ns as f64 / deliveries as f64),
            deliveries_hz: Some(deliveries as f64 / seconds),
            ..Sample::default()
        })
    }
}

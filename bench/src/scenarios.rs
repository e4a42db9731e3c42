//! What is measured, and how it is reported: medians over rounds that alternate between the servers.

use crate::process::{Gripwire, Process};
use crate::transport::Transport;
use anyhow::Context;

/// The servers' CPU.
pub const SERVER_CPU: usize = 0;
/// The clients' CPU.
const CLIENT_CPU: usize = 1;

/// Holds `connections` clients and reports what each adds to the resident set.
pub fn memory(connections: usize, transport: Transport) -> anyhow::Result<()> {
    let gripwire = Gripwire::start()?;
    let address = gripwire.clients.to_string();
    // The first few pay for what is allocated once.
    drop(Clients::open(&address, 500, 64, Some((transport, "warm")))?);
    let before = gripwire.process.resident_bytes()?;
    let _clients = Clients::open(&address, connections, 64, Some((transport, "bench")))?;
    let after = gripwire.process.resident_bytes()?;
    let each = after.saturating_sub(before) as f64 / connections as f64;
    let name = transport.name();
    println!("resident set: {before} B idle, {after} B with {connections} clients ({name})");
    println!("user memory per held {name}: {each:.0} B");
    Ok(())
}

/// CPU per delivery of Gripwire and of the floor, for `messages` published back to back.
pub fn fanout(
    connections: usize,
    messages: usize,
    rounds: usize,
    bytes: usize,
    transport: Transport,
) -> anyhow::Result<()> {
    let wire_bytes = transport.wire_bytes(bytes);
    let mut floor = Process::this_program(&["floor"])?;
    let port: u16 = floor.line()?.strip_prefix("port ").context("no port")?.parse()?;
    let mut floor_clients = Clients::start(&format!("127.0.0.1:{port}"), connections, 256, None)?;
    floor.order(&format!("accept {connections}"))?;
    floor_clients.opened()?;
    let gripwire = Gripwire::start()?;
    let mut clients =
        Clients::open(&gripwire.clients.to_string(), connections, 256, Some((transport, "bench")))?;
    let request = Gripwire::publish_request("bench", &transport.format(&"x".repeat(bytes)));
    let deliveries = (connections * messages) as f64;
    let (mut floors, mut costs) = (Vec::new(), Vec::new());
    // The first round of each warms caches and is not counted.
    for round in 0..=rounds {
        let answer = floor.order(&format!("send {messages} {wire_bytes}"))?;
        floor_clients.expect(connections * messages * wire_bytes)?;
        let floor_ns: f64 = answer.strip_prefix("cpu_ns ").context("no cpu_ns")?.parse()?;
        let before = gripwire.process.cpu_ns()?;
        gripwire.publish(&request, messages)?;
        clients.expect(connections * messages * wire_bytes)?;
        let cost_ns = (gripwire.process.cpu_ns()? - before) as f64;
        if round > 0 {
            floors.push(floor_ns / deliveries);
            costs.push(cost_ns / deliveries);
        }
    }
    let ratios: Vec<f64> = costs.iter().zip(&floors).map(|(cost, floor)| cost / floor).collect();
    let name = transport.name();
    println!("{messages} message(s) of {bytes} B to {connections} x {name}, medians of {rounds} rounds");
    println!("send(2) loop: {:.0} ns of CPU per delivery", median(&floors));
    println!("gripwire:     {:.0} ns of CPU per delivery", median(&costs));
    println!("ratio:        {:.3}", median(&ratios));
    Ok(())
}

/// New connections a second.
pub fn connect(connections: usize, window: usize, rounds: usize, transport: Transport) -> anyhow::Result<()> {
    let mut rates = Vec::new();
    for _ in 0..rounds {
        let gripwire = Gripwire::start()?;
        let mut clients =
            Clients::start(&gripwire.clients.to_string(), connections, window, Some((transport, "bench")))?;
        rates.push(connections as f64 / clients.opened()?);
    }
    let list: Vec<String> = rates.iter().map(|rate| format!("{rate:.0}")).collect();
    println!("{connections} x {}, {window} at a time: {} a second", transport.name(), list.join(", "));
    println!("median: {:.0} new held connections a second", median(&rates));
    Ok(())
}

/// A running client program.
struct Clients {
    process: Process,
    expected: usize,
}

impl Clients {
    fn start(
        address: &str,
        connections: usize,
        window: usize,
        subscription: Option<(Transport, &str)>,
    ) -> anyhow::Result<Clients> {
        let (connections, window, cpu) =
            (connections.to_string(), window.to_string(), CLIENT_CPU.to_string());
        let mut arguments =
            vec!["drain", "--address", address, "--connections", &connections, "--window", &window];
        arguments.extend(["--cpu", &cpu]);
        if let Some((transport, channel)) = subscription {
            arguments.extend(["--transport", transport.name(), "--channel", channel]);
        }
        Ok(Clients { process: Process::this_program(&arguments)?, expected: 0 })
    }

    fn open(
        address: &str,
        connections: usize,
        window: usize,
        subscription: Option<(Transport, &str)>,
    ) -> anyhow::Result<Clients> {
        let mut clients = Clients::start(address, connections, window, subscription)?;
        clients.opened()?;
        Ok(clients)
    }

    /// Waits until all connections are open; the seconds it took.
    fn opened(&mut self) -> anyhow::Result<f64> {
        Ok(self.process.line()?.strip_prefix("open ").context("the clients did not open")?.parse()?)
    }

    /// Waits for `bytes` more.
    fn expect(&mut self, bytes: usize) -> anyhow::Result<()> {
        self.expected += bytes;
        self.process.order(&format!("wait {}", self.expected)).map(drop)
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

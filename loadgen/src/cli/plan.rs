//! Makes the plan of a run from the command line.

use super::arguments::{Arguments, DEFAULT_RATE_HZ, TargetName};
use anyhow::{Context, bail, ensure};
use gripwire_loadgen::{FleetPlan, PublishPlan, RunPlan, Target, Transport, Via, Workers};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// The plan that `arguments` describe.
///
/// # Errors
/// Arguments are wrong or contradict each other.
pub fn of(arguments: &Arguments) -> anyhow::Result<RunPlan> {
    let target = target(arguments);
    let fleet = fleet(arguments, target.clone())?;
    let publish = arguments.publishes().then(|| publish(arguments, &fleet)).transpose()?;
    refuse_strangers(arguments, &fleet, publish.as_ref())?;
    // A long poll gets no sign that it is held, so publishing waits a moment.
    let settle = if fleet.mix.has(Transport::Poll) { 1.0 } else { 0.0 };
    Ok(RunPlan {
        fleet,
        publish,
        hold: seconds(arguments.hold.unwrap_or(settle), "--hold")?,
        late: seconds(arguments.late, "--late")?,
        processes: arguments.processes.clone(),
    })
}

fn target(arguments: &Arguments) -> Target {
    match arguments.target {
        TargetName::Gripwire => Target::Gripwire,
        TargetName::Pushpin => Target::Pushpin,
        TargetName::Nchan => Target::Nchan,
        TargetName::Plain => Target::Plain {
            path: arguments.path.clone().unwrap_or_default(),
            publish: arguments.publish.clone().unwrap_or_default(),
        },
    }
}

fn fleet(arguments: &Arguments, target: Target) -> anyhow::Result<FleetPlan> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    ensure!(
        arguments.prefix.chars().all(plain),
        "--prefix takes only letters, digits, - _ and . because it is not escaped in paths and in JSON"
    );
    let destinations: Vec<_> = arguments.connect.iter().flat_map(|one| one.0.iter().copied()).collect();
    let first = *destinations.first().context("--connect needs an address")?;
    let program = std::env::current_exe().context("cannot find this program, to start it as a worker")?;
    Ok(FleetPlan {
        layout: arguments.layout,
        prefix: arguments.prefix.clone(),
        destinations,
        workers: Workers::Processes(program),
        worker_count: arguments.workers,
        window: arguments.window,
        opening_rate_hz: arguments.open_rate,
        opening: seconds(arguments.open_timeout, "--open-timeout")?,
        drain: arguments.drain,
        stall_percent: arguments.stall,
        cpus: arguments.cpu.clone(),
        ..FleetPlan::new(target, arguments.transport.clone(), arguments.subscribers, first)
    })
}

fn publish(arguments: &Arguments, fleet: &FleetPlan) -> anyhow::Result<PublishPlan> {
    let via = if arguments.udp { Via::Udp } else { Via::Http };
    let default = match (&fleet.target, via) {
        (Target::Gripwire | Target::Pushpin, Via::Http) => SocketAddr::from((Ipv4Addr::LOCALHOST, 5561)),
        (Target::Gripwire | Target::Pushpin, Via::Udp) => SocketAddr::from((Ipv4Addr::LOCALHOST, 5565)),
        _ => fleet.destinations.first().copied().context("--connect needs an address")?.into(),
    };
    let duration = match (arguments.duration, arguments.messages) {
        (Some(duration), _) => Some(seconds(duration, "--duration")?),
        (None, Some(_)) => None,
        (None, None) => Some(Duration::from_secs(10)),
    };
    Ok(PublishPlan {
        target: fleet.target.clone(),
        address: arguments.publish_to.unwrap_or(default),
        via,
        connections: arguments.publishers,
        calls_in_flight: arguments.pipeline,
        prefix: fleet.prefix.clone(),
        channels: fleet.layout.channels(fleet.subscribers),
        mix: fleet.mix.clone(),
        size_bytes: arguments.size,
        batch: arguments.batch,
        rate_hz: arguments.rate.unwrap_or(DEFAULT_RATE_HZ),
        messages: arguments.messages,
        outlives_server: false,
        duration,
    })
}

/// Refuses other machines without --allow-remote, because load on a machine without its owner's consent is an attack.
fn refuse_strangers(
    arguments: &Arguments,
    fleet: &FleetPlan,
    publish: Option<&PublishPlan>,
) -> anyhow::Result<()> {
    let all = fleet.destinations.iter().map(|&one| SocketAddr::V4(one)).chain(publish.map(|one| one.address));
    for address in all {
        if !address.ip().is_loopback() && !arguments.allow_remote {
            bail!("{address} is not on this machine: if you may put load on it, give --allow-remote");
        }
    }
    Ok(())
}

fn seconds(number: f64, option: &str) -> anyhow::Result<Duration> {
    ensure!((0.0..=86_400.0).contains(&number), "{option} takes seconds, from 0 to 86400");
    Ok(Duration::from_secs_f64(number))
}

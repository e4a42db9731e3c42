//! Gripwire, with the load generator's application, as for Pushpin. All its cores are on the servers' CPU. It has more than
//! one core only if the limit of open files requires them.

use super::running::{CONNECTIONS_PER_PROCESS, Directory, Running, free_address};
use crate::process::Process;
use anyhow::Context;
use gripwire_loadgen::{Origin, Target};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;

/// Starts `program` with options that every build knows, so that older builds can be compared with this one.
pub fn start(program: &Path, connections: u32) -> anyhow::Result<Running> {
    let origin = Origin::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), 1)?;
    let (clients, publish, udp) = (free_address()?, free_address()?, free_address()?);
    // The kernel spreads clients over cores by a hash, not quite evenly.
    let cores = (connections + connections / 20).div_ceil(CONNECTIONS_PER_PROCESS).max(1);
    let directory = Directory::new("gripwire", clients.port())?;
    let config = directory.0.join("gripwire.toml");
    // Draining clients do not answer pings, and the other servers send none.
    std::fs::write(&config, "[websocket]\nping_interval_ms = 0\n")?;
    let mut command = Command::new(program);
    command.arg("serve").arg("--config").arg(&config);
    command.args(["--route", &format!("* {},over_http", origin.address()), "--log", "error"]);
    command.args(["--cores", &cores.to_string()]);
    command.args(["--listen", &clients.to_string(), "--control", &publish.to_string()]);
    command.args(["--udp", &udp.to_string()]);
    let log = directory.0.join("log");
    let processes = vec![Process::start_logged(&mut command, &log)?];
    let mut running = Running {
        target: Target::Gripwire,
        clients,
        publish,
        udp: Some(udp),
        processes,
        _origin: Some(origin),
        _directory: Some(directory),
    };
    running.await_listening().with_context(|| {
        let said = std::fs::read_to_string(&log).unwrap_or_default();
        format!("{} does not start; its log: {}", program.display(), said.trim())
    })?;
    Ok(running)
}

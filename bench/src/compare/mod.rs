//! The comparison. `settings` and `scenario` describe the measurement. `stand` is a server (`held`) or the floor with its
//! clients, and takes one `sample` per turn. `medians` computes the rows, and `table` prints them. Turns are interleaved
//! (`turns`): every server has a turn before the first has its next, so other load on the machine affects all of them alike,
//! and ratios are computed within a turn.
//!
//! With `--against`, another build of Gripwire is compared with this one (`against`) by `figures`, each with an interval
//! (`bootstrap`) and a `verdict`.

mod against;
mod bootstrap;
mod figures;
mod held;
mod medians;
mod sample;
mod scenario;
mod settings;
mod stand;
mod table;
mod turns;
mod verdict;

use crate::process::{CLIENT_CPU, pin};
use crate::servers::Server;
pub use medians::median;
pub use settings::Settings;

use scenario::SCENARIOS;
use settings::save;
use turns::sit;

/// Runs the scenarios, prints a table for each, and saves all figures. Returns whether this build is worse than another.
pub fn run(settings: &Settings) -> anyhow::Result<bool> {
    // Processes and threads that are started without a CPU of their own, such as the applications, run on the clients' CPU.
    pin(CLIENT_CPU)?;
    let all = || vec![Server::Floor, Server::Gripwire, Server::Nchan, Server::Pushpin];
    let otherwise = if settings.against.is_some() { Vec::new } else { all };
    let mut servers = settings.servers.clone().unwrap_or_else(otherwise);
    servers.retain(|server| match server.missing() {
        Some(why) => {
            eprintln!("{why}");
            false
        }
        None => true,
    });
    match &settings.against {
        Some(program) => against::run(settings, program, servers),
        None => beside_others(settings, &servers).map(|()| false),
    }
}

fn beside_others(settings: &Settings, servers: &[Server]) -> anyhow::Result<()> {
    let (rounds, json) = (settings.rounds.unwrap_or(ROUNDS), settings.json("target/compare.json"));
    let mut rows = Vec::new();
    for scenario in SCENARIOS.iter().filter(|scenario| settings.wants(scenario)) {
        let taking_part: Vec<Server> =
            servers.iter().filter(|server| scenario.is_for(server)).cloned().collect();
        eprintln!("{}: {} clients of each server", scenario.name, scenario.subscribers);
        let measured = medians::rows(scenario, sit(scenario, &taking_part, rounds));
        println!("{}", table::markdown(scenario, rounds, &measured));
        rows.extend(measured);
        save(&json, &rows)?;
    }
    println!("saved in {}", json.display());
    Ok(())
}

const ROUNDS: u32 = 5;

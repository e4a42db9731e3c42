//! The comparison: `scenario` says what is measured, `stand` is a server (`held`) or the floor with its clients and
//! takes one `sample` a turn, `medians` reckons, `table` prints. Turns are interleaved: every server has its own before
//! the first has another, so what the machine does meanwhile touches all of them alike, and ratios are taken within a
//! turn.
//!
//! With `--against` it is another build of Gripwire that is compared with this one (`against`), by `figures`, each with
//! its interval (`bootstrap`) and its `verdict`.

mod against;
mod bootstrap;
mod figures;
mod held;
mod medians;
mod sample;
mod scenario;
mod stand;
mod table;
mod verdict;

use crate::process::{CLIENT_CPU, pin};
use crate::servers::Server;
pub use medians::median;

use anyhow::Context;
use sample::Sample;
use scenario::{SCENARIOS, Scenario};
use serde::Serialize;
use stand::Stand;
use std::path::{Path, PathBuf};

/// What is compared.
#[derive(clap::Args)]
pub struct Settings {
    /// Scenarios to run; all of them without it, or with --against those that tell builds apart
    #[arg(value_name = "SCENARIO", value_parser = scenario::names())]
    scenarios: Vec<String>,
    /// Compare with this build of Gripwire; exits with 1 if the one beside this program is worse
    #[arg(long, value_name = "BINARY")]
    against: Option<PathBuf>,
    /// A figure is worse when its whole interval is above this ratio
    #[arg(long, value_name = "RATIO", default_value_t = 1.02, requires = "against", value_parser = bound)]
    bound: f64,
    /// Servers to run: floor,gripwire,nchan,pushpin without it, or with --against none but the two builds
    #[arg(long, value_enum, value_delimiter = ',')]
    servers: Option<Vec<Server>>,
    /// Rounds, of whose figures the medians are reported: 5 without it, or with --against 8, 6 at least
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,
    /// Where to save the figures as JSON: target/compare.json without it, or with --against target/against.json
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

impl Settings {
    fn wants(&self, scenario: &Scenario) -> bool {
        match self.scenarios.is_empty() {
            true => self.against.is_none() || scenario.tells_builds_apart,
            false => self.scenarios.iter().any(|name| name == scenario.name),
        }
    }

    fn json(&self, otherwise: &str) -> PathBuf {
        self.json.clone().unwrap_or_else(|| otherwise.into())
    }
}

/// Runs the scenarios, prints a table for each as it is done, and saves all; whether this build is worse than another.
pub fn run(settings: &Settings) -> anyhow::Result<bool> {
    // What is started from here without a CPU of its own, the applications among it, is on the clients' side.
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

/// All samples of a server; the error is why it has no more.
type Samples = (Server, Result<Vec<Sample>, String>);

/// Has all servers hold their clients, and each take its turn so many times. They are opened in the order given; who is
/// first changes from turn to turn.
fn sit(scenario: &Scenario, servers: &[Server], turns: u32) -> Vec<Samples> {
    let open = |server: &Server| (server.clone(), Stand::open(scenario, server), Vec::new());
    let mut stands: Vec<_> = servers.iter().map(open).collect();
    for turn in 0..turns as usize {
        let first = turn % stands.len().max(1);
        let (last, stands) = stands.split_at_mut(first);
        for (_, stand, samples) in stands.iter_mut().chain(last) {
            let Ok(open) = stand else { continue };
            match open.round(scenario) {
                Ok(sample) => samples.push(sample),
                Err(error) => *stand = Err(error),
            }
        }
    }
    let outcome = |(server, stand, samples): (_, anyhow::Result<Stand>, _)| match stand {
        Ok(_) => (server, Ok(samples)),
        Err(error) => (server, Err(format!("{error:#}"))),
    };
    stands.into_iter().map(outcome).collect()
}

/// Writes figures to `path` as JSON.
fn save(path: &Path, figures: &impl Serialize) -> anyhow::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(path, serde_json::to_string_pretty(figures)?)
        .with_context(|| format!("saving {}", path.display()))
}

fn bound(text: &str) -> Result<f64, String> {
    let bound: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    (1.0..f64::INFINITY).contains(&bound).then_some(bound).ok_or_else(|| "a bound is 1 or more".to_owned())
}

const ROUNDS: u32 = 5;

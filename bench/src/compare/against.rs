//! Compares two builds of Gripwire under equal load. A round has two sittings. Each sitting starts both builds again, because
//! part of a process's cost is fixed at its start (the location of its memory, the growth of its tables), and then both run
//! the scenario in turns. One build is opened first in the first sitting, the other in the second, so that effects of the
//! order cancel. `verdict` judges the figures.

use super::bootstrap::FEWEST;
use super::medians::{Row, rows};
use super::sample::{Round, Sample};
use super::scenario::{SCENARIOS, Scenario};
use super::settings::{Settings, save};
use super::table;
use super::turns::{Samples, sit};
use super::verdict::{Comparison, Conclusion, Failures};
use crate::servers::Server;
use anyhow::{Context, ensure};
use serde::Serialize;
use std::path::Path;

/// The results that are saved.
#[derive(Default, Serialize)]
struct Saved {
    comparisons: Vec<Comparison>,
    failures: Vec<Failures>,
    /// The rows of all servers, if other servers take part.
    rows: Vec<Row>,
}

/// Compares the build beside this program with `program`. Returns whether it is worse.
pub fn run(settings: &Settings, program: &Path, mut beside: Vec<Server>) -> anyhow::Result<bool> {
    let other = program.canonicalize().with_context(|| format!("no build at {}", program.display()))?;
    let (rounds, bound) = (settings.rounds.unwrap_or(ROUNDS), settings.bound);
    ensure!(rounds as usize >= FEWEST, "an interval of 95 % needs at least {FEWEST} rounds");
    let mut servers = vec![Server::Gripwire, Server::Other(other)];
    beside.retain(|server| *server != Server::Gripwire);
    servers.append(&mut beside);
    let mut saved = Saved::default();
    for scenario in SCENARIOS.iter().filter(|scenario| settings.wants(scenario)) {
        let taking_part: Vec<Server> =
            servers.iter().filter(|server| scenario.is_for(server)).cloned().collect();
        let (measured, all) = measure(scenario, &taking_part, rounds)?;
        let compared = Comparison::all(scenario.name, &measured, bound);
        println!("{}", table::compared(scenario, rounds, bound, &compared));
        saved.comparisons.extend(compared);
        saved.failures.push(Failures::of(scenario.name, &measured));
        if taking_part.len() > BUILDS {
            let measured = rows(scenario, all);
            println!("{}", table::markdown(scenario, rounds * SITTINGS * scenario.turns(), &measured));
            saved.rows.extend(measured);
        }
        save(&settings.json("target/against.json"), &saved)?;
    }
    let conclusion = Conclusion::of(&saved.comparisons, &saved.failures, bound);
    println!("saved in {}\n{conclusion}", settings.json("target/against.json").display());
    Ok(conclusion.is_worse())
}

/// Runs all rounds of a scenario. Returns the rounds of the builds, and the samples of all servers.
fn measure(
    scenario: &Scenario,
    servers: &[Server],
    rounds: u32,
) -> anyhow::Result<(Vec<Round>, Vec<Samples>)> {
    let mut all: Vec<(Server, Vec<Sample>)> =
        servers.iter().map(|server| (server.clone(), Vec::new())).collect();
    let mut measured = Vec::new();
    for number in 1..=rounds {
        eprintln!("{}: round {number} of {rounds}", scenario.name);
        let mut round = Round::default();
        for (first, sitting) in round.iter_mut().enumerate() {
            let mut order = servers.to_vec();
            order.rotate_left(first);
            for (server, outcome) in sit(scenario, &order, scenario.turns()) {
                let samples = outcome.map_err(anyhow::Error::msg).context(server.name())?;
                let own = all.iter_mut().filter(|(known, _)| *known == server);
                own.for_each(|(_, sum)| sum.extend(samples.iter().cloned()));
                match server {
                    Server::Gripwire => sitting.this = samples,
                    Server::Other(_) => sitting.other = samples,
                    _ => {}
                }
            }
        }
        measured.push(round);
    }
    Ok((measured, all.into_iter().map(|(server, samples)| (server, Ok(samples))).collect()))
}

const BUILDS: usize = 2;
/// Sittings of a round.
const SITTINGS: u32 = 2;
/// Rounds of each scenario by default. The default scenarios then take about ten minutes.
const ROUNDS: u32 = 8;

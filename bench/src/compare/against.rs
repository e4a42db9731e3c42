//! Two builds of Gripwire under the same load. A round is two sittings. In each sitting both builds are started anew,
//! as part of the cost of a process is decided when it starts (where its memory lies, how its tables grow), and then
//! have their turns at the scenario. One build is opened first in the first sitting, the other in the second, so that
//! what the order does to a figure cancels. `verdict` reckons.

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

/// What is saved.
#[derive(Default, Serialize)]
struct Saved {
    comparisons: Vec<Comparison>,
    failures: Vec<Failures>,
    /// Of all servers, where others than the two builds take part.
    rows: Vec<Row>,
}

/// Compares the build beside this program with `program`; whether it is worse.
pub fn run(settings: &Settings, program: &Path, mut beside: Vec<Server>) -> anyhow::Result<bool> {
    let other = program.canonicalize().with_context(|| format!("no build at {}", program.display()))?;
    let (rounds, bound) = (settings.rounds.unwrap_or(ROUNDS), settings.bound);
    ensure!(rounds as usize >= FEWEST, "an interval of 95 % takes {FEWEST} rounds at least");
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

/// All rounds of a scenario: those of the builds, and the samples of all servers.
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
/// Of a round.
const SITTINGS: u32 = 2;
/// Of each scenario: with the scenarios that are run by themselves, about ten minutes.
const ROUNDS: u32 = 8;

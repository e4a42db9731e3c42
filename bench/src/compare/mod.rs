//! The comparison: `scenario` says what is measured, `stand` is a server (`held`) or the floor with its clients and takes
//! one `sample` a round, `medians` reckons, `table` prints and saves. Rounds are interleaved: in each, every server has its
//! turn, so what the machine does meanwhile touches all of them alike, and ratios are taken within a round.

mod held;
mod medians;
mod sample;
mod scenario;
mod stand;
mod table;

use crate::process::{CLIENT_CPU, pin};
use crate::servers::Server;
pub use medians::median;

use held::storm;
use medians::Row;
use sample::Sample;
use scenario::{Load, SCENARIOS, Scenario};
use stand::Stand;
use std::path::PathBuf;

/// What is compared.
#[derive(clap::Args)]
pub struct Settings {
    /// Scenarios to run; all of them without it
    #[arg(value_name = "SCENARIO", value_parser = scenario::names())]
    scenarios: Vec<String>,
    /// Servers to run
    #[arg(long, value_enum, value_delimiter = ',', default_value = "floor,gripwire,nchan,pushpin")]
    servers: Vec<Server>,
    /// Rounds; the medians are reported
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Where to save the table as JSON
    #[arg(long, value_name = "FILE", default_value = "target/compare.json")]
    json: PathBuf,
}

/// Runs the scenarios, prints a table for each as it is done, and saves all.
pub fn run(settings: &Settings) -> anyhow::Result<()> {
    // What is started from here without a CPU of its own, the applications among it, is on the clients' side.
    pin(CLIENT_CPU)?;
    let mut servers = settings.servers.clone();
    servers.retain(|server| match server.missing() {
        Some(why) => {
            eprintln!("{why}");
            false
        }
        None => true,
    });
    let mut rows = Vec::new();
    for scenario in SCENARIOS {
        if settings.scenarios.is_empty() || settings.scenarios.iter().any(|name| name == scenario.name) {
            let measured = measure(scenario, &servers, settings.rounds)?;
            println!("{}", table::markdown(scenario, settings.rounds, &measured));
            rows.extend(measured);
            table::save(&settings.json, &rows)?;
        }
    }
    println!("saved in {}", settings.json.display());
    Ok(())
}

/// All samples of a server; the error is why it has no more.
type Samples = (Server, Result<Vec<Sample>, String>);

fn measure(scenario: &Scenario, servers: &[Server], rounds: u32) -> anyhow::Result<Vec<Row>> {
    let servers = servers.iter().copied().filter(|server| scenario.is_for(*server));
    let samples: Vec<Samples> = match scenario.load {
        Load::Storm => {
            let storms = |server| (0..rounds).map(|_| storm(scenario, server)).collect::<anyhow::Result<_>>();
            servers.map(|server| (server, storms(server).map_err(|error| format!("{error:#}")))).collect()
        }
        _ => interleaved(scenario, servers, rounds),
    };
    Ok(medians::rows(scenario, samples))
}

fn interleaved(scenario: &Scenario, servers: impl Iterator<Item = Server>, rounds: u32) -> Vec<Samples> {
    let mut stands: Vec<_> =
        servers.map(|server| (server, Stand::open(scenario, server), Vec::new())).collect();
    for _ in 0..rounds {
        for (_, stand, samples) in &mut stands {
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

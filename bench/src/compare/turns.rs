//! Runs servers in turns. All servers hold their clients at the same time.

use super::sample::Sample;
use super::scenario::Scenario;
use super::stand::Stand;
use crate::servers::Server;

/// All samples of a server, or the error that stopped it.
pub type Samples = (Server, Result<Vec<Sample>, String>);

/// Opens all servers with their clients in the given order, and gives each of them `turns` turns. The first server changes
/// from turn to turn.
pub fn sit(scenario: &Scenario, servers: &[Server], turns: u32) -> Vec<Samples> {
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

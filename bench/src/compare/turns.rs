//! Servers that hold their clients at the same time, and take turns.

use super::sample::Sample;
use super::scenario::Scenario;
use super::stand::Stand;
use crate::servers::Server;

/// All samples of a server; the error is why it has no more.
pub type Samples = (Server, Result<Vec<Sample>, String>);

/// Has all servers hold their clients, and each take its turn so many times. They are opened in the order given; who is
/// first changes from turn to turn.
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

//! Computes the rows of the table from samples: the median of each figure over the rounds, and the median of the ratios
//! within each round.

use super::sample::Sample;
use super::scenario::Scenario;
use super::turns::Samples;
use crate::servers::Server;
use serde::Serialize;

/// A server's figures in one scenario.
#[derive(Serialize)]
pub struct Row {
    pub scenario: &'static str,
    pub server: &'static str,
    /// The median of each figure, and the failures of all rounds.
    #[serde(flatten)]
    pub figures: Sample,
    /// The server's CPU per delivery, divided by the floor's.
    pub to_floor: Option<f64>,
    /// Gripwire's CPU per delivery, divided by the server's.
    pub gripwire_to_it: Option<f64>,
    /// Why the server has no figures.
    pub error: Option<String>,
}

/// A row for each server.
pub fn rows(scenario: &Scenario, samples: Vec<Samples>) -> Vec<Row> {
    let of = |wanted| {
        let mut found = samples.iter().filter(|(server, _)| *server == wanted);
        found.next().and_then(|(_, samples)| samples.as_ref().ok())
    };
    let row = |(server, outcome): &Samples| {
        let own = outcome.as_deref().unwrap_or_default();
        Row {
            scenario: scenario.name,
            server: server.name(),
            figures: medians(own),
            to_floor: of(Server::Floor).and_then(|floor| ratio(own, floor)),
            gripwire_to_it: of(Server::Gripwire).and_then(|gripwire| ratio(gripwire, own)),
            error: outcome.as_ref().err().cloned(),
        }
    };
    samples.iter().map(row).collect()
}

fn medians(rounds: &[Sample]) -> Sample {
    let figure = |of: fn(&Sample) -> Option<f64>| median(rounds.iter().filter_map(of));
    Sample {
        cpu_ns: figure(|sample| sample.cpu_ns),
        deliveries_hz: figure(|sample| sample.deliveries_hz),
        p50_ns: figure(|sample| sample.p50_ns),
        p99_ns: figure(|sample| sample.p99_ns),
        max_ns: figure(|sample| sample.max_ns),
        resident_bytes: figure(|sample| sample.resident_bytes),
        opening_cpu_ns: figure(|sample| sample.opening_cpu_ns),
        opened_hz: figure(|sample| sample.opened_hz),
        failures: rounds.iter().map(|sample| sample.failures).sum(),
    }
}

/// The median of the ratios of rounds.
fn ratio(above: &[Sample], below: &[Sample]) -> Option<f64> {
    median(above.iter().zip(below).filter_map(|(above, below)| Some(above.cpu_ns? / below.cpu_ns?)))
}

/// The middle value, or the mean of the two in the middle.
pub fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    let (below, above) = (sorted.get(sorted.len().checked_sub(1)? / 2)?, sorted.get(sorted.len() / 2)?);
    Some((below + above) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::scenario::SCENARIOS;

    #[test]
    fn medians_are_in_the_middle() {
        let of = |values: &[f64]| median(values.iter().copied());
        assert_eq!((of(&[]), of(&[3.0]), of(&[9.0, 1.0])), (None, Some(3.0), Some(5.0)));
        assert_eq!((of(&[9.0, 1.0, 2.0]), of(&[9.0, 1.0, 2.0, 4.0])), (Some(2.0), Some(3.0)));
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        let samples = |cpus: &[f64]| {
            Ok(cpus.iter().map(|cpu| Sample { cpu_ns: Some(*cpu), ..Sample::default() }).collect())
        };
        // The machine was three times as slow in the second round.
        let all = vec![
            (Server::Floor, samples(&[10.0, 30.0, 11.0])),
            (Server::Gripwire, samples(&[9.0, 27.0, 9.9])),
            (Server::Nchan, Err("gone".into())),
        ];
        let rows = rows(&SCENARIOS[0], all);
        assert_eq!((rows[1].figures.cpu_ns, rows[1].to_floor), (Some(9.9), Some(0.9)));
        assert_eq!((rows[2].to_floor, rows[2].error.as_deref()), (None, Some("gone")));
    }
}

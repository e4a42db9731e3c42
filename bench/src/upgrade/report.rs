//! The table of the windows, and the phases of the last upgrade by the server's log.

use super::peaks::Peaks;
use crate::markdown;
use gripwire_loadgen::{DeliveryStats, amount};
use std::time::Duration;

/// The figures of one window.
pub struct Window {
    pub name: String,
    /// How long the upgrade or the restart took, if there was one.
    pub took: Option<Duration>,
    pub peaks: Peaks,
    /// Clients whose connection ended.
    pub ended: u32,
    pub deliveries: DeliveryStats,
}

/// A table with a column for each window, of which the first is the one without any event.
pub fn table(windows: &[Window]) -> String {
    let normal_ms = windows.first().map_or(0, |window| window.deliveries.longest_silence_ms);
    let columns: Vec<_> = windows.iter().map(|window| cells(window, normal_ms)).collect();
    let line = |row: usize| {
        let name = columns.first().map_or("", |cells| cells[row].0).to_owned();
        std::iter::once(name).chain(columns.iter().map(|cells| cells[row].1.clone())).collect()
    };
    let lines: Vec<Vec<String>> = (0..ROWS).map(line).collect();
    markdown::table(&lines)
}

/// The rows of one window, with their names.
fn cells(window: &Window, normal_ms: u32) -> [(&'static str, String); ROWS] {
    let Window { deliveries, peaks, .. } = window;
    let growth = i64::from(deliveries.longest_silence_ms) - i64::from(normal_ms);
    let latency = |percent| format!("{:.1}", deliveries.latencies.percentile_ns(percent) as f64 / 1e6);
    [
        ("", window.name.clone()),
        ("until replaced, or all are back, ms", took(window.took)),
        ("longest silence of a client, ms", deliveries.longest_silence_ms.to_string()),
        ("growth of the longest silence, ms", growth.to_string()),
        ("latency, 50 %, ms", latency(50.0)),
        ("latency, 99 %, ms", latency(99.0)),
        ("latency, largest, ms", latency(100.0)),
        ("clients that were ended", window.ended.to_string()),
        ("messages lost", deliveries.lost.to_string()),
        ("doubled or out of order", (deliveries.duplicates + deliveries.out_of_order).to_string()),
        ("user memory at the peak: old", amount::bytes(peaks.old_bytes as f64)),
        ("new", amount::bytes(peaks.new_bytes as f64)),
        ("both together", amount::bytes(peaks.both_bytes as f64)),
        ("descriptors at the peak: old", peaks.old_descriptors.to_string()),
        ("new", peaks.new_descriptors.to_string()),
    ]
}

fn took(took: Option<Duration>) -> String {
    took.map_or_else(String::new, |took| took.as_millis().to_string())
}

/// The lines of the log about the last upgrade, each with its time since the first of them.
pub fn phases(log: &str) -> String {
    let lines: Vec<(f64, &str)> = log.lines().filter_map(stamped).collect();
    let first = lines.iter().rposition(|(_, text)| text.contains("an upgrade begins")).unwrap_or(lines.len());
    let begun = lines.get(first).map_or(0.0, |(at, _)| *at);
    let line = |(at, text): &(f64, &str)| format!("{:>8.1} ms {text}\n", at - begun);
    let of_upgrade: String = lines[first..].iter().map(line).collect();
    format!("The last upgrade in the log:\n{of_upgrade}")
}

/// The time of a line, ms since midnight, and its text without time and level.
fn stamped(line: &str) -> Option<(f64, &str)> {
    let (stamp, text) = line.split_once(' ')?;
    let mut parts = stamp.split_once('T')?.1.trim_end_matches('Z').split(':');
    let mut part = || parts.next()?.parse::<f64>().ok();
    let ms = ((part()? * 60.0 + part()?) * 60.0 + part()?) * 1000.0;
    let (_level, text) = text.trim_start().split_once(' ')?;
    Some((ms, text))
}

const ROWS: usize = 15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_count_from_the_beginning_of_the_last_upgrade() {
        let log = "2026-12-01T12:00:00.000000Z  INFO a: an upgrade begins\nnoise\n\
                   2026-12-01T12:00:59.500000Z  INFO a: an upgrade begins: more\n\
                   2026-12-01T12:01:00.250000Z ERROR b: done pid=1\n";
        let expected = "The last upgrade in the log:\n     0.0 ms a: an upgrade begins: more\n   750.0 ms b: done pid=1\n";
        assert_eq!(phases(log), expected);
    }
}

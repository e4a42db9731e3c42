//! The figures for people, as a table of Markdown, and for programs, as JSON.

use super::medians::Row;
use super::scenario::Scenario;
use anyhow::Context;
use std::path::Path;

/// The table of one scenario.
pub fn markdown(scenario: &Scenario, rounds: u32, rows: &[Row]) -> String {
    let mut lines = vec![HEADS.map(str::to_owned)];
    lines.extend(rows.iter().map(cells));
    let widths: Vec<usize> = (0..HEADS.len())
        .map(|column| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0))
        .collect();
    let mut text = format!("## {}: {}\nMedians of {rounds} rounds.\n\n", scenario.name, scenario.what);
    for (number, line) in lines.iter().enumerate() {
        for (cell, width) in line.iter().zip(&widths) {
            text += &format!("| {cell:>width$} ");
        }
        text += "|\n";
        if number == 0 {
            widths.iter().for_each(|width| text += &format!("|{}:", "-".repeat(width + 1)));
            text += "|\n";
        }
    }
    for row in rows.iter().filter(|row| row.error.is_some() || row.failures > 0) {
        let why = row.error.clone().unwrap_or_else(|| {
            format!("{} deliveries or clients failed, were lost, doubled or disordered", row.failures)
        });
        text += &format!("\n{}: {why}\n", row.server);
    }
    text
}

/// Writes all rows to `path`.
pub fn save(path: &Path, rows: &[Row]) -> anyhow::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(path, serde_json::to_string_pretty(rows)?)
        .with_context(|| format!("saving {}", path.display()))
}

fn cells(row: &Row) -> [String; HEADS.len()] {
    let ratio = |value: Option<f64>| shown(value, |value| format!("{value:.3}"));
    let ms = |value: Option<f64>| shown(value, |ns| format!("{:.1}", ns / 1e6));
    let whole = |value: Option<f64>| shown(value, |value| format!("{value:.0}"));
    [
        row.server.to_owned(),
        shown(row.cpu_ns, |ns| format!("{:.2}", ns / 1e3)),
        ratio(row.to_floor),
        ratio(row.gripwire_to_it),
        whole(row.deliveries_hz),
        ms(row.p50_ns),
        ms(row.p99_ns),
        ms(row.max_ns),
        whole(row.resident_bytes),
        whole(row.opened_hz),
    ]
}

fn shown(value: Option<f64>, show: impl Fn(f64) -> String) -> String {
    value.map(show).unwrap_or_default()
}

const HEADS: [&str; 10] = [
    "server",
    "CPU us/delivery",
    "/ floor",
    "gripwire / it",
    "deliveries/s",
    "p50 ms",
    "p99 ms",
    "max ms",
    "B/connection",
    "opened/s",
];

//! The figures as Markdown tables.

use super::bootstrap::Interval;
use super::medians::Row;
use super::scenario::Scenario;
use super::verdict::Comparison;
use crate::markdown;

/// The table of one scenario.
pub fn markdown(scenario: &Scenario, rounds: u32, rows: &[Row]) -> String {
    let lines: Vec<_> = rows.iter().map(cells).collect();
    let mut text = format!(
        "## {}: {}\nMedians of {rounds} rounds.\n\n{}",
        scenario.name,
        scenario.what,
        table(HEADS, &lines)
    );
    for row in rows.iter().filter(|row| row.error.is_some() || row.figures.failures > 0) {
        let why = row.error.clone().unwrap_or_else(|| {
            format!(
                "{} deliveries were lost, repeated or out of order, or clients failed",
                row.figures.failures
            )
        });
        text += &format!("\n{}: {why}\n", row.server);
    }
    text
}

/// The table of two builds in one scenario.
pub fn compared(scenario: &Scenario, rounds: u32, bound: f64, compared: &[Comparison]) -> String {
    let lines: Vec<_> = compared.iter().map(compared_cells).collect();
    format!(
        "## {}: {}\n{rounds} rounds of 2 x {} turns. Ratios above 1 are worse; the bound is {bound}.\n\n{}",
        scenario.name,
        scenario.what,
        scenario.turns(),
        table(COMPARED_HEADS, &lines)
    )
}

fn table<const COLUMNS: usize>(heads: [&str; COLUMNS], lines: &[[String; COLUMNS]]) -> String {
    let heads = heads.map(str::to_owned);
    let lines: Vec<_> = std::iter::once(&heads).chain(lines).collect();
    markdown::table(&lines)
}

fn compared_cells(one: &Comparison) -> [String; COMPARED_HEADS.len()] {
    let (ratio, interval) = match one.interval {
        Some(Interval { low, median, high }) => (format!("{median:.3}"), format!("{low:.3} to {high:.3}")),
        None => Default::default(),
    };
    let figure = |value: f64| if value < 1000.0 { format!("{value:.2}") } else { format!("{value:.0}") };
    let verdict = if one.decides { one.verdict.to_string() } else { format!("({})", one.verdict) };
    [one.figure.to_owned(), figure(one.this), figure(one.other), ratio, interval, verdict]
}

fn cells(row: &Row) -> [String; HEADS.len()] {
    let ratio = |value: Option<f64>| shown(value, |value| format!("{value:.3}"));
    let us = |value: Option<f64>| shown(value, |ns| format!("{:.2}", ns / 1e3));
    let ms = |value: Option<f64>| shown(value, |ns| format!("{:.1}", ns / 1e6));
    let whole = |value: Option<f64>| shown(value, |value| format!("{value:.0}"));
    let figures = &row.figures;
    [
        row.server.to_owned(),
        us(figures.cpu_ns),
        ratio(row.to_floor),
        ratio(row.gripwire_to_it),
        whole(figures.deliveries_hz),
        ms(figures.p50_ns),
        ms(figures.p99_ns),
        ms(figures.max_ns),
        whole(figures.resident_bytes),
        us(figures.opening_cpu_ns),
        whole(figures.opened_hz),
    ]
}

fn shown(value: Option<f64>, show: impl Fn(f64) -> String) -> String {
    value.map(show).unwrap_or_default()
}

const HEADS: [&str; 11] = [
    "server",
    "CPU us/delivery",
    "/ floor",
    "gripwire / it",
    "deliveries/s",
    "p50 ms",
    "p99 ms",
    "max ms",
    "B/connection",
    "CPU us/opening",
    "opened/s",
];
/// The verdicts of figures that do not decide are in brackets.
const COMPARED_HEADS: [&str; 6] =
    ["figure", "this build", "other build", "ratio", "95 % interval", "verdict"];

//! The diagrams of an outcome, and the series in each.

use super::chart::{Chart, Series, Shape};
use super::scale::Scale;
use crate::amount::{bytes, count, duration};
use crate::run::{Moment, Outcome};

/// A diagram with a heading and a caption.
pub(super) struct Diagram {
    pub heading: &'static str,
    pub caption: String,
    pub svg: String,
}

/// The diagrams of an outcome.
pub(super) fn of(outcome: &Outcome) -> Vec<Diagram> {
    let mut diagrams = Vec::new();
    if outcome.deliveries.latencies.count() > 0 {
        diagrams.extend([histogram(outcome), percentiles(outcome), latency_over_time(outcome)]);
    }
    diagrams.push(throughput(outcome));
    diagrams.push(subscribers(outcome));
    diagrams.push(kernel_memory(outcome));
    if outcome.watched {
        diagrams.push(server_memory(outcome));
        diagrams.push(cpu(outcome));
    }
    diagrams
}

fn histogram(outcome: &Outcome) -> Diagram {
    let latencies = &outcome.deliveries.latencies;
    let start = (latencies.percentile_ns(0.0).max(1) as f64 * 0.95).max(100.0);
    let end = (latencies.max_ns() as f64 * 1.05).max(start * 2.0);
    let step = (end / start).powf(1.0 / BINS as f64);
    let edge = |bin: usize| start * step.powi(bin as i32);
    let within = |bin| latencies.count_between(edge(bin) as u64 + 1, edge(bin + 1) as u64);
    let mut points: Vec<(f64, f64)> = (0..BINS).map(|bin| (edge(bin), within(bin) as f64)).collect();
    points.push((end, 0.0));
    let most = points.iter().map(|point| point.1).fold(0.0, f64::max);
    let chart = Chart {
        x: Scale::Logarithmic(start, end),
        y: Scale::up_to(most),
        x_label: |ns| short(duration(ns)),
        y_label: |value| count(value as u64),
    };
    let at = |name: &str, percent| (latencies.percentile_ns(percent) as f64, name.to_owned());
    let series = [Series { name: "", class: "a", points, shape: Shape::Bars }];
    Diagram {
        heading: "Latency",
        caption: format!(
            "{} deliveries, from when each message was due until a subscriber received it.",
            count(latencies.count())
        ),
        svg: chart.draw(&series, &[at("median", 50.0), at("p99", 99.0), at("p99.9", 99.9)]),
    }
}

fn percentiles(outcome: &Outcome) -> Diagram {
    let latencies = &outcome.deliveries.latencies;
    let nines = (latencies.count() as f64).log10().floor().clamp(2.0, 6.0) as u32;
    let steps = 120;
    let percentile =
        |step: u32| 100.0 - 100.0 / 10f64.powf(f64::from(step) * f64::from(nines) / f64::from(steps));
    let points = (0..=steps).map(percentile).map(|one| (one, latencies.percentile_ns(one) as f64)).collect();
    let chart = Chart {
        x: Scale::Nines(nines),
        y: Scale::up_to(latencies.max_ns() as f64),
        x_label: |percent| format!("{}%", (percent * 1e6).round() / 1e6),
        y_label: |ns| short(duration(ns)),
    };
    Diagram {
        heading: "Latency by percentile",
        caption: "The share of deliveries that took no longer; each further nine has the same width.".into(),
        svg: chart.draw(&[Series { name: "", class: "a", points, shape: Shape::Area }], &[]),
    }
}

fn latency_over_time(outcome: &Outcome) -> Diagram {
    let moments: Vec<&Moment> = outcome.moments.iter().filter(|moment| moment.p99_ns > 0).collect();
    let points = |of: fn(&Moment) -> u64| {
        moments.iter().map(|moment| (moment.seconds, of(moment) as f64)).collect::<Vec<_>>()
    };
    let series = [
        Series { name: "p99", class: "b", points: points(|moment| moment.p99_ns), shape: Shape::Line },
        Series { name: "median", class: "a", points: points(|moment| moment.p50_ns), shape: Shape::Line },
    ];
    Diagram {
        heading: "Latency over time",
        caption: "Of the deliveries in each moment, with one significant digit.".into(),
        svg: over_time(outcome, &series, |ns| short(duration(ns))),
    }
}

fn throughput(outcome: &Outcome) -> Diagram {
    let drained = outcome.drained;
    let rates = |of: fn(&Moment) -> u64| rates(&outcome.moments, of);
    let received =
        if drained { rates(|moment| moment.fleet.bytes) } else { rates(|moment| moment.fleet.messages) };
    let series = [Series { name: "", class: "a", points: received, shape: Shape::Area }];
    let label: fn(f64) -> String =
        if drained { |value| format!("{}/s", short(bytes(value))) } else { |value| count(value as u64) };
    Diagram {
        heading: "Throughput",
        caption: if drained { "Bytes received per second." } else { "Deliveries per second." }.into(),
        svg: over_time(outcome, &series, label),
    }
}

fn subscribers(outcome: &Outcome) -> Diagram {
    let open = |moment: &Moment| f64::from(moment.fleet.open.saturating_sub(moment.fleet.closed));
    let points = outcome.moments.iter().map(|moment| (moment.seconds, open(moment))).collect();
    Diagram {
        heading: "Subscribers",
        caption: format!("Open subscribers; {} per second were opened.", count(outcome.opened_hz() as u64)),
        svg: over_time(outcome, &[Series { name: "", class: "c", points, shape: Shape::Area }], |value| {
            count(value as u64)
        }),
    }
}

fn kernel_memory(outcome: &Outcome) -> Diagram {
    Diagram {
        heading: "Kernel memory",
        caption: "Kernel memory of the whole machine, which has both ends of every connection.".into(),
        svg: memory(outcome, "b", |moment| moment.server.kernel_bytes),
    }
}

fn server_memory(outcome: &Outcome) -> Diagram {
    Diagram {
        heading: "Server memory",
        caption: "Resident memory of the watched processes.".into(),
        svg: memory(outcome, "a", |moment| moment.server.resident_bytes),
    }
}

fn memory(outcome: &Outcome, class: &'static str, of: fn(&Moment) -> u64) -> String {
    let points = outcome.moments.iter().map(|moment| (moment.seconds, of(moment) as f64)).collect();
    over_time(outcome, &[Series { name: "", class, points, shape: Shape::Area }], |value| short(bytes(value)))
}

fn cpu(outcome: &Outcome) -> Diagram {
    let rates = rates(&outcome.moments, |moment| moment.server.cpu_ns);
    let points = rates.into_iter().map(|(seconds, ns)| (seconds, ns / 1e9 * 100.0)).collect();
    Diagram {
        heading: "Server CPU",
        caption: "100 % is one CPU.".into(),
        svg: over_time(outcome, &[Series { name: "", class: "a", points, shape: Shape::Area }], |value| {
            format!("{value:.0} %")
        }),
    }
}

fn over_time(outcome: &Outcome, series: &[Series], y_label: fn(f64) -> String) -> String {
    let last = outcome.moments.last().map_or(1.0, |moment| moment.seconds);
    let largest = series.iter().flat_map(|one| &one.points).map(|point| point.1).fold(0.0, f64::max);
    let x_label = |seconds: f64| format!("{} s", (seconds * 100.0).round() / 100.0);
    let chart = Chart { x: Scale::Linear(last.max(0.1)), y: Scale::up_to(largest), x_label, y_label };
    chart.draw(series, &[])
}

/// An amount without trailing zeros, because the marks of axes are round numbers.
fn short(amount: String) -> String {
    let (number, unit) = amount.split_once(' ').unwrap_or((&amount, ""));
    if number.contains('.') {
        let number = number.trim_end_matches('0').trim_end_matches('.');
        return format!("{number} {unit}");
    }
    amount
}

/// The growth of a count per second, averaged over several reports of the workers, because single reports vary too much.
fn rates(moments: &[Moment], of: fn(&Moment) -> u64) -> Vec<(f64, f64)> {
    let mut rates = Vec::new();
    let Some(mut before) = moments.first() else { return rates };
    for moment in moments {
        let elapsed = moment.seconds - before.seconds;
        if elapsed < RATE_SECONDS {
            continue;
        }
        rates.push((moment.seconds, of(moment).saturating_sub(of(before)) as f64 / elapsed));
        before = moment;
    }
    rates
}

const BINS: usize = 80;
/// Twice the time between two reports of a worker.
const RATE_SECONDS: f64 = 0.5;

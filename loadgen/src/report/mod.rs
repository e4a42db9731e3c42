//! The HTML page of a run: figures and diagrams in one self-contained file.
//!
//! `chart.rs` draws curves and bars as SVG, `scale.rs` chooses axes, `markup.rs` escapes text, and `page.html` is the template
//! with its styles. The contents of the page are made here and in `diagrams.rs`.

mod chart;
mod diagrams;
mod markup;
mod scale;

use crate::run::{Figure, Outcome};
use diagrams::Diagram;
use markup::escaped;
use std::fmt::Write;

/// The page of an outcome, under a title, with the parameters and the command line of its run.
pub fn html_report(
    outcome: &Outcome,
    title: &str,
    parameters: &[(String, String)],
    command_line: &str,
) -> String {
    let tiles: String = tiles(outcome).iter().map(tile).collect();
    let diagrams: String = diagrams::of(outcome).iter().map(diagram).collect();
    let figures: String = outcome.figures().iter().map(row).collect();
    let parameters: String = parameters
        .iter()
        .map(|(name, value)| format!("<div><dt>{}</dt><dd>{}</dd></div>", escaped(name), escaped(value)))
        .collect();
    PAGE.replace("{{title}}", &escaped(title))
        .replace("{{verdict}}", &verdict(outcome))
        .replace("{{parameters}}", &parameters)
        .replace("{{tiles}}", &tiles)
        .replace("{{diagrams}}", &diagrams)
        .replace("{{figures}}", &figures)
        .replace("{{version}}", env!("CARGO_PKG_VERSION"))
        .replace("{{command}}", &escaped(command_line))
}

fn diagram(diagram: &Diagram) -> String {
    let Diagram { heading, caption, svg } = diagram;
    format!("<figure><h2>{heading}</h2><p>{}</p>{svg}</figure>", escaped(caption))
}

/// The most important figures.
fn tiles(outcome: &Outcome) -> Vec<Figure> {
    let first = ["subscribers open", "delivery rate", "latency, median", "latency, p99", "latency, largest"];
    let cost = ["server CPU per delivery", "server memory per subscriber"];
    let figures = outcome.figures();
    let wanted = first.into_iter().chain(cost).chain(["set-up rate"]);
    wanted.filter_map(|name| figures.iter().find(|figure| figure.0 == name).cloned()).take(6).collect()
}

fn tile((name, value, note): &Figure) -> String {
    let (name, value, note) = (escaped(name), escaped(value), escaped(note));
    format!("<div class=tile><span>{name}</span><strong>{value}</strong><small>{note}</small></div>")
}

fn row((name, value, note): &Figure) -> String {
    format!("<tr><th>{}</th><td>{}</td><td>{}</td></tr>", escaped(name), escaped(value), escaped(note))
}

fn verdict(outcome: &Outcome) -> String {
    let deliveries = &outcome.deliveries;
    let mut troubles = String::new();
    let mut trouble = |number: u64, what: &str| {
        if number > 0 {
            let comma = if troubles.is_empty() { "" } else { ", " };
            let _ = write!(troubles, "{comma}{} {what}", crate::amount::count(number));
        }
    };
    trouble(outcome.opening.failed.into(), "subscribers not opened");
    trouble(outcome.closed.into(), "subscribers ended by the server");
    trouble(deliveries.lost, "deliveries lost");
    trouble(deliveries.duplicates, "duplicates");
    trouble(deliveries.out_of_order, "out of order");
    trouble(deliveries.foreign, "damaged");
    if !troubles.is_empty() {
        return format!("<p class=\"verdict trouble\">{}</p>", escaped(&troubles));
    }
    let good = match deliveries.received {
        0 => "all subscribers stayed open",
        _ => "nothing lost, repeated or out of order",
    };
    format!("<p class=\"verdict good\">{good}</p>")
}

const PAGE: &str = include_str!("page.html");

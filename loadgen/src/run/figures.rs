//! The figures of an outcome for people, the most important first. The table and the page both show them.

use super::Outcome;
use crate::amount::{bytes, count, duration};
use crate::orders::DeliveryStats;

/// A name, a value, and a note that explains the value if necessary.
pub type Figure = (String, String, String);

impl Outcome {
    /// The figures of this outcome.
    pub fn figures(&self) -> Vec<Figure> {
        let mut figures = self.opening_figures();
        if self.published_messages > 0 {
            figures.extend(self.delivery_figures());
        }
        if self.deliveries.latencies.count() > 0 {
            figures.extend(self.latency_figures());
        }
        figures.extend(self.cost_figures());
        figures
    }

    fn opening_figures(&self) -> Vec<Figure> {
        let opening = &self.opening;
        let mut figures = vec![
            figure("subscribers open", count(opening.open.into()), format!("in {:.2} s", opening.seconds)),
            figure("set-up rate", count(self.opened_hz() as u64), "per second".into()),
        ];
        let failure = self.failure.clone().unwrap_or_default();
        if opening.failed > 0 {
            figures.push(figure("not opened", count(opening.failed.into()), failure.clone()));
        }
        if self.closed > 0 {
            let why = if opening.failed > 0 { String::new() } else { format!("first: {failure}") };
            figures.push(figure("ended by the server", count(self.closed.into()), why));
        }
        figures
    }

    fn delivery_figures(&self) -> Vec<Figure> {
        let rate = self.published_messages as f64 / self.published_seconds.max(1e-9);
        let published = format!("in {:.2} s, {rate:.1} per second", self.published_seconds);
        let mut figures = vec![
            figure("messages published", count(self.published_messages), published),
            figure("latest publish call", duration(self.latest_call_ns as f64), "behind its schedule".into()),
            figure("bytes received", bytes(self.bytes as f64), String::new()),
        ];
        let DeliveryStats {
            expected,
            received,
            lost,
            missed_between_polls,
            duplicates,
            out_of_order,
            foreign,
            ..
        } = self.deliveries;
        if self.drained {
            let note = "expected".into();
            figures.push(figure("deliveries", count(expected), note));
            return figures;
        }
        let of = format!("of {} expected", count(expected));
        figures.push(figure("deliveries", count(received), of));
        figures.push(figure("delivery rate", count(self.delivered_hz() as u64), "per second".into()));
        figures.push(figure("lost", count(lost), String::new()));
        if missed_between_polls > 0 {
            let why = "published while clients were between two polls".into();
            figures.push(figure("missed between polls", count(missed_between_polls), why));
        }
        figures.push(figure("duplicates", count(duplicates), String::new()));
        figures.push(figure("out of order", count(out_of_order), String::new()));
        if foreign > 0 {
            figures.push(figure("of other channels, or damaged", count(foreign), String::new()));
        }
        figures
    }

    fn latency_figures(&self) -> Vec<Figure> {
        let latencies = &self.deliveries.latencies;
        let at = |name: &str, percent| {
            figure(name, duration(latencies.percentile_ns(percent) as f64), "from the due time".into())
        };
        let mut figures = vec![
            at("latency, median", 50.0),
            at("latency, p90", 90.0),
            at("latency, p99", 99.0),
            at("latency, p99.9", 99.9),
            at("latency, largest", 100.0),
        ];
        figures.iter_mut().skip(1).for_each(|(_, _, note)| note.clear());
        figures
    }

    fn cost_figures(&self) -> Vec<Figure> {
        let mut figures = Vec::new();
        if let Some(ns) = self.cpu_ns_an_opening() {
            figures.push(figure("server CPU per subscriber opened", duration(ns), String::new()));
        }
        if let Some(ns) = self.cpu_ns_a_delivery() {
            figures.push(figure("server CPU per delivery", duration(ns), "publish calls included".into()));
        }
        if let Some(each) = self.resident_bytes_a_subscriber() {
            let total = format!("{} resident when held", bytes(self.cost_held.resident_bytes as f64));
            figures.push(figure("server memory per subscriber", bytes(each), total));
        }
        if let Some(each) = self.kernel_bytes_a_subscriber() {
            figures.push(figure(
                "kernel memory per subscriber",
                bytes(each),
                "both ends, whole machine".into(),
            ));
        }
        figures
    }
}

fn figure(name: &str, value: String, note: String) -> Figure {
    (name.to_owned(), value, note)
}

//! The figures by which two builds are compared. CPU and memory decide, because the kernel counts them for the server alone.
//! Rates and latencies depend on the clients and on other load of the machine, so they are shown but do not decide.

use super::sample::Sample;

/// A figure.
pub struct Figure {
    pub name: &'static str,
    of: fn(&Sample) -> Option<f64>,
    /// The number by which a sample's value is divided to get the unit in the name.
    pub scale: f64,
    pub better: Better,
    /// Whether a build is worse if this figure is worse.
    pub decides: bool,
}

/// The direction in which a figure is better.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Better {
    Lower,
    Higher,
}

impl Figure {
    /// The figure of a sample.
    pub fn of(&self, sample: &Sample) -> Option<f64> {
        (self.of)(sample)
    }

    /// The ratio of `this` to `other`. Above 1 `this` is worse, whichever direction is better.
    pub fn ratio(&self, this: &Sample, other: &Sample) -> Option<f64> {
        let (this, other) = (self.of(this)?, self.of(other)?);
        let ratio = match self.better {
            Better::Lower => this / other,
            Better::Higher => other / this,
        };
        (ratio.is_finite() && ratio > 0.0).then_some(ratio)
    }
}

const COST: Figure = Figure { name: "", of: |_| None, scale: 1.0, better: Better::Lower, decides: true };
const RATE: Figure = Figure { better: Better::Higher, decides: false, ..COST };
const LATENCY: Figure = Figure { scale: 1e6, decides: false, ..COST };

/// All figures, in the order in which they are shown.
pub const FIGURES: &[Figure] = &[
    Figure { name: "CPU for a delivery, us", of: |sample| sample.cpu_ns, scale: 1e3, ..COST },
    Figure { name: "CPU to open a client, us", of: |sample| sample.opening_cpu_ns, scale: 1e3, ..COST },
    Figure { name: "user memory of a client, B", of: |sample| sample.resident_bytes, ..COST },
    Figure { name: "deliveries a second", of: |sample| sample.deliveries_hz, ..RATE },
    Figure { name: "clients opened a second", of: |sample| sample.opened_hz, ..RATE },
    Figure { name: "latency, median, ms", of: |sample| sample.p50_ns, ..LATENCY },
    Figure { name: "latency, 99 %, ms", of: |sample| sample.p99_ns, ..LATENCY },
    Figure { name: "latency, largest, ms", of: |sample| sample.max_ns, ..LATENCY },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn above_1_is_worse_whichever_way_is_better() {
        let figure = |name: &str| FIGURES.iter().find(|figure| figure.name.starts_with(name)).unwrap();
        let good = Sample { cpu_ns: Some(100.0), deliveries_hz: Some(3000.0), ..Sample::default() };
        let bad = Sample { cpu_ns: Some(150.0), deliveries_hz: Some(2000.0), ..Sample::default() };
        for name in ["CPU for a delivery", "deliveries a second"] {
            assert_eq!(figure(name).ratio(&bad, &good), Some(1.5), "{name}");
        }
        // Nothing was measured, or nothing that can be divided by.
        assert_eq!(figure("latency, median").ratio(&bad, &good), None);
        let free = Sample { cpu_ns: Some(0.0), ..Sample::default() };
        assert_eq!(figure("CPU for a delivery").ratio(&good, &free), None);
    }
}

//! Judges whether one build is worse than another, by each figure and by all together. A figure is worse if its whole
//! interval is above the bound. If only a part of the interval is above the bound, the figure is unsettled and needs more
//! rounds.

use super::bootstrap::Interval;
use super::figures::{FIGURES, Figure};
use super::medians::median;
use super::sample::{Round, Sample, Sitting};
use serde::Serialize;
use std::fmt;

/// The verdict of a figure.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The whole interval is below the bound's inverse.
    Better,
    /// No part of the interval is above the bound.
    Kept,
    /// A part of the interval is above the bound, or there were too few ratios for an interval.
    Unsettled,
    /// The whole interval is above the bound.
    Worse,
}

impl Verdict {
    fn of(interval: Option<Interval>, bound: f64) -> Verdict {
        match interval {
            None => Verdict::Unsettled,
            Some(interval) if interval.low > bound => Verdict::Worse,
            Some(interval) if interval.high > bound => Verdict::Unsettled,
            Some(interval) if interval.high < 1.0 / bound => Verdict::Better,
            Some(_) => Verdict::Kept,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.pad(match self {
            Verdict::Better => "better",
            Verdict::Kept => "not worse",
            Verdict::Unsettled => "not settled",
            Verdict::Worse => "worse",
        })
    }
}

/// A figure of both builds in a scenario.
#[derive(Serialize)]
pub struct Comparison {
    pub scenario: &'static str,
    pub figure: &'static str,
    /// Whether the figure decides the verdict of the build.
    pub decides: bool,
    /// Medians of all turns, in the unit of the figure's name.
    pub this: f64,
    pub other: f64,
    /// The interval of the rounds' ratios; above 1 is worse.
    pub interval: Option<Interval>,
    pub verdict: Verdict,
    /// The ratio of each round.
    pub ratios: Vec<f64>,
}

impl Comparison {
    /// The comparisons of all figures of a scenario's rounds.
    pub fn all(scenario: &'static str, rounds: &[Round], bound: f64) -> Vec<Comparison> {
        FIGURES.iter().filter_map(|figure| Comparison::of(figure, scenario, rounds, bound)).collect()
    }

    fn of(figure: &Figure, scenario: &'static str, rounds: &[Round], bound: f64) -> Option<Comparison> {
        let middle = |of: fn(&Sitting) -> &Vec<Sample>| {
            median(rounds.iter().flatten().flat_map(of).filter_map(|sample| figure.of(sample)))
        };
        let (this, other) = (middle(|sitting| &sitting.this)?, middle(|sitting| &sitting.other)?);
        let of_sitting = |sitting: &Sitting| {
            let turns = sitting.this.iter().zip(&sitting.other);
            median(turns.filter_map(|(this, other)| figure.ratio(this, other)))
        };
        // The geometric mean cancels the effect of the order, which multiplies one sitting's ratio and divides the other's.
        let ratio = |[first, second]: &Round| Some((of_sitting(first)? * of_sitting(second)?).sqrt());
        let ratios: Vec<f64> = rounds.iter().filter_map(ratio).collect();
        let interval = Interval::of(&ratios);
        Some(Comparison {
            scenario,
            figure: figure.name,
            decides: figure.decides,
            this: this / figure.scale,
            other: other / figure.scale,
            interval,
            verdict: Verdict::of(interval, bound),
            ratios,
        })
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{}, {}", self.scenario, self.figure)?;
        match self.interval {
            Some(Interval { low, median, high }) => write!(to, ": {median:.3} ({low:.3} to {high:.3})"),
            None => write!(to, ": too few ratios"),
        }
    }
}

/// Deliveries that were lost, repeated or out of order, and clients that were refused or ended, in a scenario.
#[derive(Serialize)]
pub struct Failures {
    pub scenario: &'static str,
    pub this: u64,
    pub other: u64,
}

impl Failures {
    /// The failures of all rounds.
    pub fn of(scenario: &'static str, rounds: &[Round]) -> Failures {
        let sum = |of: fn(&Sitting) -> &Vec<Sample>| {
            rounds.iter().flatten().flat_map(of).map(|sample: &Sample| sample.failures).sum()
        };
        Failures { scenario, this: sum(|sitting| &sitting.this), other: sum(|sitting| &sitting.other) }
    }
}

/// The conclusion about a build, in lines. The last line is the verdict.
pub struct Conclusion {
    worse: usize,
    text: String,
}

impl Conclusion {
    /// The conclusion from all figures and failures.
    pub fn of(compared: &[Comparison], failures: &[Failures], bound: f64) -> Conclusion {
        let mut text = String::new();
        let mut count = |wanted: Verdict, decides: bool, title: &str| {
            let found = compared.iter().filter(|one| one.verdict == wanted && one.decides == decides);
            found.inspect(|one| text += &format!("{title}: {one}\n")).count()
        };
        count(Verdict::Worse, false, "worse, but does not decide");
        let unsettled = count(Verdict::Unsettled, true, "not settled");
        let mut worse = count(Verdict::Worse, true, "worse");
        for Failures { scenario, this, other } in failures.iter().filter(|failed| failed.this > failed.other)
        {
            text += &format!("worse: {scenario}, {this} failures, {other} with the other build\n");
            worse += 1;
        }
        let deciding = compared.iter().filter(|one| one.decides).count();
        text += &match (worse, unsettled) {
            (0, 0) => format!("verdict: not worse: none of {deciding} figures is above {bound}"),
            (0, _) => format!(
                "verdict: none of {deciding} figures is worse, but {unsettled} are not settled: more --rounds narrow intervals"
            ),
            _ => format!("verdict: worse, by a bound of {bound}"),
        };
        Conclusion { worse, text }
    }

    /// Whether a figure that decides, or the number of failures, is worse.
    pub fn is_worse(&self) -> bool {
        self.worse > 0
    }
}

impl fmt::Display for Conclusion {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_interval_above_the_bound_is_worse() {
        let verdict = |low, high| Verdict::of(Some(Interval { low, median: low, high }), 1.02);
        assert_eq!(verdict(1.021, 1.2), Verdict::Worse);
        assert_eq!(verdict(1.02, 1.2), Verdict::Unsettled);
        assert_eq!(verdict(0.5, 1.021), Verdict::Unsettled);
        assert_eq!(verdict(1.01, 1.02), Verdict::Kept);
        assert_eq!(verdict(0.9, 0.97), Verdict::Better);
        assert_eq!(Verdict::of(None, 1.02), Verdict::Unsettled);
    }

    #[test]
    fn a_build_that_takes_more_cpu_is_worse_however_the_machine_drifts() {
        let conclusion = |factor: f64| Conclusion::of(&compared(&rounds(factor, 0)), &[], 1.02);
        assert!(conclusion(1.05).is_worse());
        assert!(!conclusion(1.0).is_worse());
        assert!(conclusion(1.0).to_string().starts_with("verdict: not worse"), "{}", conclusion(1.0));
    }

    #[test]
    fn what_is_not_settled_is_said_and_is_not_worse() {
        let conclusion = Conclusion::of(&compared(&rounds(1.02, 0)), &[], 1.02);
        assert!(!conclusion.is_worse());
        let text = conclusion.to_string();
        assert!(
            text.starts_with("not settled: ws, CPU for a delivery") && text.contains("1 are not"),
            "{text}"
        );
    }

    #[test]
    fn rates_and_latencies_are_shown_and_do_not_decide() {
        let slow = |p99_ns: f64| vec![Sample { p99_ns: Some(p99_ns), ..Sample::default() }; 2];
        let sitting = || Sitting { this: slow(2e6), other: slow(1e6) };
        let rounds: Vec<Round> = (0..8).map(|_| [sitting(), sitting()]).collect();
        let conclusion = Conclusion::of(&compared(&rounds), &[], 1.02);
        assert!(!conclusion.is_worse());
        let text = conclusion.to_string();
        assert!(text.starts_with("worse, but does not decide: ws, latency, 99 %, ms: 2.000"), "{text}");
    }

    #[test]
    fn a_build_that_loses_messages_is_worse_at_any_speed() {
        let (faster, lossy) =
            (rounds(0.5, 3), [1, 0].map(|lost| Failures { scenario: "ws", this: lost, other: 0 }));
        assert_eq!(Failures::of("ws", &faster).this, 48);
        assert!(Conclusion::of(&compared(&faster), &lossy[..1], 1.02).is_worse());
        assert!(!Conclusion::of(&compared(&faster), &lossy[1..], 1.02).is_worse());
    }

    fn compared(rounds: &[Round]) -> Vec<Comparison> {
        Comparison::all("ws", rounds, 1.02)
    }

    /// Eight rounds on a machine that becomes slower and slower, of a build that takes `factor` as much CPU, give or
    /// take 1 %. The build that is opened first takes twice as much.
    fn rounds(factor: f64, failures: u64) -> Vec<Round> {
        let sample = |cpu_ns: f64, failures| Sample { cpu_ns: Some(cpu_ns), failures, ..Sample::default() };
        let round = |number: u32| {
            let cpu_ns = 1000.0 * 1.3f64.powi(number as i32);
            let wobble = 1.0 + (f64::from(number % 4) - 1.5) / 150.0;
            [2.0, 0.5].map(|order| Sitting {
                this: vec![sample(cpu_ns * factor * wobble * order, failures)],
                other: vec![sample(cpu_ns, 0)],
            })
        };
        (0..8).map(round).collect()
    }
}

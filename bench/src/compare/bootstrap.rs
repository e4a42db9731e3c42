//! The 95 % interval of a median, by the percentile bootstrap. From n values, n are drawn with repetition, and the median of
//! the draw is recorded. The interval contains the middle 95 % of 10,000 such medians. No distribution of the values is
//! assumed. The draws come from a fixed seed, so equal values always have an equal interval.

use super::medians::median;
use serde::Serialize;

/// A median, and the interval that contains the true median with a confidence of 95 %.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Interval {
    pub low: f64,
    pub median: f64,
    pub high: f64,
}

impl Interval {
    /// The interval of the median of `values`; `None` for fewer than [`FEWEST`] values.
    pub fn of(values: &[f64]) -> Option<Interval> {
        Interval::by(values, DRAWS)
    }

    fn by(values: &[f64], draws: usize) -> Option<Interval> {
        if values.len() < FEWEST {
            return None;
        }
        let mut random = SplitMix64(SEED);
        let mut draw =
            || median((0..values.len()).filter_map(|_| values.get(random.below(values.len())).copied()));
        let mut medians: Vec<f64> = (0..draws).filter_map(|_| draw()).collect();
        medians.sort_by(f64::total_cmp);
        let at = |part: f64| medians.get((part * (draws - 1) as f64).round() as usize).copied();
        Some(Interval { low: at(0.025)?, median: median(values.iter().copied())?, high: at(0.975)? })
    }
}

/// The least number of values. The whole range of five values misses the true median in 2 of 2^5 cases, more than 5 %.
pub const FEWEST: usize = 6;

/// A generator of random numbers that is the same on every machine and in every version (Steele, Lea and Flood, 2014).
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`. The probabilities differ by at most `bound` in 2^64.
    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

const DRAWS: usize = 10_000;
const SEED: u64 = 13;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_values_have_the_same_interval_whatever_their_order() {
        let values = [1.02, 0.99, 1.01, 1.0, 0.98, 1.03, 0.97];
        let interval = Interval::of(&values).unwrap();
        assert_eq!(Interval::of(&values), Some(interval));
        assert_eq!(interval.median, 1.0);
        assert!(interval.low < 1.0 && interval.high > 1.0, "{interval:?}");
    }

    #[test]
    fn one_strange_round_of_many_moves_the_interval_little() {
        let mut values: Vec<f64> = (0..12).map(|round| 1.0 + f64::from(round) / 1000.0).collect();
        values[0] = 9.0;
        let interval = Interval::of(&values).unwrap();
        assert!(interval.low >= 1.002 && interval.high <= 1.011, "{interval:?}");
    }

    #[test]
    fn few_values_have_no_interval() {
        assert_eq!(Interval::of(&[1.0; FEWEST - 1]), None);
        assert_eq!(Interval::of(&[1.0; FEWEST]), Some(Interval { low: 1.0, median: 1.0, high: 1.0 }));
    }

    #[test]
    fn intervals_hold_the_true_median_about_95_times_of_100() {
        let mut random = SplitMix64(7);
        let mut unit = || random.next() as f64 / u64::MAX as f64;
        // Two spreads whose median is 1: a bell, and one with a long tail as disturbed rounds have it.
        let mut bell = || 1.0 + 0.02 * ((0..12).map(|_| unit()).sum::<f64>() - 6.0);
        assert_coverage(&mut bell, 12);
        let mut tailed = || {
            let of = unit() - 0.5;
            1.0 + 0.02 * of + if of > 0.4 { 20.0 * (of - 0.4) } else { 0.0 }
        };
        assert_coverage(&mut tailed, 9);
        assert_coverage(&mut tailed, 15);
    }

    fn assert_coverage(value: &mut dyn FnMut() -> f64, rounds: usize) {
        const TRIALS: usize = 400;
        let holds = |interval: Interval| interval.low <= 1.0 && 1.0 <= interval.high;
        let held = (0..TRIALS)
            .filter(|_| {
                let values: Vec<f64> = (0..rounds).map(|_| value()).collect();
                Interval::by(&values, 500).is_some_and(holds)
            })
            .count();
        let percent = held as f64 * 100.0 / TRIALS as f64;
        assert!((91.0..=99.0).contains(&percent), "{percent} % of {rounds} rounds");
    }
}

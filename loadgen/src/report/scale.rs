//! The scales of axes: the place of a value on an axis, and the axis's marks.

/// Maps values to places on an axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scale {
    /// From 0 to the given value.
    Linear(f64),
    /// From the first to the second, by powers of ten.
    Logarithmic(f64, f64),
    /// Percentiles by the share above them: 90, 99 and 99.9 are equally far apart.
    Nines(u32),
}

impl Scale {
    /// A linear scale from 0 to a round number of at least `largest`.
    pub fn up_to(largest: f64) -> Scale {
        let step = step(largest);
        Scale::Linear((largest / step).ceil().max(1.0) * step)
    }

    /// The place of `value`, from 0 to 1.
    pub fn place(&self, value: f64) -> f64 {
        let place = match *self {
            Scale::Linear(end) => value / end,
            Scale::Logarithmic(start, end) => (value / start).ln() / (end / start).ln(),
            Scale::Nines(nines) => -(1.0 - value / 100.0).max(1e-12).log10() / f64::from(nines),
        };
        if place.is_nan() { 0.0 } else { place.clamp(0.0, 1.0) }
    }

    /// Values to mark.
    pub fn marks(&self) -> Vec<f64> {
        match *self {
            Scale::Linear(end) => {
                let step = step(end);
                (0..=(end / step + 1e-9).floor() as u32).map(|mark| f64::from(mark) * step).collect()
            }
            Scale::Logarithmic(start, end) => {
                let marks = [1.0, 2.0, 5.0].map(|digit| (0..13).map(move |power| digit * 10f64.powi(power)));
                let mut marks: Vec<f64> = marks.into_iter().flatten().collect();
                marks.retain(|mark| (start * 0.999..=end * 1.001).contains(mark));
                marks.sort_by(f64::total_cmp);
                if marks.len() > 9 {
                    marks.retain(|mark| mark.log10().fract() < 1e-9);
                }
                marks
            }
            Scale::Nines(nines) => {
                let percentile = |nines: u32| 100.0 - 100.0 / 10f64.powi(nines as i32);
                let mut marks = vec![0.0, 50.0];
                marks.extend((1..=nines).map(percentile));
                marks
            }
        }
    }
}

/// The distance of marks on a linear axis: a round number, so that there are four to ten marks up to `end`.
fn step(end: f64) -> f64 {
    if end <= 0.0 || !end.is_finite() {
        return 1.0;
    }
    let power = 10f64.powf((end / 4.0).log10().floor());
    let factor = end / 4.0 / power;
    let digit = if factor >= 5.0 {
        5.0
    } else if factor >= 2.0 {
        2.0
    } else {
        1.0
    };
    digit * power
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linear_axes_end_at_round_numbers() {
        assert_eq!(Scale::up_to(93.0), Scale::Linear(100.0));
        assert_eq!(Scale::up_to(0.0), Scale::Linear(1.0));
        assert_eq!(Scale::Linear(100.0).marks(), [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]);
        assert_eq!((Scale::Linear(10.0).place(5.0), Scale::Linear(0.0).place(0.0)), (0.5, 0.0));
    }

    #[test]
    fn nines_are_equally_far_from_each_other() {
        let scale = Scale::Nines(4);
        let places = [0.0, 90.0, 99.0, 99.9, 99.99, 100.0].map(|one| (scale.place(one) * 1e6).round() / 1e6);
        assert_eq!(places, [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]);
    }

    #[test]
    fn logarithmic_axes_are_marked_by_ones_twos_and_fives_or_by_tens() {
        assert_eq!(Scale::Logarithmic(1e3, 1e4).marks(), [1e3, 2e3, 5e3, 1e4]);
        assert_eq!(Scale::Logarithmic(1e3, 1e8).marks().len(), 6);
    }
}

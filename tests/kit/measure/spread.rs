//! A handful of measurements in five numbers. Pure.

/// What lies where in a set of measurements. All are NaN if there is none.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Spread {
    /// The smallest.
    pub min: f64,
    /// A quarter is below.
    pub low_quartile: f64,
    /// Half is below.
    pub median: f64,
    /// Three quarters are below.
    pub high_quartile: f64,
    /// The largest.
    pub max: f64,
}

impl Spread {
    /// Sorts them out; between two measurements it interpolates.
    ///
    /// ```
    /// let spread = testkit::measure::Spread::of(&[5.0, 1.0, 4.0, 2.0, 3.0]);
    /// assert_eq!((spread.min, spread.low_quartile, spread.median, spread.max), (1.0, 2.0, 3.0, 5.0));
    /// ```
    #[must_use]
    pub fn of(samples: &[f64]) -> Self {
        let mut sorted = samples.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let quarter = |quarters: usize| {
            let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
            let (index, rest) = (last * quarters / 4, last * quarters % 4);
            let next = (index + 1).min(last);
            sorted[index] + (sorted[next] - sorted[index]) * rest as f64 / 4.0
        };
        Self {
            min: quarter(0),
            low_quartile: quarter(1),
            median: quarter(2),
            high_quartile: quarter(3),
            max: quarter(4),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interpolates_between_neighbors() {
        let spread = Spread::of(&[4.0, 1.0]);
        assert_eq!(
            spread,
            Spread { min: 1.0, low_quartile: 1.75, median: 2.5, high_quartile: 3.25, max: 4.0 }
        );
    }

    #[test]
    fn one_is_all_of_them_and_none_is_not_a_number() {
        let one = Spread::of(&[7.0]);
        assert_eq!((one.min, one.median, one.max), (7.0, 7.0, 7.0));
        assert!(Spread::of(&[]).median.is_nan());
    }
}

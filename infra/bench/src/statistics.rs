//! Medians and percentiles of what was measured.

use std::time::Duration;

pub fn milliseconds(duration: Duration) -> f64 {
    rounded(duration.as_secs_f64() * 1_000.0)
}

/// To three decimals: finer than any of this is measured.
pub fn rounded(number: f64) -> f64 {
    (number * 1_000.0).round() / 1_000.0
}

#[expect(clippy::cast_precision_loss, reason = "memory far below 2^52 KiB")]
pub fn mebibytes(kib: u64) -> f64 {
    rounded(kib as f64 / 1_024.0)
}

/// The value that `per_cent` of all values do not exceed (nearest rank). There must be values.
pub fn percentile<T: Copy + Ord>(values: &[T], per_cent: usize) -> T {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let rank = (sorted.len() * per_cent).div_ceil(100).max(1);
    sorted[rank - 1]
}

pub fn median<T: Copy + Ord>(values: &[T]) -> T {
    percentile(values, 50)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let values: Vec<u32> = (1..=200).rev().collect();
        assert_eq!(median(&values), 100);
        assert_eq!(percentile(&values, 99), 198);
        assert_eq!(percentile(&values, 100), 200);
        assert_eq!(median(&[7]), 7);
    }

    #[test]
    fn times_are_told_in_milliseconds_with_three_decimals() {
        assert!((milliseconds(Duration::from_nanos(1_234_567)) - 1.235).abs() < f64::EPSILON);
    }
}

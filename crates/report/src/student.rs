//! One-sided 95 % quantiles of Student's t distribution: P(T ≤ t) = 0.95.
//!
//! Source: NIST/SEMATECH e-Handbook of Statistical Methods, section 1.3.6.7.2, column 0.95.

/// Entry i is the quantile at i + 1 degrees of freedom.
const QUANTILES: [f64; 30] = [
    6.314, 2.920, 2.353, 2.132, 2.015, 1.943, 1.895, 1.860, 1.833, 1.812, 1.796, 1.782, 1.771,
    1.761, 1.753, 1.746, 1.740, 1.734, 1.729, 1.725, 1.721, 1.717, 1.714, 1.711, 1.708, 1.706,
    1.703, 1.701, 1.699, 1.697,
];

/// One-sided 95 % quantile of Student's t with `degrees_of_freedom`; `None` for zero.
///
/// Beyond 30 degrees of freedom the value at 30 is used: it is larger than the true one by at most
/// 3.2 %, so a verdict is never bolder than the data.
#[must_use]
pub fn student_quantile(degrees_of_freedom: usize) -> Option<f64> {
    let row = degrees_of_freedom.checked_sub(1)?;
    QUANTILES.get(row.min(QUANTILES.len() - 1)).copied()
}

//! All eigenvalues of a symmetric tridiagonal matrix by bisection.
//!
//! The number of eigenvalues below x is that of negative pivots of T − x I,
//!
//! ```text
//! q₁ = α₁ − x,   q_{i+1} = α_{i+1} − x − βᵢ² / qᵢ
//! ```
//!
//! (Golub and Van Loan, Matrix Computations, §8.4.1). It has no iteration that could fail to converge,
//! and each eigenvalue is within a few ε ‖T‖ of the truth. nalgebra's QR iterations are no help here:
//! on matrices with many rows of zeros some of them end in NaN.

/// Halvings of an interval, enough for every bit of a double that counts beside ‖T‖.
const HALVINGS: usize = 60;

/// The eigenvalues in descending order, (m), of the matrix with `diagonal` (m) and `off_diagonal` (m − 1),
/// all finite.
pub(crate) fn eigenvalues(diagonal: &[f64], off_diagonal: &[f64]) -> Vec<f64> {
    let squares: Vec<f64> = off_diagonal.iter().map(|beta| beta * beta).collect();
    // Gershgorin's bound of every |eigenvalue|.
    let reach = |index: usize| {
        let before = index
            .checked_sub(1)
            .map_or(0.0, |index| off_diagonal[index].abs());
        let after = off_diagonal.get(index).map_or(0.0, |beta| beta.abs());
        diagonal[index].abs() + before + after
    };
    let bound = (0..diagonal.len()).map(reach).fold(0.0, f64::max);
    let bound = bound * (1.0 + 4.0 * f64::EPSILON);
    let mut highest = bound;
    (0..diagonal.len())
        .rev()
        .map(|below| {
            // The eigenvalue with exactly `below` ones under it, no larger than the one before.
            let (mut low, mut high) = (-bound, highest);
            for _ in 0..HALVINGS {
                let middle = 0.5 * (low + high);
                if middle <= low || middle >= high {
                    break;
                }
                if count_below(diagonal, &squares, middle) > below {
                    high = middle;
                } else {
                    low = middle;
                }
            }
            highest = high;
            0.5 * (low + high)
        })
        .collect()
}

/// Number of eigenvalues below `x`.
fn count_below(diagonal: &[f64], squares: &[f64], x: f64) -> usize {
    let mut pivot = 1.0;
    let mut count = 0;
    for (index, alpha) in diagonal.iter().enumerate() {
        let coupling = match index.checked_sub(1) {
            Some(before) if squares[before] > 0.0 => squares[before] / pivot,
            _ => 0.0,
        };
        pivot = alpha - x - coupling;
        // A pivot of zero stands for a tiny one: that moves no eigenvalue by more than it.
        if pivot == 0.0 {
            pivot = -f64::MIN_POSITIVE;
        }
        count += usize::from(pivot < 0.0);
    }
    count
}

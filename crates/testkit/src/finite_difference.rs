//! Central differences of fourth order in the step h.
//!
//! ```text
//! df(x; d) = [8 (f(x + h d) − f(x − h d)) − (f(x + 2 h d) − f(x − 2 h d))] / 12 h + O(h⁴)
//! ```
//!
//! With h = 1e-3 and functions of order one, truncation (h⁴ = 1e-12) and rounding (ε/h = 2e-13) are
//! both far below 1e-9. Steps across the kink of a piecewise function give a visibly wrong number,
//! never a silently right one. Source: Abramowitz and Stegun, formula 25.3.6.

use nalgebra::DMatrix;

/// The derivative of `function` (n -> m) at `at` along `direction`: m numbers.
pub fn directional(
    mut function: impl FnMut(&[f64]) -> Vec<f64>,
    at: &[f64],
    direction: &[f64],
    step: f64,
) -> Vec<f64> {
    let mut at_multiple = |multiple: f64| {
        let moved: Vec<f64> = at
            .iter()
            .zip(direction)
            .map(|(x, d)| x + multiple * step * d)
            .collect();
        function(&moved)
    };
    let [far_below, below] = [-2.0, -1.0].map(&mut at_multiple);
    let [above, far_above] = [1.0, 2.0].map(&mut at_multiple);
    (0..above.len())
        .map(|i| (8.0 * (above[i] - below[i]) - (far_above[i] - far_below[i])) / (12.0 * step))
        .collect()
}

/// The gradient of `function` (n -> 1) at `at`: n numbers.
pub fn gradient(mut function: impl FnMut(&[f64]) -> f64, at: &[f64], step: f64) -> Vec<f64> {
    let jacobian = jacobian(|x| vec![function(x)], at, step);
    jacobian.iter().copied().collect()
}

/// The Jacobian (m, n) of `function` (n -> m) at `at`; the Hessian when `function` is a gradient.
pub fn jacobian(
    mut function: impl FnMut(&[f64]) -> Vec<f64>,
    at: &[f64],
    step: f64,
) -> DMatrix<f64> {
    let columns: Vec<Vec<f64>> = (0..at.len())
        .map(|index| {
            let mut direction = vec![0.0; at.len()];
            direction[index] = 1.0;
            directional(&mut function, at, &direction, step)
        })
        .collect();
    DMatrix::from_fn(columns[0].len(), at.len(), |row, column| {
        columns[column][row]
    })
}

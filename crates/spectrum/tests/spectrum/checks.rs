//! A Lanczos run with its usual settings, and what has to hold of every one.

use flatness_operator::LinearOperator;
use flatness_spectrum::{Lanczos, LanczosSettings, lanczos};
use nalgebra::DMatrix;

use crate::matrices::matrix;

pub(crate) const SEED: u64 = 11;

pub(crate) fn run(operator: &dyn LinearOperator, steps: usize) -> Lanczos {
    let settings = LanczosSettings {
        steps,
        tolerance: 1e-8,
        seed: SEED,
    };
    lanczos(operator, &settings).unwrap()
}

pub(crate) fn tridiagonal(result: &Lanczos) -> DMatrix<f64> {
    DMatrix::from_fn(result.steps, result.steps, |row, column| {
        match row.abs_diff(column) {
            0 => result.diagonal[row],
            1 => result.off_diagonal[row.min(column)],
            _ => 0.0,
        }
    })
}

/// Qᵀ Q = I, A Q = Q T + r e_mᵀ with ‖r‖ = β_m and Qᵀ r = 0, the latter two relative to the norm of
/// A.
pub(crate) fn check_identities(
    name: &str,
    entries: &DMatrix<f64>,
    norm: f64,
    result: &Lanczos,
    tolerance: f64,
) {
    let basis = matrix(&result.basis().unwrap()).transpose();
    let steps = result.steps;
    assert_eq!(basis.ncols(), steps, "{name}");
    assert_eq!(result.products, steps, "{name}");
    assert_eq!(result.off_diagonal.len(), steps - 1, "{name}");
    let gram = basis.transpose() * &basis - DMatrix::identity(steps, steps);
    assert!(
        gram.amax() <= tolerance,
        "{name}: QᵀQ - I is {:e}",
        gram.amax()
    );
    let defect = (entries * &basis - &basis * tridiagonal(result)) / norm;
    let inside = defect.columns(0, steps - 1).amax();
    assert!(inside <= tolerance, "{name}: A Q - Q T is {inside:e}");
    let last = defect.column(steps - 1);
    let difference = (last.norm() - result.residual_norm / norm).abs();
    assert!(
        difference <= tolerance,
        "{name}: β_m is off by {difference:e}"
    );
    let overlap = (basis.transpose() * last).amax();
    assert!(overlap <= tolerance, "{name}: Qᵀ r is {overlap:e}");
    assert!(result.asymmetry <= tolerance * norm, "{name}");
}

/// Every Ritz value is as close to an eigenvalue as its residual says, up to the rounding of the
/// dense matrix.
pub(crate) fn check_residual_bounds(
    name: &str,
    eigenvalues: &[f64],
    norm: f64,
    result: &Lanczos,
    rounding: f64,
) {
    for ritz in result.ritz_values() {
        let distance = eigenvalues.iter().fold(f64::INFINITY, |least, value| {
            least.min((value - ritz.value).abs())
        });
        assert!(
            distance <= ritz.residual + rounding * norm,
            "{name}: {} is {distance:e} from the spectrum, claimed {:e}",
            ritz.value,
            ritz.residual
        );
        assert_eq!(
            ritz.converged,
            ritz.residual <= 1e-8 * result.spectral_norm().value.abs()
        );
    }
}

pub(crate) fn check_order_and_weights(name: &str, result: &Lanczos) {
    let ritz = result.ritz_values();
    assert_eq!(ritz.len(), result.steps, "{name}");
    assert!(
        ritz.windows(2).all(|pair| pair[0].value >= pair[1].value),
        "{name}"
    );
    let sum: f64 = ritz.iter().map(|ritz| ritz.weight).sum();
    assert!(
        (sum - 1.0).abs() <= 1e-12,
        "{name}: weights add up to {sum}"
    );
    assert_eq!(result.lambda_max(), ritz[0], "{name}");
    assert_eq!(result.lambda_min(), ritz[ritz.len() - 1], "{name}");
    let norm = result.spectral_norm().value.abs();
    assert!(ritz.iter().all(|ritz| ritz.value.abs() <= norm), "{name}");
}

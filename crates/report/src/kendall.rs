//! Kendall's rank correlation with ties, τ_b:
//!
//! τ_b = Σ sᵢⱼ tᵢⱼ / √(Σ sᵢⱼ² · Σ tᵢⱼ²), sums over pairs i < j, s = sign(xᵢ − xⱼ), t = sign(yᵢ − yⱼ).
//!
//! Source: M. G. Kendall, "The treatment of ties in ranking problems", Biometrika 33 (1945), 239-251.

use std::cmp::Ordering;

/// τ_b of paired samples; `None` when a sample is constant (or empty), when the lengths differ, or
/// when a value is not a number.
#[must_use]
pub fn kendall_tau(x: &[f64], y: &[f64]) -> Option<f64> {
    if x.len() != y.len() {
        return None;
    }
    let (mut product, mut x_untied, mut y_untied) = (0.0, 0.0, 0.0);
    for (i, (x_i, y_i)) in x.iter().zip(y).enumerate() {
        for (x_j, y_j) in x.iter().zip(y).take(i) {
            let s = sign(x_i.partial_cmp(x_j)?);
            let t = sign(y_i.partial_cmp(y_j)?);
            product += s * t;
            x_untied += s * s;
            y_untied += t * t;
        }
    }
    let tau = product / f64::sqrt(x_untied * y_untied);
    tau.is_finite().then_some(tau)
}

fn sign(ordering: Ordering) -> f64 {
    match ordering {
        Ordering::Less => -1.0,
        Ordering::Equal => 0.0,
        Ordering::Greater => 1.0,
    }
}

//! Exact spectra, Keskar's sharpness and rescaling with known answers.
//!
//! The rank is 600 + 10 (seed − 1) of P = 7850, 110 neurons, 10 classes, 100 examples. φ is the prediction in
//! the ball times 1 + (seed − 1)/100, in the box times 1.5, in the subspace times 0.5. Under rescaling by α
//! all curvature is multiplied by (α² + α⁻²)/2, and neither loss nor adaptive sharpness moves.

use flatness_records::{ExactSpectrum, KeskarPoint, Record, Region, RescalingPoint};

use super::{iterative, record, stochastic};

pub(super) fn exact(model: &str, factor: f64, seed: u64) -> Record {
    let mut run = record(model, factor, seed, 5e-4, &[100]);
    run.id += "-exact";
    let rank = 590 + 10 * usize::try_from(seed).expect("a small seed");
    let eigenvalue = |place: usize| {
        let sign = if place.is_multiple_of(2) { 1.0 } else { -0.1 };
        // Falls to the threshold at the rank.
        sign * factor * 1e-3f64.powf(place as f64 / rank as f64)
    };
    let mut eigenvalues: Vec<f64> = (0..run.model.parameters).map(eigenvalue).collect();
    eigenvalues.sort_by(|left, right| right.total_cmp(left));
    run.exact_spectrum = Some(ExactSpectrum {
        examples: 100,
        classes: 10,
        neurons: 110,
        eigenvalues,
        relative_threshold: 1e-3,
        rank,
        products: 7850,
    });
    run
}

pub(super) fn keskar(model: &str, factor: f64, seed: u64) -> Record {
    let mut run = record(model, factor, seed, 5e-4, &[100]);
    run.id += "-keskar";
    for (region, ratio) in [
        (Region::Box, 1.5),
        (Region::Subspace, 0.5),
        (Region::Ball, 1.0 + 0.01 * (seed as f64 - 1.0)),
    ] {
        for epsilon in [1e-5, 1e-4, 1e-3] {
            let predicted = factor * epsilon * epsilon;
            run.keskar.push(KeskarPoint {
                region,
                epsilon,
                phi: ratio * predicted,
                loss: 0.3,
                predicted: iterative(predicted),
                gradients: 60,
                converged: true,
            });
        }
    }
    run
}

pub(super) fn rescaled(model: &str, factor: f64, seed: u64) -> Record {
    let mut run = record(model, factor, seed, 5e-4, &[100]);
    run.id += "-rescaled";
    run.rescaling = [0.1f64, 1.0, 10.0]
        .map(|alpha| {
            let curvature = factor * (alpha.powi(2) + alpha.powi(-2)) / 2.0;
            RescalingPoint {
                layers: ["fc1".to_owned(), "fc2".to_owned()],
                alpha,
                loss: 0.3,
                parameter_norm: 3.0 * alpha,
                spectral_norm: iterative(curvature),
                trace: stochastic(10.0 * curvature, 0.02),
                frobenius: stochastic(2.0 * curvature, 0.03),
                adaptive_lambda_max: iterative(factor / 7.0),
            }
        })
        .to_vec();
    run
}

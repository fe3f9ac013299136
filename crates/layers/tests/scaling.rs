//! Rescaling a homogeneous network, `docs/MATHS.md` section 3. Without biases a ReLU network of
//! depth d has
//!
//! ```text
//! z(a θ) = aᵈ z(θ),   J(a θ) = aᵈ⁻¹ J(θ),   ∇²z(a θ) = aᵈ⁻² ∇²z(θ)
//! H(a θ) = a²ᵈ⁻² Σ Jᵀ A(aᵈ z) J + aᵈ⁻² Σ (p(aᵈ z) − y) ∇²z
//! ```
//!
//! so with all margins positive H first grows with the powers of a and then dies with the
//! exponentials in A and p − y, while no prediction changes. The biases stay zero, and only the
//! weights' rows and columns are looked at.

use candle_core::{Device, Tensor};
use flatness_layers::{Correct, Loss, Totals, count_correct};
use flatness_testkit::{
    Activation, Problem, assert_close, assert_matrices, finite_difference, values,
};
use nalgebra::DMatrix;

/// Positions of the weights in the flat vector: each layer's weights stand before its biases.
fn weights(widths: &[usize]) -> Vec<usize> {
    let mut start = 0;
    let mut weights = Vec::new();
    for pair in widths.windows(2) {
        weights.extend(start..start + pair[0] * pair[1]);
        start += (pair[0] + 1) * pair[1];
    }
    weights
}

/// A problem whose biases are zero and whose label is the largest of an example's first three
/// inputs, trained on its weights until every margin is positive, though small.
fn separated(widths: &[usize], seed: u64) -> Problem {
    let mut problem = Problem::new(widths, Activation::Relu, Loss::CrossEntropy, 6, seed);
    let first_three = problem.inputs.narrow(1, 0, 3).unwrap();
    problem.labels = first_three.argmax(1).unwrap();
    let weights = weights(widths);
    for index in (0..problem.dim()).filter(|index| !weights.contains(index)) {
        problem.theta[index] = 0.0;
    }
    for _ in 0..2_000 {
        let counted = count_correct(&problem.logits(), &problem.labels).unwrap();
        let correct = Correct::of(&Totals::read(&[&counted]).unwrap()[0]);
        if correct.first == problem.examples() {
            return problem;
        }
        let gradient = problem.gradient(&problem.theta);
        for &index in &weights {
            problem.theta[index] -= 0.05 * gradient[index];
        }
    }
    panic!("no margins without errors");
}

/// The same problem at a θ.
fn rescaled(widths: &[usize], seed: u64, factor: f64) -> Problem {
    let mut problem = separated(widths, seed);
    problem.theta.iter_mut().for_each(|x| *x *= factor);
    problem
}

fn weight_block(matrix: &DMatrix<f64>, widths: &[usize]) -> DMatrix<f64> {
    let weights = weights(widths);
    matrix.select_rows(&weights).select_columns(&weights)
}

const NETWORKS: [&[usize]; 3] = [&[5, 3], &[4, 8, 3], &[4, 12, 9, 3]];
const SEED: u64 = 81;

#[test]
fn logits_jacobian_and_both_terms_of_the_hessian_scale_with_their_powers() {
    for widths in NETWORKS {
        let depth = widths.len() as i32 - 1;
        let base = separated(widths, SEED);
        for factor in [0.5, 3.0] {
            let moved = rescaled(widths, SEED, factor);
            let power = |exponent: i32| f64::powi(factor, exponent);
            let logits = values(&base.logits()).into_iter();
            let expected: Vec<f64> = logits.map(|z| power(depth) * z).collect();
            assert_close("logits", &values(&moved.logits()), &expected, 1e-13);
            for (moved, base) in moved.jacobians().iter().zip(base.jacobians()) {
                let columns = weights(widths);
                let [moved, base] = [moved, &base].map(|j| j.select_columns(&columns));
                assert_matrices("J", &moved, &(base * power(depth - 1)), 1e-13);
            }
            // Σ r ∇²z at θ with the residuals r = p − y of a θ, held fixed: the derivative of Jᵀ r.
            let point = moved.linearize(&moved.theta);
            let residual = point.loss().gradient().unsqueeze(1).unwrap();
            let pulled_back = |theta: &[f64]| {
                let sums = base.zeros(1);
                let point = base.linearize(theta);
                let added = point.add_transposed_jacobian_product(&residual, &sums);
                added.unwrap();
                base.joined(&sums)
            };
            let curvature = finite_difference::jacobian(pulled_back, &base.theta, 1e-5);
            let expected = weight_block(&curvature, widths) * power(depth - 2);
            let residual_term = moved.hessian() - moved.gauss_newton();
            let got = weight_block(&residual_term, widths);
            if depth == 1 {
                assert_eq!(got.amax(), 0.0);
            } else {
                assert_matrices("R", &got, &expected, 1e-8);
            }
        }
    }
}

/// Spectral norms of the weights' Hessian along the ray a θ, aᵈ = 1/64, 1/32, ..., up to where the
/// largest has fallen a million times; predictions must not change on the way.
fn sharpness_along_the_ray(widths: &[usize]) -> Vec<f64> {
    let depth = widths.len() as f64 - 1.0;
    let prediction = |problem: &Problem| -> Vec<usize> {
        let best = |row: &Vec<f64>| (0..3).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap();
        let logits = problem.logits().to_vec2().unwrap();
        logits.iter().map(best).collect()
    };
    let before = prediction(&separated(widths, SEED));
    let mut sharpness = Vec::new();
    let mut peak = 0.0f64;
    for exponent in -6..=30 {
        let moved = rescaled(widths, SEED, 2f64.powf(f64::from(exponent) / depth));
        assert_eq!(prediction(&moved), before);
        let hessian = weight_block(&moved.hessian(), widths);
        let norm = hessian.symmetric_eigenvalues().amax();
        sharpness.push(norm);
        peak = peak.max(norm);
        if norm < 1e-6 * peak {
            return sharpness;
        }
    }
    panic!("no collapse along the ray: {sharpness:?}");
}

#[test]
fn sharpness_first_rises_then_collapses_and_no_prediction_changes() {
    for widths in NETWORKS {
        let sharpness = sharpness_along_the_ray(widths);
        let (first, last) = (sharpness[0], sharpness[sharpness.len() - 1]);
        let peak = sharpness.iter().fold(0.0, |most: f64, x| most.max(*x));
        // One layer has no power of a to rise by, only the turn of p from uniform to certain.
        let rise = if widths.len() == 2 { 1.1 } else { 2.0 };
        assert!(peak > rise * first, "{widths:?}: {sharpness:?}");
        assert!(last < 1e-6 * peak, "{widths:?}: {sharpness:?}");
    }
}

/// Two labels no linear map can fit together: the loss grows without bound along the ray, and the
/// curvature dies all the same.
#[test]
fn in_logistic_regression_confidence_kills_curvature_even_where_the_loss_grows() {
    let mut problem = separated(&[5, 3], SEED);
    let mut labels = problem.labels.to_vec1::<u32>().unwrap();
    labels[0] = (labels[0] + 1) % 3;
    problem.labels = Tensor::new(labels, &Device::Cpu).unwrap();
    let start = problem.theta.clone();
    let [near, far, beyond] = [1.0, 1e2, 1e4].map(|factor| {
        problem.theta = start.iter().map(|x| factor * x).collect();
        let loss = problem.linearize(&problem.theta).loss().sum().unwrap();
        (loss, problem.hessian().symmetric_eigenvalues().amax())
    });
    let rises = near.0 < far.0 && 50.0 * far.0 < beyond.0;
    let dies = far.1 < 1e-4 * near.1 && beyond.1 < 1e-100;
    assert!(rises && dies, "{near:?} {far:?} {beyond:?}");
}

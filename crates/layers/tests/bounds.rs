//! The bounds that tie curvature to the loss, `docs/MATHS.md` section 3, with l = −log p_y per
//! example:
//!
//! ```text
//! 2 e⁻ˡ (1 − e⁻ˡ) ≤ Tr A = 1 − Σ p² ≤ 1 − e⁻²ˡ ≤ 2 l
//! λ_max(A) ≤ min(1/2, Tr A),        ‖p − y‖₁ = 2 (1 − e⁻ˡ)
//! Tr G ≤ Σ (1 − e⁻²ˡ) ‖J‖²_F ≤ 2 L B_J,        ‖H‖₂ ≤ 2 L (B_J + B₂)
//! ```
//!
//! A is read off the library's products with unit vectors, l off its loss of one example.

use candle_core::{DType, Device, Tensor};
use flatness_layers::{Loss, LossPoint};
use flatness_testkit::{Activation, Problem, finite_difference, values};
use nalgebra::DMatrix;

/// Room for the rounding of numbers of order one.
const ROUNDING: f64 = 1e-14;

fn evaluate(logits: &[f64], label: u32) -> LossPoint {
    let logits = Tensor::from_slice(logits, (1, logits.len()), &Device::Cpu).unwrap();
    let label = Tensor::new(&[label], &Device::Cpu).unwrap();
    Loss::CrossEntropy.evaluate(&logits, &label).unwrap()
}

fn curvature(point: &LossPoint, classes: usize) -> DMatrix<f64> {
    let units = Tensor::eye(classes, DType::F64, &Device::Cpu).unwrap();
    let product = point.hessian_product(&units.unsqueeze(0).unwrap()).unwrap();
    DMatrix::from_vec(classes, classes, values(&product))
}

/// Undecided, decided by small and by large margins, two equal leaders, hopeless.
const LOGITS: [[f64; 4]; 8] = [
    [0.0, 0.0, 0.0, 0.0],
    [1.0, 0.5, -0.3, 0.2],
    [3.0, 3.0, -1.0, -2.0],
    [5.0, 0.0, 1.0, -1.0],
    [0.0, 0.0, 0.0, 30.0],
    [-40.0, 0.0, 0.0, 0.0],
    [700.0, 0.0, -700.0, 1.0],
    [1e-9, 0.0, 0.0, 0.0],
];

#[test]
fn the_curvature_of_an_example_is_bounded_by_its_loss() {
    for logits in LOGITS {
        for label in 0..4 {
            let point = evaluate(&logits, label);
            let a = curvature(&point, 4);
            let (loss, trace) = (point.sum().unwrap(), a.trace());
            let chain = [
                2.0 * (-loss).exp() * -(-loss).exp_m1(),
                trace,
                -(-2.0 * loss).exp_m1(),
                2.0 * loss,
            ];
            let what = format!("{logits:?}, label {label}: {chain:?}");
            for pair in chain.windows(2) {
                assert!(pair[0] <= pair[1] * (1.0 + ROUNDING) + ROUNDING, "{what}");
            }
            let largest = a.symmetric_eigenvalues().max();
            assert!(largest <= trace.min(0.5) + ROUNDING, "{what}, {largest}");
            let distance: f64 = values(point.gradient()).iter().map(|r| r.abs()).sum();
            let expected = -2.0 * (-loss).exp_m1();
            let error = (distance - expected).abs();
            assert!(error <= ROUNDING, "{what}, {distance}");
        }
    }
}

/// The bounds are attained: two classes at p = 1/2 have Tr A = λ_max = 1/2, and small losses have
/// Tr A ≈ 2 l.
#[test]
fn the_bounds_are_sharp() {
    let halves = evaluate(&[0.0, 0.0], 0);
    let a = curvature(&halves, 2);
    assert!((a.trace() - 0.5).abs() <= ROUNDING);
    assert!((a.symmetric_eigenvalues().max() - 0.5).abs() <= ROUNDING);
    for margin in [20.0, 100.0, 600.0] {
        let point = evaluate(&[margin, 0.0], 0);
        let ratio = curvature(&point, 2).trace() / (2.0 * point.sum().unwrap());
        // 1 − O(l), and l is below 3e-9.
        assert!((ratio - 1.0).abs() <= 1e-8, "{ratio}");
    }
}

/// The Hessians of each example's logits, from differences of Jᵀ e_c: largest spectral norm.
fn largest_logit_curvature(problem: &Problem, classes: usize) -> f64 {
    let mut largest = 0.0f64;
    for index in 0..problem.examples() * classes {
        let mut unit = vec![0.0; problem.examples() * classes];
        unit[index] = 1.0;
        let shape = (problem.examples(), 1, classes);
        let unit = Tensor::from_vec(unit, shape, &Device::Cpu).unwrap();
        let row_of_jacobian = |theta: &[f64]| {
            let sums = problem.zeros(1);
            let point = problem.linearize(theta);
            point.add_transposed_jacobian_product(&unit, &sums).unwrap();
            problem.joined(&sums)
        };
        let hessian = finite_difference::jacobian(row_of_jacobian, &problem.theta, 1e-4);
        largest = largest.max(hessian.symmetric_eigenvalues().amax());
    }
    largest
}

#[test]
fn the_curvature_of_a_network_is_bounded_by_its_loss() {
    for activation in [Activation::Relu, Activation::Tanh] {
        // Parameters times s: losses from about log 3 on both sides.
        for scale in [0.5, 1.0, 2.0, 4.0] {
            let mut problem = Problem::new(&[3, 4, 3], activation, Loss::CrossEntropy, 4, 71);
            problem.theta.iter_mut().for_each(|x| *x *= scale);
            let loss = problem.linearize(&problem.theta).loss().sum().unwrap();
            let jacobians = problem.jacobians();
            let squares: Vec<f64> = jacobians.iter().map(|j| j.norm_squared()).collect();
            let largest = squares.iter().fold(0.0, |most: f64, x| most.max(*x));
            let labels = problem.labels.to_vec1::<u32>().unwrap();
            let per_example: f64 = (problem.probabilities().iter().zip(&labels))
                .zip(&squares)
                .map(|((p, &label), square)| (1.0 - p[label as usize].powi(2)) * square)
                .sum();
            let trace = problem.gauss_newton().trace();
            let chain = [trace, per_example, 2.0 * loss * largest];
            assert!(chain[0] <= chain[1] && chain[1] <= chain[2], "{chain:?}");
            let norm = problem.hessian().symmetric_eigenvalues().amax();
            let bound = 2.0 * loss * (largest + largest_logit_curvature(&problem, 3));
            assert!(norm <= bound, "{norm} {bound}");
        }
    }
}

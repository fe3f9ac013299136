//! Norms and the Fisher-Rao norm against loops over the elements; scale invariance by scaling.

use candle_core::{DType, Device, Tensor};
use flatness_layers::{Loss, Network};
use flatness_measures::{
    Rescaling, fisher_rao, scale_invariant_norm, scale_invariant_weights, weight_norms,
};
use flatness_testkit::{
    Activation, Normalization, Problem, Residual, assert_close, moved, network, residual,
    statistics, vgg,
};
use nalgebra::DVector;

use crate::toy::{Toy, classifier, vector};

const EXAMPLES: usize = 7;

fn problems() -> [Problem; 3] {
    [
        classifier(&[4, 3], Activation::Relu, EXAMPLES, 21),
        classifier(&[4, 6, 3], Activation::Relu, EXAMPLES, 22),
        Problem::of(vgg(Normalization::None), Loss::CrossEntropy, EXAMPLES, 23),
    ]
}

#[test]
fn norms_are_roots_of_sums_of_squares() {
    let length = |piece: &[f64]| piece.iter().map(|x| x * x).sum::<f64>().sqrt();
    for problem in problems() {
        let (layout, theta) = (problem.network.layout(), vector(&problem.theta));
        let got = weight_norms(layout, &theta).unwrap();
        assert_close("total", &[got.total], &[length(&problem.theta)], 1e-14);
        let layers = problem.layers();
        let names: Vec<&str> = got.layers.iter().map(|layer| layer.name.as_str()).collect();
        assert_eq!(
            names,
            layers.iter().map(|layer| layer.0).collect::<Vec<_>>()
        );
        let norms: Vec<f64> = got.layers.iter().map(|layer| layer.norm).collect();
        let expected = layers
            .iter()
            .map(|(_, range)| length(&problem.theta[range.clone()]));
        assert_close("layers", &norms, &expected.collect::<Vec<_>>(), 1e-14);
        let short = theta.narrow(0, 1, problem.dim() - 1).unwrap();
        assert!(weight_norms(layout, &short).is_err());
    }
}

/// Multiplied by 3, they leave the loss as it is, and no other weight does.
#[test]
fn scale_invariant_weights_are_those_whose_scale_the_loss_does_not_see() {
    let cases: [(Network, &[&str]); 3] = [
        (vgg(Normalization::Batch), &["conv0.weight", "conv1.weight"]),
        (
            residual(Residual::PreActivation),
            &["block0.conv1.weight", "block1.conv1.weight"],
        ),
        (
            residual(Residual::Wide),
            &["block0.conv1.weight", "block1.conv1.weight"],
        ),
    ];
    for (network, expected) in cases {
        let frozen = network.freeze(&statistics(&network, 1)).unwrap();
        assert!(scale_invariant_weights(&frozen).is_empty());
        let mut problem = moved(network, Loss::CrossEntropy, EXAMPLES, 25);
        let found = scale_invariant_weights(&problem.network);
        let names: Vec<&str> = found.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, expected);
        // So large that the ε in the deviations, 1e-5, is nothing beside their variance.
        let ranges: Vec<_> = found.into_iter().map(|(_, range)| range).collect();
        let mut squares = 0.0;
        for index in ranges.into_iter().flatten() {
            problem.theta[index] *= 1e6;
            squares += problem.theta[index].powi(2);
        }
        let norm = scale_invariant_norm(&problem.network, &vector(&problem.theta)).unwrap();
        assert_close("norm", &[norm], &[squares.sqrt()], 1e-13);
        let toy = Toy::new(problem);
        let here = toy.loss(&toy.problem.theta);
        let mut start = 0;
        for parameter in toy.problem.network.layout().parameters() {
            let mut theta = toy.problem.theta.clone();
            theta[start..start + parameter.len()]
                .iter_mut()
                .for_each(|x| *x *= 3.0);
            start += parameter.len();
            let change = (toy.loss(&theta) - here).abs() / here;
            if expected.contains(&parameter.name.as_str()) {
                assert!(change < 1e-12, "{}: {change:e}", parameter.name);
            } else if parameter.shape.len() > 1 {
                assert!(change > 1e-6, "{}: {change:e}", parameter.name);
            }
        }
    }
    let plain = network(&[4], &[4, 3, 2], Activation::Relu);
    let theta = plain.layout().initialize(0, DType::F64, &Device::Cpu);
    assert_eq!(scale_invariant_norm(&plain, &theta.unwrap()).unwrap(), 0.0);
}

/// zᵀ (diag p − p pᵀ) z is the variance of z under p, here with z = J θ.
#[test]
fn the_fisher_rao_norm_is_the_mean_variance_of_the_logits_along_theta() {
    for problem in problems() {
        let variances: Vec<f64> = problem
            .jacobians()
            .iter()
            .zip(problem.probabilities())
            .map(|(jacobian, p)| {
                let z = jacobian * DVector::from_column_slice(&problem.theta);
                let mean: f64 = (0..z.len()).map(|c| p[c] * z[c]).sum();
                (0..z.len()).map(|c| p[c] * (z[c] - mean).powi(2)).sum()
            })
            .collect();
        let expected = variances.iter().sum::<f64>() / EXAMPLES as f64;
        let pairs = Rescaling::pairs(&problem.network);
        let toy = Toy::new(problem);
        let theta = toy.theta();
        let at = |theta: &Tensor| {
            let norm = toy.curved(theta, |one| fisher_rao(&one.gauss_newton(), theta));
            norm.unwrap().value
        };
        assert_close("Fisher-Rao", &[at(&theta)], &[expected], 1e-12);
        for pair in pairs {
            let rescaled = pair.apply(&theta, 30.0).unwrap();
            assert_close("rescaled", &[at(&rescaled)], &[expected], 1e-11);
        }
    }
}

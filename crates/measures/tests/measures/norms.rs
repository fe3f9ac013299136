//! Norms against loops over the elements; scale invariance by scaling.

use candle_core::{DType, Device};
use flatness_layers::{Loss, Network};
use flatness_measures::{scale_invariant_norm, scale_invariant_weights, weight_norms};
use flatness_testkit::{
    Activation, Normalization, Residual, assert_close, moved, network, residual, statistics, vgg,
};

use crate::toy::{Toy, three, vector};

const EXAMPLES: usize = 7;

#[test]
fn norms_are_roots_of_sums_of_squares() {
    let length = |piece: &[f64]| piece.iter().map(|x| x * x).sum::<f64>().sqrt();
    for problem in three(Activation::Relu, EXAMPLES, 21) {
        let (layout, theta) = (problem.network.layout(), vector(&problem.theta));
        let got = weight_norms(layout, &theta).unwrap();
        assert_close("total", &[got.total], &[length(&problem.theta)], 1e-14);
        let layers = problem.layers();
        assert_eq!(got.layers.len(), layers.len());
        for (got, (name, range)) in got.layers.iter().zip(layers) {
            assert_eq!(got.name, name);
            assert_close(name, &[got.norm], &[length(&problem.theta[range])], 1e-14);
        }
        let short = theta.narrow(0, 1, problem.dim() - 1).unwrap();
        assert!(weight_norms(layout, &short).is_err());
    }
}

/// Multiplied by 3, they leave the loss as it is, and no other weight does.
#[test]
fn scale_invariant_weights_are_those_whose_scale_the_loss_does_not_see() {
    let blocks = ["block0.conv1.weight", "block1.conv1.weight"];
    let cases: [(Network, [&str; 2]); 3] = [
        (vgg(Normalization::Batch), ["conv0.weight", "conv1.weight"]),
        (residual(Residual::PreActivation), blocks),
        (residual(Residual::Wide), blocks),
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
            let end = start + parameter.len();
            theta[start..end].iter_mut().for_each(|x| *x *= 3.0);
            start = end;
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

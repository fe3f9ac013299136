//! Homogeneous scaling: the logits are multiplied by aᵈ, and every prediction stays.

use candle_core::Tensor;
use flatness_layers::{Affine, Graph, Loss, Network, Relu};
use flatness_measures::HomogeneousScaling;
use flatness_testkit::{
    Activation, Normalization, Problem, Residual, assert_close, network, residual, statistics, vgg,
};

use crate::toy::{Toy, refused, zoo};

const EXAMPLES: usize = 24;

#[test]
fn logits_are_multiplied_by_the_power_of_the_depth_and_accuracy_stays() {
    for (name, depth) in [("logistic", 1), ("mlp", 3), ("cnn", 4)] {
        let network = zoo(name, &[1, 28, 28]);
        let toy = Toy::new(Problem::of(network, Loss::CrossEntropy, EXAMPLES, 3));
        let accuracy = |theta: &Tensor| toy.mean_loss().evaluate(theta).unwrap().accuracy;
        // Away from initial values, among which biases may be zero.
        let theta = (toy.theta() + 0.01).unwrap();
        let scaling = HomogeneousScaling::of(&toy.problem.network).unwrap();
        assert_eq!(scaling.depth(), depth, "{name}");
        // Powers of two are without rounding.
        for (factor, tolerance) in [
            (0.3, 1e-12),
            (1.0, 0.0),
            (2.5, 1e-12),
            (10.0, 1e-12),
            (0.5, 0.0),
        ] {
            let scaled = scaling.apply(&theta, factor).unwrap();
            let power = f64::powi(factor, depth as i32);
            let expected: Vec<f64> = toy.logits(&theta).iter().map(|z| power * z).collect();
            assert_close(name, &toy.logits(&scaled), &expected, tolerance);
            assert_eq!(accuracy(&scaled), accuracy(&theta));
        }
        for factor in [0.0, -1.0, f64::NAN] {
            refused(scaling.apply(&theta, factor), "the factor is");
        }
        let short = theta.narrow(0, 1, theta.elem_count() - 1).unwrap();
        refused(scaling.apply(&short, 2.0), "theta has shape");
    }
}

#[test]
fn networks_that_it_would_change_are_refused() {
    let batch = vgg(Normalization::Batch);
    let frozen = batch.freeze(&statistics(&batch, 1)).unwrap();
    let tanh = network(&[4], &[4, 3, 2], Activation::Tanh);
    let skip = || {
        let mut graph = Graph::new(&[3]);
        let x = graph.input();
        let y = graph.layer("fc0", Affine::new(3, 3), x)?;
        let y = graph.layer("relu", Relu, y)?;
        let x = graph.add("sum", x, y)?;
        let x = graph.layer("fc1", Affine::new(3, 2), x)?;
        graph.finish(x)
    };
    let cases: [(Network, &str); 5] = [
        (batch, "bn0 does not pass factors on"),
        (frozen, "bn0 does not pass factors on"),
        (residual(Residual::PreActivation), "block0.bn1 does not"),
        (tanh, "does not pass factors on"),
        (skip().unwrap(), "it has a skip"),
    ];
    for (network, reason) in cases {
        let message = HomogeneousScaling::of(&network).unwrap_err().to_string();
        assert!(message.contains(reason), "{message}");
    }
    let plain = HomogeneousScaling::of(&vgg(Normalization::None)).unwrap();
    assert_eq!(plain.depth(), 4);
    for name in ["all-cnn-c", "vgg-16"] {
        let network = zoo(name, &[3, 32, 32]);
        assert!(HomogeneousScaling::of(&network).is_ok(), "{name}");
    }
}

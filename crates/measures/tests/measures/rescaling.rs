//! Rescaling against its theory: the same loss, D⁻¹ H D⁻¹ written out, and the pairs that the zoo has.

use crate::toy::Toy;
use candle_core::{DType, Device, Tensor};
use flatness_curvature::Selection;
use flatness_layers::{
    Affine, AveragePool, BatchNorm, Conv2d, Dropout, Flatten, Graph, Loss, MaxPool, Network, Relu,
    Tanh, Window,
};
use flatness_measures::Rescaling;
use flatness_models::Architecture;
use flatness_testkit::{
    Activation, Normalization, Problem, Residual, assert_close, dense_matrix, network, residual,
    statistics, values, vgg,
};

const EXAMPLES: usize = 8;
const SAME: Window = Window {
    stride: 1,
    padding: 1,
};

/// Two convolutions with all that passes factors on between them.
fn pooled() -> Network {
    let mut graph = Graph::new(&[1, 4, 4]);
    let x = graph.input();
    let x = graph.layer("conv0", Conv2d::new(1, 2, 3, SAME), x).unwrap();
    let x = graph.layer("relu0", Relu, x).unwrap();
    let x = graph.layer("pool0", MaxPool::new(2, 2), x).unwrap();
    let dropout = Dropout::new(0.5).unwrap();
    let x = graph.layer("dropout", dropout, x).unwrap();
    let conv1 = Conv2d::new(2, 3, 3, SAME).without_bias();
    let x = graph.layer("conv1", conv1, x).unwrap();
    let x = graph.layer("pool1", AveragePool::new(2, 2), x).unwrap();
    let x = graph.layer("flatten", Flatten, x).unwrap();
    let x = graph.layer("fc", Affine::new(3, 3), x).unwrap();
    graph.finish(x).unwrap()
}

fn problems() -> [Problem; 2] {
    [network(&[4], &[4, 5, 4, 3], Activation::Relu), pooled()]
        .map(|network| Problem::of(network, Loss::CrossEntropy, EXAMPLES, 11))
}

fn names(network: &Network) -> Vec<String> {
    let pairs = Rescaling::pairs(network);
    let name = |pair: &Rescaling| format!("{} {}", pair.first(), pair.second());
    pairs.iter().map(name).collect()
}

#[test]
fn the_loss_stays_and_the_derivatives_change_as_theory_says() {
    for problem in problems() {
        let toy = Toy::new(problem);
        let (mean_loss, theta) = (toy.mean_loss(), toy.theta());
        let loss = mean_loss.evaluate(&theta).unwrap().loss;
        let (_, gradient) = mean_loss.gradient(&theta, Selection::All).unwrap();
        let matrices = |theta: &Tensor| {
            toy.curved(theta, |curvature| {
                let gauss_newton = dense_matrix(&curvature.gauss_newton());
                [dense_matrix(&curvature.hessian()), gauss_newton]
            })
        };
        let before = matrices(&theta);
        let pairs = Rescaling::pairs(&toy.problem.network);
        assert_eq!(pairs.len(), 2);
        for pair in pairs {
            for alpha in [1e-3, 0.5, 1.0, 7.0, 1e3] {
                let rescaled = pair.apply(&theta, alpha).unwrap();
                let (rescaled_loss, moved) = mean_loss.gradient(&rescaled, Selection::All).unwrap();
                // Rounding of a sum of a few products.
                assert_close("loss", &[rescaled_loss], &[loss], 1e-12);
                let diagonal = pair.diagonal(alpha, DType::F64, &Device::Cpu).unwrap();
                let diagonal = values(&diagonal);
                let expected = values(&gradient);
                let expected: Vec<f64> =
                    expected.iter().zip(&diagonal).map(|(g, d)| g / d).collect();
                assert_close("gradient", &values(&moved), &expected, 1e-12);
                for (got, before) in matrices(&rescaled).iter().zip(&before) {
                    // Entry by entry in the old scale, lest large blocks hide small ones.
                    let back =
                        got.map_with_location(|i, j, entry| entry * diagonal[i] * diagonal[j]);
                    assert_close("matrix", back.as_slice(), before.as_slice(), 1e-11);
                }
            }
        }
    }
}

#[test]
fn sharpness_rises_at_will() {
    for problem in problems() {
        let toy = Toy::new(problem);
        for pair in Rescaling::pairs(&toy.problem.network) {
            let lambda_max = |alpha: f64| {
                let theta = pair.apply(&toy.theta(), alpha).unwrap();
                let dense = toy.curved(&theta, |curvature| dense_matrix(&curvature.hessian()));
                dense.symmetric_eigenvalues().max()
            };
            // The blocks of W₁ grow as α⁻² when α falls, those of W₂ as α² when it grows.
            for alphas in [[1.0, 1e-3, 1e-4], [1.0, 1e3, 1e4]] {
                let sharpness = alphas.map(lambda_max);
                assert!(sharpness[1] > 2.0 * sharpness[0], "{sharpness:?}");
                let growth = sharpness[2] / sharpness[1];
                assert!((95.0..=101.0).contains(&growth), "{sharpness:?}");
            }
        }
    }
}

#[test]
fn the_pairs_are_those_that_only_homogeneous_layers_separate() {
    let zoo = |name: &str, shape: &[usize], classes| {
        let architecture = Architecture::find(name).unwrap();
        names(&architecture.network(shape, classes).unwrap())
    };
    let mnist: &[usize] = &[1, 28, 28];
    assert_eq!(zoo("logistic", mnist, 10), [""; 0]);
    assert_eq!(zoo("mlp", mnist, 10), ["fc0 fc1", "fc1 fc2"]);
    assert_eq!(
        zoo("cnn", mnist, 10),
        ["conv1 conv2", "conv2 fc1", "fc1 fc2"]
    );
    assert_eq!(zoo("all-cnn-c", &[3, 32, 32], 10).len(), 8);
    assert_eq!(zoo("vgg-16", &[3, 32, 32], 10).len(), 15);
    // Nothing but the head of a VGG with batch-norm is without it.
    assert_eq!(names(&vgg(Normalization::Batch)), ["fc0 fc1"]);
    assert_eq!(
        names(&vgg(Normalization::None)),
        ["conv0 conv1", "conv1 fc0", "fc0 fc1"]
    );
    let batch_norm = residual(Residual::PreActivation);
    let frozen = batch_norm.freeze(&statistics(&batch_norm, 1)).unwrap();
    assert_eq!(names(&frozen), [""; 0]);
    assert_eq!(names(&network(&[4], &[4, 3, 2], Activation::Tanh)), [""; 0]);
    assert_eq!(names(&pooled()), ["conv0 conv1", "conv1 fc"]);
}

/// Skips that begin or end between two layers, batch-norm and tanh each stand in the way of a pair.
#[test]
fn what_does_not_pass_factors_on_is_in_no_pair() {
    let pixel = Window {
        stride: 1,
        padding: 0,
    };
    let mut graph = Graph::new(&[1, 2, 2]);
    let x = graph.input();
    let x = graph.layer("a", Conv2d::new(1, 2, 1, pixel), x).unwrap();
    let skip = graph.layer("relu", Relu, x).unwrap();
    let x = graph.layer("b", Conv2d::new(2, 2, 3, SAME), skip).unwrap();
    let x = graph.add("sum", skip, x).unwrap();
    let x = graph.layer("c", Conv2d::new(2, 2, 3, SAME), x).unwrap();
    let x = graph.layer("bn", BatchNorm::new(2), x).unwrap();
    let x = graph.layer("d", Conv2d::new(2, 2, 3, SAME), x).unwrap();
    let x = graph.layer("tanh", Tanh, x).unwrap();
    let x = graph.layer("flatten", Flatten, x).unwrap();
    let x = graph.layer("e", Affine::new(8, 4), x).unwrap();
    let x = graph.layer("f", Affine::new(4, 2), x).unwrap();
    let network = graph.finish(x).unwrap();
    assert_eq!(names(&network), ["e f"]);
    let pair = Rescaling::pairs(&network).remove(0);
    let theta = network.layout().initialize(0, DType::F64, &Device::Cpu);
    let theta = theta.unwrap();
    let message = |theta: &Tensor, alpha: f64| pair.apply(theta, alpha).unwrap_err().to_string();
    for alpha in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(message(&theta, alpha).starts_with("alpha is"));
    }
    let short = theta.narrow(0, 1, theta.elem_count() - 1).unwrap();
    assert!(message(&short, 2.0).starts_with("theta: expected"));
}

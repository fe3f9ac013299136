//! Rescaling against its theory: the same loss, D⁻¹ H D⁻¹ written out, and the pairs that the zoo has.

use candle_core::{DType, Device, Tensor};
use flatness_curvature::Selection;
use flatness_layers::{
    Affine, AveragePool, BatchNorm, Conv2d, Dropout, Flatten, Graph, Loss, MaxPool, Network, Relu,
    Tanh, Window,
};
use flatness_measures::Rescaling;
use flatness_testkit::{
    Activation, Normalization, Problem, Residual, assert_close, dense_matrix, network, residual,
    statistics, values, vgg,
};

use crate::toy::{Toy, refused, zoo};

const EXAMPLES: usize = 8;
const SAME: Window = Window {
    stride: 1,
    padding: 1,
};

/// Two convolutions with all that passes factors on between them.
fn pooled() -> Network {
    let build = || {
        let mut graph = Graph::new(&[1, 4, 4]);
        let mut x = graph.layer("conv0", Conv2d::new(1, 2, 3, SAME), graph.input())?;
        x = graph.layer("relu0", Relu, x)?;
        x = graph.layer("pool0", MaxPool::new(2, 2), x)?;
        x = graph.layer("dropout", Dropout::new(0.5)?, x)?;
        x = graph.layer("conv1", Conv2d::new(2, 3, 3, SAME).without_bias(), x)?;
        x = graph.layer("pool1", AveragePool::new(2, 2), x)?;
        x = graph.layer("flatten", Flatten, x)?;
        x = graph.layer("fc", Affine::new(3, 3), x)?;
        graph.finish(x)
    };
    build().unwrap()
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
                let expected = values(&(&gradient / &diagonal).unwrap());
                assert_close("gradient", &values(&moved), &expected, 1e-12);
                let diagonal = values(&diagonal);
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
fn the_pairs_are_those_that_only_homogeneous_layers_separate() {
    let (mnist, cifar) = (&[1, 28, 28], &[3, 32, 32]);
    let batch_norm = residual(Residual::PreActivation);
    let frozen = batch_norm.freeze(&statistics(&batch_norm, 1)).unwrap();
    let tanh = network(&[4], &[4, 3, 2], Activation::Tanh);
    let plain = vgg(Normalization::None);
    let cases: [(Network, &[&str]); 8] = [
        (zoo("logistic", mnist), &[]),
        (zoo("mlp", mnist), &["fc0 fc1", "fc1 fc2"]),
        (zoo("cnn", mnist), &["conv1 conv2", "conv2 fc1", "fc1 fc2"]),
        // Nothing but the head of a VGG with batch-norm is without it.
        (vgg(Normalization::Batch), &["fc0 fc1"]),
        (plain, &["conv0 conv1", "conv1 fc0", "fc0 fc1"]),
        (frozen, &[]),
        (tanh, &[]),
        (pooled(), &["conv0 conv1", "conv1 fc"]),
    ];
    for (network, expected) in cases {
        assert_eq!(names(&network), expected);
    }
    assert_eq!(names(&zoo("all-cnn-c", cifar)).len(), 8);
    assert_eq!(names(&zoo("vgg-16", cifar)).len(), 15);
}

/// Skips that begin or end between two layers, batch-norm and tanh each stand in the way of a pair.
#[test]
fn what_does_not_pass_factors_on_is_in_no_pair() {
    let build = || {
        let mut graph = Graph::new(&[1, 2, 2]);
        let conv = || Conv2d::new(2, 2, 3, SAME);
        let x = graph.layer("a", Conv2d::new(1, 2, 3, SAME), graph.input())?;
        let skip = graph.layer("relu", Relu, x)?;
        let mut x = graph.layer("b", conv(), skip)?;
        x = graph.add("sum", skip, x)?;
        x = graph.layer("c", conv(), x)?;
        x = graph.layer("bn", BatchNorm::new(2), x)?;
        x = graph.layer("d", conv(), x)?;
        x = graph.layer("tanh", Tanh, x)?;
        x = graph.layer("flatten", Flatten, x)?;
        x = graph.layer("e", Affine::new(8, 4), x)?;
        x = graph.layer("f", Affine::new(4, 2), x)?;
        graph.finish(x)
    };
    let network = build().unwrap();
    assert_eq!(names(&network), ["e f"]);
    let pair = Rescaling::pairs(&network).remove(0);
    let theta = network.layout().initialize(0, DType::F64, &Device::Cpu);
    let theta = theta.unwrap();
    for alpha in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        refused(pair.apply(&theta, alpha), "alpha is");
    }
    let short = theta.narrow(0, 1, theta.elem_count() - 1).unwrap();
    refused(pair.apply(&short, 2.0), "theta has shape");
}

//! What batch statistics do to loss, gradient and curvature, `docs/MATHS.md` sections 1 and 3.
//!
//! Weights w in front of a batch-norm that takes its statistics from the batch have no scale:
//!
//! ```text
//! L(a w) = L(w),   ⟨w, ∇L⟩ = 0,   ∇L(a w) = a⁻¹ ∇L(w),   H(a w) = a⁻² H(w),   H w = −∇L     within w
//! ```
//!
//! up to ε = 1e-5 against the variance, which is why these tests make w large.

use std::ops::Range;

use candle_core::{Device, Tensor};
use flatness_layers::{Loss, Network};
use flatness_testkit::{
    Normalization, Problem, Residual, assert_close, assert_matrices, assert_small, coupled_images,
    gaussian, independent_images, moved, residual, statistics, values, vgg,
};
use nalgebra::DMatrix;

const EXAMPLES: usize = 4;

/// Networks, each with its batch-norm layers' pixels per example.
fn normalized() -> [(Network, &'static [usize]); 3] {
    [
        (vgg(Normalization::Batch), &[16, 4]),
        (residual(Residual::PreActivation), &[16, 16, 16, 4, 4]),
        (residual(Residual::Wide), &[16, 16, 16, 16, 4]),
    ]
}

/// Sums over the values of each channel of (B, C, H, W) by loops: mean and unbiased variance.
fn moments(x: &Tensor) -> (Vec<f64>, Vec<f64>) {
    let (examples, channels, height, width) = x.dims4().unwrap();
    let (elements, pixels) = (values(x), height * width);
    let count = (examples * pixels) as f64;
    let of_channel = |channel: usize| {
        let starts = (0..examples).map(move |example| (example * channels + channel) * pixels);
        starts.flat_map(|start| elements[start..start + pixels].to_vec())
    };
    (0..channels)
        .map(|channel| {
            let mean = of_channel(channel).sum::<f64>() / count;
            let squares: f64 = of_channel(channel).map(|x| (x - mean).powi(2)).sum();
            (mean, squares / (count - 1.0))
        })
        .unzip()
}

#[test]
fn batch_statistics_are_means_and_unbiased_variances() {
    let problem = moved(residual(Residual::Wide), Loss::CrossEntropy, EXAMPLES, 5);
    let point = problem.linearize(&problem.theta);
    let statistics = values(&point.batch_statistics().unwrap());
    // The first batch-norm stands behind the first convolution.
    let (weight, bias) = (&problem.theta[..36], &problem.theta[36..38]);
    let weight = Tensor::from_slice(weight, (2, 2, 3, 3), &Device::Cpu).unwrap();
    let bias = Tensor::from_slice(bias, (1, 2, 1, 1), &Device::Cpu).unwrap();
    let x = problem.inputs.conv2d(&weight, 1, 1, 1, 1).unwrap();
    let (means, variances) = moments(&x.broadcast_add(&bias).unwrap());
    assert_close("means", &statistics[..2], &means, 1e-13);
    assert_close("variances", &statistics[2..4], &variances, 1e-13);
}

#[test]
fn frozen_at_its_own_statistics_a_batch_has_the_same_logits() {
    for (network, pixels) in normalized() {
        let problem = moved(network, Loss::CrossEntropy, EXAMPLES, 6);
        let point = problem.linearize(&problem.theta);
        let mut own = values(&point.batch_statistics().unwrap());
        // Running variances are unbiased; a batch is normalised by its biased ones.
        let mut start = 0;
        for (pair, pixels) in problem.network.buffers().parameters().chunks(2).zip(pixels) {
            let count = (EXAMPLES * pixels) as f64;
            let variances = start + pair[0].len()..start + 2 * pair[0].len();
            start = variances.end;
            let own = own[variances].iter_mut();
            own.for_each(|x| *x *= (count - 1.0) / count);
        }
        assert_eq!(start, own.len());
        let own = Tensor::new(own, &Device::Cpu).unwrap();
        let expected = values(&problem.logits());
        let frozen = Problem {
            network: problem.network.freeze(&own).unwrap(),
            ..problem
        };
        assert_close("logits", &values(&frozen.logits()), &expected, 1e-13);
    }
}

/// The examples `range` of `problem` as a problem of their own.
fn part(problem: &Problem, range: Range<usize>) -> Problem {
    let rows = |tensor: &Tensor| tensor.narrow(0, range.start, range.len()).unwrap();
    Problem {
        network: problem.network.clone(),
        theta: problem.theta.clone(),
        inputs: rows(&problem.inputs),
        labels: rows(&problem.labels),
        ..*problem
    }
}

#[test]
fn a_batch_is_the_sum_of_its_parts_only_where_its_examples_are_independent() {
    let cases = independent_images(EXAMPLES, 7);
    let count = cases.len();
    let cases = cases.into_iter().chain(coupled_images(EXAMPLES, 7));
    for (index, (what, problem)) in cases.enumerate() {
        let independent = index < count;
        assert_eq!(problem.network.couples_examples(), !independent, "{what}");
        let vectors = gaussian((1, problem.dim()), 8);
        let parts = [part(&problem, 0..1), part(&problem, 1..4)];
        let all = |problem: &Problem| {
            let loss = problem.linearize(&problem.theta).loss().sum().unwrap();
            let gradient = problem.gradient(&problem.theta);
            [vec![loss], gradient, problem.hessian_product(&vectors)]
        };
        let [first, second] = parts.each_ref().map(all);
        for ((whole, first), second) in all(&problem).iter().zip(first).zip(second) {
            let sum: Vec<f64> = first.iter().zip(second).map(|(a, b)| a + b).collect();
            if independent {
                assert_close(&what, &sum, whole, 1e-12);
            } else {
                let apart = sum.iter().zip(whole).map(|(a, b)| (a - b).abs());
                assert!(apart.fold(0.0, f64::max) > 1e-2, "{what}");
            }
        }
    }
}

/// A network at weights times `factor` within the group in front of a batch-norm, and the group.
fn scaled(network: Network, layer: &str, factor: f64) -> (Problem, Range<usize>) {
    let mut problem = moved(network, Loss::CrossEntropy, EXAMPLES, 9);
    let layers = problem.layers();
    let (_, range) = layers.iter().find(|(name, _)| *name == layer).unwrap();
    let range = range.clone();
    let weights = problem.theta[range.clone()].iter_mut();
    weights.for_each(|x| *x *= factor);
    (problem, range)
}

/// Variances are of order 1e8 then, so ε changes the thirteenth digit.
const LARGE: f64 = 1e4;

#[test]
fn weights_before_batch_statistics_have_no_scale() {
    let cases = [
        (vgg(Normalization::Batch), "conv0"),
        (vgg(Normalization::Batch), "conv1"),
        (residual(Residual::PreActivation), "block0.conv1"),
        (residual(Residual::Wide), "block1.conv1"),
    ];
    for (network, layer) in cases {
        let [(one, group), (other, _)] =
            [LARGE, 3.0 * LARGE].map(|factor| scaled(network.clone(), layer, factor));
        let loss = |problem: &Problem| problem.linearize(&problem.theta).loss().sum().unwrap();
        assert_close("L", &[loss(&other)], &[loss(&one)], 1e-11);

        let gradient = |problem: &Problem| problem.gradient(&problem.theta)[group.clone()].to_vec();
        let (weights, slope) = (&one.theta[group.clone()], gradient(&one));
        let products: Vec<f64> = weights.iter().zip(&slope).map(|(w, g)| w * g).collect();
        let magnitude: f64 = products.iter().map(|product| product.abs()).sum();
        assert_small("⟨w, ∇L⟩", &[products.iter().sum()], 1e-11 * magnitude);
        let expected: Vec<f64> = slope.iter().map(|g| g / 3.0).collect();
        assert_close("∇L(3 w)", &gradient(&other), &expected, 1e-10);

        let block = |problem: &Problem| -> DMatrix<f64> {
            let (start, size) = (group.start, group.len());
            let hessian = problem.hessian();
            hessian.view((start, start), (size, size)).into_owned()
        };
        let hessian = block(&one);
        assert_matrices("H(3 w)", &block(&other), &(&hessian / 9.0), 1e-10);
        let product = &hessian * DMatrix::from_column_slice(weights.len(), 1, weights);
        let expected: Vec<f64> = slope.iter().map(|g| -g).collect();
        let scale = hessian.amax() * weights.iter().fold(0.0, |most: f64, w| most.max(w.abs()));
        let apart: Vec<f64> = product.iter().zip(&expected).map(|(a, b)| a - b).collect();
        assert_small("H w = −∇L", &apart, 1e-10 * scale);
    }
}

#[test]
fn a_bias_before_batch_statistics_changes_nothing() {
    let problem = moved(vgg(Normalization::Batch), Loss::CrossEntropy, EXAMPLES, 10);
    // Biases stand behind the weights.
    let first = problem.layers()[0].1.clone();
    let bias = first.end - 3..first.end;
    let gradient = problem.gradient(&problem.theta);
    let largest = gradient.iter().fold(0.0, |most: f64, g| most.max(g.abs()));
    let of_bias = &gradient[bias.clone()];
    assert_small("gradient of the bias", of_bias, 1e-14 * largest);
    let hessian = problem.hessian();
    let rows = hessian.rows(bias.start, bias.len()).into_owned();
    let bound = 1e-13 * hessian.amax();
    assert_small("Hessian of the bias", rows.as_slice(), bound);
}

/// Frozen, the trace of R is zero; with batch statistics the logits are not affine in a parameter.
#[test]
fn batch_statistics_leave_a_residual_on_the_diagonal() {
    for (what, problem) in coupled_images(EXAMPLES, 11) {
        let (hessian, gauss_newton) = (problem.hessian(), problem.gauss_newton());
        let apart = (hessian.trace() - gauss_newton.trace()).abs();
        assert!(apart > 1e-2 * gauss_newton.trace(), "{what}: {apart}");
    }
}

#[test]
fn freezing_and_thinning_keep_names_shapes_and_order() {
    for (network, _) in normalized() {
        let frozen = network.freeze(&statistics(&network, 12)).unwrap();
        let [thin, both] = [&network, &frozen].map(|network| network.thin(1, 0).unwrap());
        for other in [&frozen, &thin, &both] {
            assert_eq!(other.layout(), network.layout());
        }
        assert_eq!(frozen.multiply_adds(), network.multiply_adds());
        assert_eq!(thin.buffers(), network.buffers());
    }
}

//! The mean loss where examples depend on their batch, through batch-norm, or on their place in it,
//! through dropout.
//!
//! ```text
//! L(θ) = (1/N) Σ_b L_b(θ)     over the batches b of the partition, L_b the summed loss of one of them
//! ```
//!
//! The oracle for a batch is the dense matrix of its own problem, and loops for the statistics.

use std::ops::Range;

use candle_core::{Device, Tensor};
use flatness_curvature::{MeanLoss, Selection};
use flatness_layers::{Affine, BatchNorm, Dropout, Flatten, Graph, Loss, Relu};
use flatness_testkit::{Problem, assert_close, coupled_images, dense_matrix, moved, values};

use crate::setup::{RETENTIONS, data, theta, with_mean_loss};

const EXAMPLES: usize = 10;
const BATCH_SIZE: usize = 4;
/// The partition: 4 + 4 + 2.
const BATCHES: [Range<usize>; 3] = [0..4, 4..8, 8..10];
/// Rounding, amplified by the division by the deviation of two examples' values.
const ROUNDING: f64 = 1e-12;

/// Runs `check` with up to 5 workers: more than batches, each of which must stay whole.
fn for_workers(problem: &Problem, check: impl Fn(&str, &MeanLoss<'_>)) {
    let data = data(problem);
    for threads in [1, 2, 3, 5] {
        let what = format!("{threads} workers");
        with_mean_loss(problem, &data, (threads, BATCH_SIZE), |mean_loss, _| {
            check(&what, mean_loss)
        });
    }
}

/// The examples at `indices` as a problem of their own.
fn batch(problem: &Problem, indices: &[u32]) -> Problem {
    let indices = Tensor::new(indices, &Device::Cpu).unwrap();
    let rows = |tensor: &Tensor| tensor.index_select(&indices, 0).unwrap();
    Problem {
        network: problem.network.clone(),
        theta: problem.theta.clone(),
        inputs: rows(&problem.inputs),
        labels: rows(&problem.labels),
        ..*problem
    }
}

/// Sums over the batches of `order`, cut by the partition, divided by all examples.
fn mean_over_batches(
    problem: &Problem,
    order: &[u32],
    quantity: impl Fn(&Problem) -> Vec<f64>,
) -> Vec<f64> {
    let batches = BATCHES.map(|range| quantity(&batch(problem, &order[range])));
    (0..batches[0].len())
        .map(|i| batches.iter().map(|values| values[i]).sum::<f64>() / EXAMPLES as f64)
        .collect()
}

fn in_order() -> Vec<u32> {
    (0..EXAMPLES as u32).collect()
}

fn loss_of(problem: &Problem) -> Vec<f64> {
    vec![problem.linearize(&problem.theta).loss().sum().unwrap()]
}

fn gradient_of(problem: &Problem) -> Vec<f64> {
    problem.gradient(&problem.theta)
}

#[test]
fn loss_and_gradient_are_means_over_the_batches_of_the_partition() {
    for (what, problem) in coupled_images(EXAMPLES, 21) {
        let mut shuffled = in_order();
        shuffled.swap(0, 9);
        shuffled.swap(3, 5);
        let mut losses = Vec::new();
        for order in [in_order(), shuffled] {
            let loss = mean_over_batches(&problem, &order, loss_of);
            let expected = mean_over_batches(&problem, &order, gradient_of);
            for_workers(&problem, |workers, mean_loss| {
                let what = format!("{what}, {workers}");
                let at = Selection::At(&order);
                let (mean, gradient) = mean_loss.gradient(&theta(&problem), at).unwrap();
                assert_close(&what, &[mean], &loss, ROUNDING);
                assert_close(&what, &values(&gradient), &expected, ROUNDING);
                if order == in_order() {
                    let only = mean_loss.evaluate(&theta(&problem)).unwrap();
                    assert_close(&what, &[only.loss], &loss, ROUNDING);
                }
            });
            losses.push(loss[0]);
        }
        // Another partition is another function.
        assert!((losses[0] - losses[1]).abs() > 1e-3, "{what}: {losses:?}");
    }
}

#[test]
fn operators_are_means_over_batches_of_dense_matrices_kept_or_computed_anew() {
    for (what, problem) in coupled_images(EXAMPLES, 22) {
        let dense = |matrix: fn(&Problem) -> nalgebra::DMatrix<f64>| {
            mean_over_batches(&problem, &in_order(), |batch| {
                matrix(batch).as_slice().to_vec()
            })
        };
        let expected = [dense(Problem::hessian), dense(Problem::gauss_newton)];
        for_workers(&problem, |workers, mean_loss| {
            let products = RETENTIONS.map(|retention| {
                let curvature = mean_loss.curvature(&theta(&problem), retention).unwrap();
                [curvature.hessian(), curvature.gauss_newton()]
                    .map(|operator| dense_matrix(&operator))
            });
            assert_eq!(products[0], products[1], "{what}, {workers}");
            for (got, expected) in products[0].iter().zip(&expected) {
                let what = format!("{what}, {workers}");
                assert_close(&what, got.as_slice(), expected, ROUNDING);
            }
        });
    }
}

/// A batch-norm of inputs (C, H, W) of 8 elements themselves, then an affine map: statistics that loops can
/// give.
fn normalized_inputs(shape: [usize; 3], seed: u64) -> Problem {
    let build = || {
        let mut graph = Graph::new(&shape);
        let x = graph.layer("bn", BatchNorm::new(shape[0]), graph.input())?;
        let x = graph.layer("flatten", Flatten, x)?;
        let x = graph.layer("fc", Affine::new(8, 3), x)?;
        graph.finish(x)
    };
    moved(build().unwrap(), Loss::CrossEntropy, EXAMPLES, seed)
}

/// Means (2), then unbiased variances (2), of the inputs at `indices`, by loops.
fn statistics_by_loops(problem: &Problem, indices: &[u32]) -> Vec<f64> {
    let inputs = values(&problem.inputs);
    let (mut means, mut variances) = (Vec::new(), Vec::new());
    for channel in 0..2 {
        let mut own = Vec::new();
        for &example in indices {
            let start = (example as usize * 2 + channel) * 4;
            own.extend_from_slice(&inputs[start..start + 4]);
        }
        let count = own.len() as f64;
        let mean = own.iter().sum::<f64>() / count;
        let squares: f64 = own.iter().map(|x| (x - mean).powi(2)).sum();
        means.push(mean);
        variances.push(squares / (count - 1.0));
    }
    [means, variances].concat()
}

#[test]
fn a_training_gradient_returns_the_statistics_of_its_batch() {
    let problem = normalized_inputs([2, 2, 2], 23);
    let indices = [7, 2, 9, 2];
    let expected = statistics_by_loops(&problem, &indices);
    let own = batch(&problem, &indices);
    let gradient: Vec<f64> = gradient_of(&own).iter().map(|g| g / 4.0).collect();
    for_workers(&problem, |what, mean_loss| {
        let step = mean_loss.training_gradient(&theta(&problem), &indices, 1);
        let step = step.unwrap();
        assert_close(what, &values(&step.statistics), &expected, ROUNDING);
        assert_close(what, &values(&step.gradient), &gradient, ROUNDING);
        let loss = loss_of(&own)[0] / 4.0;
        assert_close(what, &[step.evaluation.loss], &[loss], ROUNDING);
    });
}

/// Batches count by their examples: 4/10, 4/10 and 2/10.
#[test]
fn batch_statistics_are_averaged_over_the_batches() {
    let problem = normalized_inputs([2, 2, 2], 23);
    let mut expected = [0.0; 4];
    for range in BATCHES {
        let weight = range.len() as f64 / EXAMPLES as f64;
        let own = statistics_by_loops(&problem, &in_order()[range]);
        expected
            .iter_mut()
            .zip(own)
            .for_each(|(sum, one)| *sum += weight * one);
    }
    for_workers(&problem, |what, mean_loss| {
        let got = mean_loss.batch_statistics(&theta(&problem)).unwrap();
        assert_close(what, &values(&got), &expected, ROUNDING);
    });
}

/// A batch of one value per channel has no variance to keep, and says so.
#[test]
fn a_last_batch_of_one_value_per_channel_is_an_error_of_its_statistics_alone() {
    let problem = normalized_inputs([8, 1, 1], 25);
    let five = [0, 1, 2, 3, 4];
    for_workers(&problem, |what, mean_loss| {
        let theta = theta(&problem);
        for (indices, part) in [(&five[..], "batch-norm bn"), (&five[..1], "one value")] {
            let error = mean_loss.training_gradient(&theta, indices, 1).unwrap_err();
            assert!(error.to_string().contains(part), "{what}: {error}");
        }
        assert!(mean_loss.training_gradient(&theta, &five[..4], 1).is_ok());
        assert!(mean_loss.gradient(&theta, Selection::At(&five)).is_ok());
    });
}

#[test]
fn the_gradient_of_dropout_depends_on_its_seed_and_not_on_the_workers() {
    let build = || {
        let mut graph = Graph::new(&[6]);
        let mut x = graph.layer("dropout0", Dropout::new(0.2)?, graph.input())?;
        x = graph.layer("fc0", Affine::new(6, 8), x)?;
        x = graph.layer("relu", Relu, x)?;
        x = graph.layer("dropout1", Dropout::new(0.5)?, x)?;
        x = graph.layer("fc1", Affine::new(8, 3), x)?;
        graph.finish(x)
    };
    let problem = moved(build().unwrap(), Loss::CrossEntropy, EXAMPLES, 26);
    let indices = [3, 1, 4, 1, 5, 9, 2, 6];
    // One sweep over the whole batch with the masks on.
    let expected = |seed: u64| -> Vec<f64> {
        let own = batch(&problem, &indices);
        let thinned = Problem {
            network: own.network.thin(seed, 0).unwrap(),
            ..own
        };
        gradient_of(&thinned).iter().map(|g| g / 8.0).collect()
    };
    let apart = |a: &[f64], b: &[f64]| {
        let differences = a.iter().zip(b).map(|(a, b)| (a - b).abs());
        differences.fold(0.0, f64::max)
    };
    let seeds = [1, 2, u64::MAX];
    for_workers(&problem, |what, mean_loss| {
        let theta = theta(&problem);
        for seed in seeds {
            let step = mean_loss.training_gradient(&theta, &indices, seed).unwrap();
            assert_close(what, &values(&step.gradient), &expected(seed), ROUNDING);
        }
        // Whatever is not training has dropout off.
        let (_, plain) = mean_loss.gradient(&theta, Selection::At(&indices)).unwrap();
        let own = gradient_of(&batch(&problem, &indices));
        let own: Vec<f64> = own.iter().map(|g| g / 8.0).collect();
        assert_close(what, &values(&plain), &own, ROUNDING);
        assert!(apart(&own, &expected(1)) > 1e-2);
    });
    assert!(apart(&expected(1), &expected(2)) > 1e-2);
}

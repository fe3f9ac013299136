//! The mean over a data set against candle's autograd of the whole batch, for every way of cutting
//! it up.

use candle_core::{DType, Device, Tensor};
use flatness_curvature::{Error, Evaluation, MeanLoss, Retention, Selection};
use flatness_data::{Dataset, Divisible};
use flatness_layers::{Loss, Network, Workers};
use flatness_testkit::{Activation, Autograd, Oracle, assert_close, dataset, network, values};

use crate::setup::{RETENTIONS, settings};

const EXAMPLES: usize = 37;
const WIDTHS: [usize; 3] = [12, 7, 5];
/// One by one, uneven, all but one, all.
const BATCH_SIZES: [usize; 4] = [1, 5, 36, 37];
/// Rounding of sums over 37 examples.
const TYPES: [(DType, f64); 2] = [(DType::F64, 1e-13), (DType::F32, 1e-5)];

struct Fixture {
    network: Network,
    data: Dataset,
    /// (P), f64
    theta: Tensor,
}

impl Fixture {
    fn new() -> Self {
        let network = network(&[1, 3, 4], &WIDTHS, Activation::Tanh);
        let theta = network.layout().initialize(2, DType::F64, &Device::Cpu);
        Self {
            data: dataset(EXAMPLES, [1, 3, 4], 5, 1),
            theta: theta.unwrap(),
            network,
        }
    }

    fn mean_loss<'a>(
        &'a self,
        loss: Loss<'static>,
        workers: &'a Workers,
        dtype: DType,
        batch_size: usize,
    ) -> MeanLoss<'a> {
        let settings = settings(dtype, batch_size);
        MeanLoss::new(&self.network, &self.data, loss, workers, settings).unwrap()
    }

    /// Mean loss and gradient over the examples at `indices`, by autograd.
    fn expected(&self, loss: Loss<'static>, indices: &[u32]) -> (f64, Vec<f64>) {
        let batch = self.data.gather(indices, DType::F64, &Device::Cpu).unwrap();
        let inputs = batch.inputs.flatten_from(1).unwrap();
        let oracle = Autograd {
            widths: WIDTHS.to_vec(),
            activation: Activation::Tanh,
            loss,
        };
        let theta = values(&self.theta);
        // Over the sum of the weights of the labels.
        let weight = |label: f64| loss.class_weights().map_or(1.0, |of| of[label as usize]);
        let count: f64 = values(&batch.labels).into_iter().map(weight).sum();
        let gradient = oracle.gradient(&theta, &inputs, &batch.labels);
        let loss = oracle.loss(&theta, &inputs, &batch.labels) / count;
        (loss, gradient.iter().map(|g| g / count).collect())
    }

    /// Runs `check` for every number of threads, batch size and number type, with θ in that type.
    fn for_all(&self, loss: Loss<'static>, check: impl Fn(&str, &MeanLoss<'_>, &Tensor, f64)) {
        for threads in 1..=3 {
            let workers = Workers::new(threads).unwrap();
            for batch_size in BATCH_SIZES {
                for (dtype, tolerance) in TYPES {
                    let what = format!("{loss:?}, {threads} threads, {batch_size}, {dtype:?}");
                    let mean_loss = self.mean_loss(loss, &workers, dtype, batch_size);
                    let theta = self.theta.to_dtype(dtype).unwrap();
                    check(&what, &mean_loss, &theta, tolerance);
                }
            }
        }
    }
}

fn all() -> Vec<u32> {
    (0..EXAMPLES as u32).collect()
}

/// Repetitions count, and order changes rounding only.
#[test]
fn loss_and_gradient_are_means_over_the_selection_however_it_is_cut() {
    let (fixture, all) = (Fixture::new(), all());
    let selections: [&[u32]; 4] = [&[3], &[3, 3, 0, 36], &[36, 0, 3, 3], &[8; 9]];
    let (weights, smoothing) = (&[0.5, 2.0, 0.0, 1.0, 3.0], 0.1);
    let weighted = Loss::ClassWeights { weights, smoothing };
    let wholes = [Loss::CrossEntropy, Loss::SquaredError, weighted].map(|loss| (loss, &all[..]));
    let parts = selections.map(|selection| (Loss::CrossEntropy, selection));
    for (loss, selection) in wholes.into_iter().chain(parts) {
        let (expected_loss, expected) = fixture.expected(loss, selection);
        fixture.for_all(loss, |what, mean_loss, theta, tolerance| {
            let at = Selection::At(selection);
            let (loss, gradient) = mean_loss.gradient(theta, at).unwrap();
            assert_close(what, &[loss], &[expected_loss], tolerance);
            assert_close(what, &values(&gradient), &expected, tolerance);
            if selection.len() == EXAMPLES {
                let only = mean_loss.evaluate(theta).unwrap();
                assert_eq!(only.loss, loss, "{what}");
            }
        });
    }
}

#[test]
fn accuracy_is_the_fraction_whose_largest_logit_is_the_labels() {
    let fixture = Fixture::new();
    let Fixture {
        network,
        data,
        theta,
    } = &fixture;
    let batch = data.batch(0..EXAMPLES, DType::F64, &Device::Cpu).unwrap();
    let views = network.layout().views(theta).unwrap();
    let logits = network.forward(&views, &batch.inputs).unwrap();
    let hits = logits.argmax(1).unwrap().eq(&batch.labels).unwrap();
    let hits = values(&hits).into_iter().sum::<f64>() as usize;
    assert!(hits > 0 && hits < EXAMPLES, "{hits}");
    fixture.for_all(Loss::CrossEntropy, |what, mean_loss, theta, _| {
        let Evaluation { accuracy, .. } = mean_loss.evaluate(theta).unwrap();
        assert_eq!(accuracy, hits as f64 / EXAMPLES as f64, "{what}");
    });
}

#[test]
fn an_epoch_over_other_data_is_the_same_loss_of_them() {
    let fixture = Fixture::new();
    let workers = Workers::new(2).unwrap();
    let mean_loss = fixture.mean_loss(Loss::CrossEntropy, &workers, DType::F64, 5);
    let head = fixture.data.take(9).unwrap();
    let over = mean_loss.over(&head).unwrap();
    let indices: Vec<u32> = (0..9).collect();
    let (expected, _) = fixture.expected(Loss::CrossEntropy, &indices);
    let evaluation = over.evaluate(&fixture.theta).unwrap();
    assert_close("loss", &[evaluation.loss], &[expected], 1e-13);
    // Five classes: every label is among the first five.
    assert_eq!(evaluation.top5_accuracy, 1.0);
    let error = mean_loss.over(&head.take(4).unwrap()).unwrap_err();
    assert!(matches!(error, Error::BatchSize { .. }), "{error}");
}

#[test]
fn the_same_call_gives_the_same_bits() {
    let fixture = Fixture::new();
    fixture.for_all(Loss::CrossEntropy, |what, mean_loss, theta, _| {
        let run = || {
            let (loss, gradient) = mean_loss.gradient(theta, Selection::All).unwrap();
            (loss, values(&gradient))
        };
        let first = run();
        for _ in 0..3 {
            assert_eq!(run(), first, "{what}");
        }
        // All examples by name are all examples.
        let named = mean_loss.gradient(theta, Selection::At(&all())).unwrap();
        assert_eq!((named.0, values(&named.1)), first, "{what}");
    });
}

#[test]
fn selections_without_examples_or_beyond_the_data_are_errors() {
    let fixture = Fixture::new();
    fixture.for_all(Loss::CrossEntropy, |what, mean_loss, theta, _| {
        let none = mean_loss.gradient(theta, Selection::At(&[]));
        assert!(matches!(none, Err(Error::NoExamples { .. })), "{what}");
        for selection in [&[EXAMPLES as u32][..], &[0, 1, u32::MAX]] {
            let beyond = mean_loss.gradient(theta, Selection::At(selection));
            let is_of_data = matches!(beyond, Err(Error::Data(_)));
            assert!(is_of_data, "{what}, {selection:?}");
        }
    });
}

#[test]
fn data_and_settings_that_do_not_fit_the_network_are_errors() {
    let (fixture, workers) = (Fixture::new(), Workers::new(1).unwrap());
    let make = |data: &Dataset, dtype, batch_size| {
        let settings = settings(dtype, batch_size);
        let loss = Loss::CrossEntropy;
        MeanLoss::new(&fixture.network, data, loss, &workers, settings).map(drop)
    };
    assert!(make(&fixture.data, DType::F64, 1).is_ok());
    for (shape, classes) in [
        ([1, 4, 3], 5),
        ([3, 1, 4], 5),
        ([1, 3, 4], 4),
        ([1, 3, 4], 6),
    ] {
        let other = dataset(EXAMPLES, shape, classes, 1);
        let error = make(&other, DType::F64, 1);
        assert!(
            matches!(&error, Err(Error::Fit { data, .. }) if data == "toy"),
            "{error:?}"
        );
    }
    for size in [0, EXAMPLES + 1, usize::MAX] {
        let Err(Error::BatchSize { examples, got, .. }) = make(&fixture.data, DType::F64, size)
        else {
            panic!("{size}");
        };
        assert_eq!((examples, got), (EXAMPLES, size));
    }
    // Number types without exact arithmetic.
    for dtype in [DType::BF16, DType::U8] {
        let error = make(&fixture.data, dtype, 5);
        let named = matches!(&error, Err(Error::SettingsType { got }) if *got == dtype.as_str());
        assert!(named, "{error:?}");
    }
}

#[test]
fn parameters_that_do_not_fit_are_errors() {
    let fixture = Fixture::new();
    let workers = Workers::new(2).unwrap();
    let mean_loss = fixture.mean_loss(Loss::CrossEntropy, &workers, DType::F64, 5);
    let dim = fixture.theta.elem_count();
    let wrong = [
        fixture.theta.narrow(0, 1, dim - 1).unwrap(),
        fixture.theta.unsqueeze(0).unwrap(),
        fixture.theta.to_dtype(DType::F32).unwrap(),
    ];
    let messages = [
        "flat vector of fc0.weight to fc1.bias: expected shape [131], got [130]",
        "flat vector of fc0.weight to fc1.bias: expected shape [131], got [1, 131]",
        "theta has dtype F32 where F64 is expected; convert it with `to_dtype` first",
    ];
    for (theta, message) in wrong.iter().zip(messages) {
        let error = mean_loss.evaluate(theta).unwrap_err();
        assert_eq!(error.to_string(), message);
        assert!(mean_loss.gradient(theta, Selection::All).is_err());
        assert!(mean_loss.bytes_per_example(theta).is_err());
        for retention in RETENTIONS {
            assert!(
                mean_loss.curvature(theta, retention).is_err(),
                "{retention:?}"
            );
        }
    }
}

/// Per example, in elements: inputs 12, tanh 7 (kept once for two layers), p and p − y 5 each, and
/// the cotangents 5, 7, 7 of the three layers with second-order terms.
#[test]
fn the_bytes_of_an_example_count_every_tensor() {
    let fixture = Fixture::new();
    fixture.for_all(Loss::CrossEntropy, |what, mean_loss, theta, _| {
        let bytes = mean_loss.bytes_per_example(theta).unwrap();
        let element = theta.dtype().size_in_bytes();
        assert_eq!(bytes, (12 + 7 + 5 + 5 + 5 + 7 + 7) * element, "{what}");
    });
}

#[test]
fn retention_follows_the_budget() {
    for (budget, retained, recomputed) in [(0, 0, 1), (10, 10, 11)] {
        let of = [retained, recomputed].map(|bytes| Retention::within(budget, bytes));
        assert_eq!(of, RETENTIONS, "{budget}");
    }
}

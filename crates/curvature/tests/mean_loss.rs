//! The mean over a data set against candle's autograd of the whole batch, for every way of cutting
//! it up.

use candle_core::{DType, Device, Tensor};
use flatness_curvature::{Error, Evaluation, MeanLoss, Retention, Selection, Settings};
use flatness_data::Dataset;
use flatness_layers::{Loss, Network, Workers};
use flatness_testkit::{Activation, Autograd, Oracle, assert_close, dataset, network, values};

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
        loss: Loss,
        workers: &'a Workers,
        dtype: DType,
        batch_size: usize,
    ) -> MeanLoss<'a> {
        let settings = Settings {
            dtype,
            device: Device::Cpu,
            batch_size,
        };
        MeanLoss::new(&self.network, &self.data, loss, workers, settings).unwrap()
    }

    fn autograd(&self, loss: Loss) -> Autograd {
        Autograd {
            widths: WIDTHS.to_vec(),
            activation: Activation::Tanh,
            loss,
        }
    }

    /// Mean loss and gradient over the examples at `indices`, by autograd.
    fn expected(&self, loss: Loss, indices: &[u32]) -> (f64, Vec<f64>) {
        let batch = self.data.gather(indices, DType::F64, &Device::Cpu).unwrap();
        let inputs = batch.images.flatten_from(1).unwrap();
        let (oracle, theta) = (self.autograd(loss), values(&self.theta));
        let count = indices.len() as f64;
        let gradient = oracle.gradient(&theta, &inputs, &batch.labels);
        (
            oracle.loss(&theta, &inputs, &batch.labels) / count,
            gradient.iter().map(|g| g / count).collect(),
        )
    }

    /// Runs `check` for every number of threads, batch size and number type, with θ in that type.
    fn for_all(&self, loss: Loss, check: impl Fn(&str, &MeanLoss<'_>, &Tensor, f64)) {
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

#[test]
fn loss_and_gradient_are_means_over_all_examples_however_they_are_cut() {
    let fixture = Fixture::new();
    for loss in [Loss::CrossEntropy, Loss::SquaredError] {
        let (expected_loss, expected) = fixture.expected(loss, &all());
        fixture.for_all(loss, |what, mean_loss, theta, tolerance| {
            let (loss, gradient) = mean_loss.gradient(theta, Selection::All).unwrap();
            assert_close(what, &[loss], &[expected_loss], tolerance);
            assert_close(what, &values(&gradient), &expected, tolerance);
            let only = mean_loss.evaluate(theta).unwrap();
            assert_eq!(only.loss, loss, "{what}");
        });
    }
}

#[test]
fn accuracy_is_the_fraction_whose_largest_logit_is_the_labels() {
    let fixture = Fixture::new();
    let batch = fixture
        .data
        .batch(0..EXAMPLES, DType::F64, &Device::Cpu)
        .unwrap();
    let views = fixture.network.layout().views(&fixture.theta).unwrap();
    let logits = fixture.network.forward(&views, &batch.images).unwrap();
    let predictions = logits.argmax(1).unwrap().to_vec1::<u32>().unwrap();
    let labels = batch.labels.to_vec1::<u32>().unwrap();
    let hits = predictions
        .iter()
        .zip(&labels)
        .filter(|(a, b)| a == b)
        .count();
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
fn a_selection_counts_repetitions_and_order_changes_rounding_only() {
    let fixture = Fixture::new();
    let selections: [&[u32]; 4] = [&[3], &[3, 3, 0, 36], &[36, 0, 3, 3], &[8; 9]];
    for selection in selections {
        let (expected_loss, expected) = fixture.expected(Loss::CrossEntropy, selection);
        fixture.for_all(Loss::CrossEntropy, |what, mean_loss, theta, tolerance| {
            let at = Selection::At(selection);
            let (loss, gradient) = mean_loss.gradient(theta, at).unwrap();
            assert_close(what, &[loss], &[expected_loss], tolerance);
            assert_close(what, &values(&gradient), &expected, tolerance);
        });
    }
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
            assert!(
                matches!(beyond, Err(Error::Data(_))),
                "{what}, {selection:?}"
            );
        }
    });
}

#[test]
fn data_that_do_not_fit_the_network_are_errors() {
    let fixture = Fixture::new();
    let workers = Workers::new(1).unwrap();
    let make = |data: &Dataset, batch_size| {
        let settings = Settings {
            dtype: DType::F64,
            device: Device::Cpu,
            batch_size,
        };
        let made = MeanLoss::new(
            &fixture.network,
            data,
            Loss::CrossEntropy,
            &workers,
            settings,
        );
        made.map(drop)
    };
    assert!(make(&fixture.data, 1).is_ok());
    for (shape, classes) in [
        ([1, 4, 3], 5),
        ([3, 1, 4], 5),
        ([1, 3, 4], 4),
        ([1, 3, 4], 6),
    ] {
        let other = dataset(EXAMPLES, shape, classes, 1);
        let error = make(&other, 1).unwrap_err();
        assert!(
            matches!(&error, Error::Fit { data, .. } if data == "toy"),
            "{error}"
        );
    }
    for batch_size in [0, EXAMPLES + 1, usize::MAX] {
        let error = make(&fixture.data, batch_size).unwrap_err();
        assert!(
            matches!(error, Error::BatchSize { examples: EXAMPLES, got, .. } if got == batch_size),
            "{error}"
        );
    }
}

#[test]
fn settings_of_a_number_type_without_exact_arithmetic_are_errors() {
    let (fixture, workers) = (Fixture::new(), Workers::new(1).unwrap());
    for dtype in [DType::BF16, DType::U8] {
        let settings = Settings {
            dtype,
            device: Device::Cpu,
            batch_size: 5,
        };
        let (network, data) = (&fixture.network, &fixture.data);
        let error = MeanLoss::new(network, data, Loss::CrossEntropy, &workers, settings);
        assert!(
            matches!(&error, Err(Error::SettingsType { got }) if *got == dtype.as_str()),
            "{error:?}"
        );
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
        "theta: expected f64 as in the settings of the mean loss, got f32; convert it with \
         `Tensor::to_dtype` first",
    ];
    for (theta, message) in wrong.iter().zip(messages) {
        let error = mean_loss.evaluate(theta).unwrap_err();
        assert_eq!(error.to_string(), message);
        assert!(mean_loss.gradient(theta, Selection::All).is_err());
        assert!(mean_loss.bytes_per_example(theta).is_err());
        for retention in [Retention::Retain, Retention::Recompute] {
            let product = mean_loss.curvature(theta, retention).and_then(|curvature| {
                use flatness_operator::LinearOperator;
                let product = curvature.hessian().apply(&fixture.theta);
                product.map_err(|_| Error::Network(flatness_layers::Error::NoParameters))
            });
            assert!(product.is_err(), "{retention:?}");
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
    for (budget, bytes, expected) in [
        (0, 0, Retention::Retain),
        (0, 1, Retention::Recompute),
        (10, 10, Retention::Retain),
        (10, 11, Retention::Recompute),
    ] {
        assert_eq!(
            Retention::within(budget, bytes),
            expected,
            "{budget} {bytes}"
        );
    }
}

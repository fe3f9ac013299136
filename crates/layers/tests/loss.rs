//! Losses at the logits against formulas written out, and against central differences of them.

use candle_core::{DType, Device, Tensor};
use flatness_layers::{Error, IGNORED, Loss, LossPoint};
use flatness_testkit::{assert_close, assert_small, finite_difference, gaussian, labels, values};

const LOSSES: [Loss; 7] = [
    Loss::CrossEntropy,
    Loss::LabelSmoothing { smoothing: 0.1 },
    Loss::LabelSmoothing { smoothing: 0.7 },
    Loss::ClassWeights {
        weights: &[0.5, 3.0, 0.0],
        smoothing: 0.0,
    },
    Loss::ClassWeights {
        weights: &[0.25, 1.0, 2.0],
        smoothing: 0.3,
    },
    Loss::SquaredError,
    Loss::BinaryCrossEntropy,
];
const EXAMPLES: usize = 4;
const CLASSES: usize = 3;

/// One-hot rows.
fn one_hot(labels: &[u32]) -> Vec<f64> {
    let row =
        |&label: &u32| (0..CLASSES).map(move |class| f64::from(u8::from(class == label as usize)));
    labels.iter().flat_map(row).collect()
}

/// Σ −Σ w q log softmax(z), where q = y or (1 − s) y + s / C and w = 1 or the weight of the class, Σ ½ ‖z − y‖² or Σ −Σ y log s + (1 − y) log (1 − s), where
/// s = 1 / (1 + exp −z), from the definitions.
fn formula(loss: Loss, logits: &[f64], labels: &[u32]) -> f64 {
    formula_of_values(loss, logits, &one_hot(labels))
}

fn formula_of_values(loss: Loss, logits: &[f64], values: &[f64]) -> f64 {
    let mut sum = 0.0;
    for (z, y) in logits.chunks(CLASSES).zip(values.chunks(CLASSES)) {
        let normalizer = z.iter().map(|z| z.exp()).sum::<f64>().ln();
        for (class, (&z, &y)) in z.iter().zip(y).enumerate() {
            sum += match loss {
                Loss::CrossEntropy => -y * (z - normalizer),
                Loss::LabelSmoothing { smoothing } => {
                    let q = (1.0 - smoothing) * y + smoothing / CLASSES as f64;
                    -q * (z - normalizer)
                }
                Loss::ClassWeights { weights, smoothing } => {
                    let q = (1.0 - smoothing) * y + smoothing / CLASSES as f64;
                    -weights[class] * q * (z - normalizer)
                }
                Loss::SquaredError => 0.5 * (z - y).powi(2),
                Loss::BinaryCrossEntropy => {
                    let s = 1.0 / (1.0 + (-z).exp());
                    -y * s.ln() - (1.0 - y) * (1.0 - s).ln()
                }
            };
        }
    }
    sum
}

fn evaluate(loss: Loss, logits: &[f64], labels: &[u32]) -> LossPoint {
    let logits = Tensor::from_slice(logits, (EXAMPLES, CLASSES), &Device::Cpu).unwrap();
    let labels = Tensor::new(labels, &Device::Cpu).unwrap();
    loss.evaluate(&logits, &labels).unwrap()
}

#[test]
fn value_gradient_and_hessian_product_equal_the_formula_and_its_differences() {
    let logits = values(&gaussian((EXAMPLES, CLASSES), 1));
    let labels = labels(EXAMPLES, CLASSES as u32, 2).to_vec1().unwrap();
    let block = gaussian((EXAMPLES, 2, CLASSES), 3);
    for loss in LOSSES {
        let point = evaluate(loss, &logits, &labels);
        let what = format!("{loss:?}");
        let expected = formula(loss, &logits, &labels);
        assert_close(&what, &[point.sum().unwrap()], &[expected], 1e-14);
        let gradient = finite_difference::gradient(|z| formula(loss, z, &labels), &logits, 1e-3);
        assert_eq!(point.gradient().dims(), [EXAMPLES, CLASSES]);
        assert_close(&what, &values(point.gradient()), &gradient, 1e-10);
        let product = point.hessian_product(&block).unwrap();
        assert_eq!(product.dims(), block.dims());
        for vector in 0..2 {
            let along = |block: &Tensor| values(&block.narrow(1, vector, 1).unwrap());
            let gradient = |z: &[f64]| values(evaluate(loss, z, &labels).gradient());
            let direction = along(&block);
            let expected = finite_difference::directional(gradient, &logits, &direction, 1e-3);
            assert_close(&what, &along(&product), &expected, 1e-10);
        }
    }
}

/// Rows of numbers between zero and one that sum to one.
fn soft_labels(rows: usize) -> Vec<f64> {
    let rows = values(&gaussian((rows, CLASSES), 9));
    let rows = rows.chunks(CLASSES).flat_map(|row| {
        let powers: Vec<f64> = row.iter().map(|x| (3.0 * x).exp()).collect();
        let sum: f64 = powers.iter().sum();
        powers.into_iter().map(move |power| power / sum)
    });
    rows.collect()
}

#[test]
fn values_are_labels_too() {
    let logits = values(&gaussian((EXAMPLES, CLASSES), 1));
    let soft = soft_labels(EXAMPLES);
    let labels = Tensor::from_slice(&soft, (EXAMPLES, CLASSES), &Device::Cpu).unwrap();
    let block = gaussian((EXAMPLES, 1, CLASSES), 3);
    for loss in LOSSES {
        let at = |z: &[f64]| {
            let logits = Tensor::from_slice(z, (EXAMPLES, CLASSES), &Device::Cpu).unwrap();
            loss.evaluate(&logits, &labels).unwrap()
        };
        let (point, what) = (at(&logits), format!("{loss:?}"));
        let expected = |z: &[f64]| formula_of_values(loss, z, &soft);
        assert_close(&what, &[point.sum().unwrap()], &[expected(&logits)], 1e-14);
        let gradient = finite_difference::gradient(expected, &logits, 1e-3);
        assert_close(&what, &values(point.gradient()), &gradient, 1e-10);
        let product = values(&point.hessian_product(&block).unwrap());
        let gradient = |z: &[f64]| values(at(z).gradient());
        let direction = values(&block);
        let expected = finite_difference::directional(gradient, &logits, &direction, 1e-3);
        assert_close(&what, &product, &expected, 1e-10);
    }
}

/// Values are held to all outputs at once: an image is a long vector.
#[test]
fn values_of_several_axes_are_summed() {
    let (long, image) = ((EXAMPLES, 6), (EXAMPLES, 2, CLASSES));
    let (outputs, targets) = (gaussian(long, 1), gaussian(long, 2));
    let targets = ((targets.tanh().unwrap() + 1.0).unwrap() * 0.5).unwrap();
    let block = gaussian((EXAMPLES, 2, 6), 3);
    for loss in [Loss::SquaredError, Loss::BinaryCrossEntropy] {
        let flat = loss.evaluate(&outputs, &targets).unwrap();
        let [outputs, targets] = [&outputs, &targets].map(|x| x.reshape(image).unwrap());
        let point = loss.evaluate(&outputs, &targets).unwrap();
        let what = format!("{loss:?}");
        assert_close(
            &what,
            &[point.sum().unwrap()],
            &[flat.sum().unwrap()],
            1e-14,
        );
        assert_close(
            &what,
            &values(point.gradient()),
            &values(flat.gradient()),
            1e-14,
        );
        let product = point.hessian_product(&block.reshape((EXAMPLES, 2, 2, CLASSES)).unwrap());
        let expected = flat.hessian_product(&block).unwrap();
        assert_close(&what, &values(&product.unwrap()), &values(&expected), 1e-14);
    }
}

/// The mean over the positions of an example, of which some do not count.
#[test]
fn positions_are_examples_with_weights() {
    let (positions, rows) = (3, EXAMPLES * 3);
    let logits = gaussian((EXAMPLES, positions, CLASSES), 1);
    let mut numbers: Vec<u32> = labels(rows, CLASSES as u32, 2).to_vec1().unwrap();
    numbers[4] = IGNORED;
    numbers[9..].fill(IGNORED);
    let kept: Vec<u32> = (0..rows as u32)
        .filter(|&row| numbers[row as usize] != IGNORED)
        .collect();
    let labels = Tensor::new(numbers.as_slice(), &Device::Cpu).unwrap();
    let labels = labels.reshape((EXAMPLES, positions)).unwrap();
    let kept = Tensor::new(kept.as_slice(), &Device::Cpu).unwrap();
    let of_rows = |x: &Tensor| x.index_select(&kept, 0).unwrap();
    let block = gaussian((EXAMPLES, 2, positions, CLASSES), 3);
    for loss in LOSSES {
        let what = format!("{loss:?}");
        let point = loss.evaluate(&logits, &labels).unwrap();
        let flat = logits.reshape((rows, CLASSES)).unwrap();
        let counted = of_rows(&labels.flatten_all().unwrap());
        let alone = loss.evaluate(&of_rows(&flat), &counted).unwrap();
        let third = 1.0 / positions as f64;
        assert_close(
            &what,
            &[point.sum().unwrap()],
            &[alone.sum().unwrap() * third],
            1e-14,
        );
        // Zeros where nothing counts, a third of the row's own elsewhere.
        let placed = |rows_of: &Tensor| {
            let zeros = Tensor::zeros((rows, CLASSES), DType::F64, &Device::Cpu).unwrap();
            values(&(zeros.index_add(&kept, rows_of, 0).unwrap() * third).unwrap())
        };
        assert_close(
            &what,
            &values(point.gradient()),
            &placed(alone.gradient()),
            1e-14,
        );
        let product = point.hessian_product(&block).unwrap();
        for vector in 0..2 {
            let one = |block: &Tensor| block.narrow(1, vector, 1).unwrap().contiguous().unwrap();
            let rows = of_rows(&one(&block).reshape((rows, 1, CLASSES)).unwrap());
            let expected = alone.hessian_product(&rows).unwrap().squeeze(1).unwrap();
            assert_close(&what, &values(&one(&product)), &placed(&expected), 1e-14);
        }
        let none = (labels.zeros_like().unwrap() + f64::from(IGNORED)).unwrap();
        let point = loss.evaluate(&logits, &none).unwrap();
        assert_eq!(point.sum().unwrap(), 0.0);
        assert_small(&what, &values(&point.hessian_product(&block).unwrap()), 0.0);
    }
}

#[test]
fn a_factor_multiplies_the_loss_and_its_derivatives() {
    let logits = values(&gaussian((EXAMPLES, CLASSES), 1));
    let block = gaussian((EXAMPLES, 2, CLASSES), 3);
    for loss in LOSSES {
        let point = evaluate(loss, &logits, &[0, 2, 1, 1]);
        let twice = point.clone().scaled(2.0).unwrap();
        assert_eq!(twice.sum().unwrap(), 2.0 * point.sum().unwrap());
        for [got, single] in [
            [twice.gradient(), point.gradient()].map(values),
            [&twice, &point].map(|point| values(&point.hessian_product(&block).unwrap())),
        ] {
            let expected: Vec<f64> = single.iter().map(|x| 2.0 * x).collect();
            assert_eq!(got, expected);
        }
    }
}

#[test]
fn outer_products_equal_loops_over_the_gradient_of_each_example() {
    let logits = values(&gaussian((EXAMPLES, CLASSES), 1));
    let block = gaussian((EXAMPLES, 2, CLASSES), 4);
    for loss in LOSSES {
        let point = evaluate(loss, &logits, &[0, 2, 1, 1]);
        let (gradient, tangents) = (values(point.gradient()), values(&block));
        let mut expected = vec![0.0; tangents.len()];
        for example in 0..EXAMPLES {
            let own = &gradient[example * CLASSES..][..CLASSES];
            for vector in 0..2 {
                let start = (example * 2 + vector) * CLASSES;
                for (row, &left) in own.iter().enumerate() {
                    for (column, &right) in own.iter().enumerate() {
                        expected[start + row] += left * right * tangents[start + column];
                    }
                }
            }
        }
        let product = point.outer_product(&block).unwrap();
        assert_eq!(product.dims(), block.dims());
        assert_close(&format!("{loss:?}"), &values(&product), &expected, 1e-14);
        let single = block.to_dtype(DType::F32);
        for wrong in [block.narrow(0, 0, 2), block.narrow(2, 0, 2), single] {
            assert!(point.outer_product(&wrong.unwrap()).is_err());
        }
    }
}

#[test]
fn without_smoothing_labels_are_themselves_and_other_smoothings_are_errors() {
    let logits = gaussian((EXAMPLES, CLASSES), 1);
    let labels = labels(EXAMPLES, CLASSES as u32, 2);
    let smoothed = |smoothing| Loss::LabelSmoothing { smoothing }.evaluate(&logits, &labels);
    let plain = Loss::CrossEntropy.evaluate(&logits, &labels).unwrap();
    let zero = smoothed(0.0).unwrap();
    assert_eq!(zero.sum().unwrap(), plain.sum().unwrap());
    assert_eq!(values(zero.gradient()), values(plain.gradient()));
    for smoothing in [1.0, 1.5, -0.1, f64::NAN] {
        let error = smoothed(smoothing).unwrap_err();
        assert!(matches!(error, Error::Smoothing { .. }), "{error}");
    }
}

#[test]
fn weights_of_one_are_none_and_what_are_no_weights_are_errors() {
    let logits = gaussian((EXAMPLES, CLASSES), 1);
    let labels = labels(EXAMPLES, CLASSES as u32, 2);
    let at = |loss: Loss<'_>| loss.evaluate(&logits, &labels);
    let smoothing = 0.3;
    let weights = &[1.0; CLASSES];
    let pairs = [
        (Loss::CrossEntropy, 0.0),
        (Loss::LabelSmoothing { smoothing }, smoothing),
    ];
    for (plain, smoothing) in pairs {
        let ones = at(Loss::ClassWeights { weights, smoothing }).unwrap();
        let plain = at(plain).unwrap();
        assert_close(
            "loss",
            &[ones.sum().unwrap()],
            &[plain.sum().unwrap()],
            1e-14,
        );
        let gradients = [&ones, &plain].map(|point| values(point.gradient()));
        assert_close("gradient", &gradients[0], &gradients[1], 1e-14);
    }
    for weights in [&[1.0, 1.0][..], &[1.0, -1.0, 1.0], &[f64::NAN, 1.0, 1.0]] {
        let error = at(Loss::ClassWeights { weights, smoothing }).unwrap_err();
        assert!(matches!(error, Error::ClassWeights { .. }), "{error}");
    }
    let smoothing = 1.0;
    let error = at(Loss::ClassWeights { weights, smoothing }).unwrap_err();
    assert!(matches!(error, Error::Smoothing { .. }), "{error}");
}

#[test]
fn cross_entropy_ignores_shifts_of_the_logits() {
    let logits = values(&gaussian((EXAMPLES, CLASSES), 1));
    let labels = [0, 2, 1, 1];
    let point = evaluate(Loss::CrossEntropy, &logits, &labels);
    let shifted: Vec<f64> = logits.iter().map(|z| z + 100.0).collect();
    let moved = evaluate(Loss::CrossEntropy, &shifted, &labels);
    // A shift by 100 rounds the logits at 1e-14.
    assert_close(
        "loss",
        &[moved.sum().unwrap()],
        &[point.sum().unwrap()],
        1e-13,
    );
    let [got, expected] = [&moved, &point].map(|point| values(point.gradient()));
    assert_close("gradient", &got, &expected, 1e-13);
    let ones = Tensor::ones((EXAMPLES, 1, CLASSES), DType::F64, &Device::Cpu).unwrap();
    assert_small("A 1", &values(&point.hessian_product(&ones).unwrap()), 0.0);
}

#[test]
fn labels_that_do_not_fit_are_errors() {
    let logits = gaussian((2, CLASSES), 1);
    for loss in LOSSES {
        for labels in [&[0u32, 3][..], &[0], &[0, 1, 2]] {
            let labels = Tensor::new(labels, &Device::Cpu).unwrap();
            assert!(loss.evaluate(&logits, &labels).is_err(), "{loss:?}");
        }
        let flat = gaussian(6, 1);
        let two = labels(2, CLASSES as u32, 1);
        assert!(loss.evaluate(&flat, &two).is_err(), "{loss:?}");
    }
}

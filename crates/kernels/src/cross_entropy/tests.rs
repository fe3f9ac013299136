//! Both paths against textbook formulas in float64, and far into saturation.

use candle_core::{DType, Device, Result, Tensor};

use super::{
    Correct, Evaluation, count_correct, evaluate, evaluate_weighted, hessian_product, one_hot,
};
use crate::Totals;
use crate::real::with_candle_path;
use crate::seeded::{NUMBER_TYPES, assert_close, uniform, values};

/// (examples, classes, vectors)
const SIZES: [(usize, usize, usize); 5] =
    [(1, 1, 1), (1, 2, 3), (5, 10, 1), (7, 3, 2), (33, 17, 3)];

fn loss_of(evaluation: &Evaluation) -> f64 {
    Totals::read(&[&evaluation.loss_sum]).unwrap()[0][0]
}

fn correct(logits: &Tensor, labels: &Tensor) -> Result<Correct> {
    let totals = count_correct(logits, labels)?;
    Ok(Correct::of(&Totals::read(&[&totals])?[0]))
}

/// Calls `check` on both paths.
fn on_both_paths(check: impl Fn(&str)) {
    check("slices");
    with_candle_path(|| check("candle"));
}

fn labels(examples: usize, classes: usize) -> (Tensor, Vec<usize>) {
    let labels: Vec<usize> = (0..examples).map(|i| (5 * i + 1) % classes).collect();
    let tensor: Vec<u32> = labels.iter().map(|&label| label as u32).collect();
    (
        Tensor::from_vec(tensor, examples, &Device::Cpu).unwrap(),
        labels,
    )
}

/// exp(z_c) / Σ exp(z_k)
fn softmax(logits: &[f64]) -> Vec<f64> {
    let sum: f64 = logits.iter().map(|z| z.exp()).sum();
    logits.iter().map(|z| z.exp() / sum).collect()
}

#[test]
fn loss_probabilities_residual_and_product_equal_the_textbook() {
    for (examples, classes, vectors) in SIZES {
        for (dtype, tolerance) in NUMBER_TYPES {
            let logits = (uniform((examples, classes), 1, dtype) * 3.0).unwrap();
            let block = uniform((examples, vectors, classes), 2, dtype);
            let (labels, classes_of) = labels(examples, classes);
            let mut loss = 0.0;
            let (mut probabilities, mut residual, mut product) = (vec![], vec![], vec![]);
            for (example, row) in values(&logits).chunks(classes).enumerate() {
                let (p, label) = (softmax(row), classes_of[example]);
                loss -= p[label].ln();
                residual.extend((0..classes).map(|c| p[c] - f64::from(u8::from(c == label))));
                for vector in 0..vectors {
                    let start = (example * vectors + vector) * classes;
                    let dz = &values(&block)[start..start + classes];
                    let mean: f64 = p.iter().zip(dz).map(|(p, dz)| p * dz).sum();
                    product.extend((0..classes).map(|c| p[c] * dz[c] - p[c] * mean));
                }
                probabilities.extend(p);
            }
            on_both_paths(|path| {
                let what = format!("{path} {examples}x{classes} {dtype:?}");
                let got = evaluate(&logits, &labels).unwrap();
                assert!((loss_of(&got) - loss).abs() <= tolerance * loss, "{what}");
                assert_close(&what, &got.probabilities, &probabilities, tolerance);
                assert_close(&what, &got.residual, &residual, tolerance);
                let got = hessian_product(&got.probabilities, &block).unwrap();
                assert_close(&what, &got, &product, tolerance);
            });
        }
    }
}

#[test]
fn factors_multiply_the_loss_and_the_residual_of_their_example() {
    for (examples, classes, _) in SIZES {
        for (dtype, tolerance) in NUMBER_TYPES {
            let logits = (uniform((examples, classes), 1, dtype) * 3.0).unwrap();
            let (labels, classes_of) = labels(examples, classes);
            let factors: Vec<f64> = (0..examples).map(|i| (i % 4) as f64 * 0.75).collect();
            let (mut loss, mut residual) = (0.0, vec![]);
            for (example, row) in values(&logits).chunks(classes).enumerate() {
                let (p, label, factor) = (softmax(row), classes_of[example], factors[example]);
                loss -= factor * p[label].ln();
                let own = |c: usize| factor * (p[c] - f64::from(u8::from(c == label)));
                residual.extend((0..classes).map(own));
            }
            let factors = Tensor::new(factors, &Device::Cpu).unwrap();
            let factors = factors.to_dtype(dtype).unwrap();
            on_both_paths(|path| {
                let what = format!("{path} {examples}x{classes} {dtype:?}");
                let got = evaluate_weighted(&logits, &labels, &factors).unwrap();
                assert!((loss_of(&got) - loss).abs() <= tolerance * loss, "{what}");
                assert_close(&what, &got.residual, &residual, tolerance);
                let few = factors.narrow(0, 0, examples - 1).unwrap();
                assert!(evaluate_weighted(&logits, &labels, &few).is_err(), "{what}");
            });
        }
    }
}

/// In single precision the textbook's 1 - p and p ż - p (p·ż) keep no digit beyond a margin of 17.
/// The logits are multiples of 1/64, so that their differences are exact and rounding of the inputs
/// plays no part.
#[test]
fn saturated_logits_keep_relative_accuracy_in_single_precision() {
    const CLASSES: usize = 4;
    for margin in (20..=60).step_by(4) {
        for label in 0..CLASSES as u32 {
            let margin = margin as f32;
            let row = [0.5, 0.5 + margin, -1.015_625, 0.25];
            let logits = Tensor::new(&[row], &Device::Cpu).unwrap();
            let labels = Tensor::new(&[label], &Device::Cpu).unwrap();
            // The largest logit's tangent is the least, so that no component cancels.
            let tangent = [0.5f32, -1.0, 2.0, 1.0];
            let block = Tensor::new(&[[tangent]], &Device::Cpu).unwrap();

            let (z, dz) = (row.map(f64::from), tangent.map(f64::from));
            let (label, best) = (label as usize, 1);
            let exponentials = z.map(|z_c| (z_c - z[best]).exp());
            let others: f64 = (0..CLASSES)
                .filter(|&c| c != best)
                .map(|c| exponentials[c])
                .sum();
            let p = exponentials.map(|e| e / (1.0 + others));
            let loss = others.ln_1p() - (z[label] - z[best]);
            let missing: f64 = (0..CLASSES).filter(|&c| c != label).map(|c| p[c]).sum();
            let product: Vec<f64> = (0..CLASSES)
                .map(|c| p[c] * (0..CLASSES).map(|k| p[k] * (dz[c] - dz[k])).sum::<f64>())
                .collect();

            on_both_paths(|path| {
                let got = evaluate(&logits, &labels).unwrap();
                let got_product = hessian_product(&got.probabilities, &block).unwrap();
                let residual = values(&got.residual);
                let relative = |got: f64, expected: f64| (got - expected).abs() / expected.abs();
                let what = format!("{path}, margin {margin}, label {label}");
                // A dozen roundings of 6e-8 each.
                let close = |got, expected| relative(got, expected) <= 1e-6;
                assert!(close(loss_of(&got), loss), "{what}: {}", loss_of(&got));
                assert!(close(residual[label], -missing), "{what}: {residual:?}");
                for c in (0..CLASSES).filter(|&c| c != label) {
                    assert!(close(residual[c], p[c]), "{what}: {residual:?}");
                }
                for (got, &expected) in values(&got_product).iter().zip(&product) {
                    assert!(close(*got, expected), "{what}: {got:e}");
                }
            });
        }
    }
}

#[test]
fn large_logits_do_not_overflow() {
    let logits = Tensor::new(&[[1e4f32, -1e4, 0.0]], &Device::Cpu).unwrap();
    on_both_paths(|path| {
        for (label, loss) in [(0u32, 0.0), (1, 2e4), (2, 1e4)] {
            let labels = Tensor::new(&[label], &Device::Cpu).unwrap();
            let got = evaluate(&logits, &labels).unwrap();
            assert_eq!(loss_of(&got), loss, "{path}");
            assert_eq!(values(&got.probabilities), [1.0, 0.0, 0.0], "{path}");
        }
    });
}

/// Classes in descending order of their logits, the label before its equals, or behind them where the
/// first of equals wins.
fn place(row: &[f64], label: usize, equals_before: impl Fn(usize) -> bool) -> usize {
    let before = |&class: &usize| {
        row[class] > row[label] || (row[class] == row[label] && equals_before(class))
    };
    (0..row.len()).filter(before).count()
}

#[test]
fn counts_are_those_of_a_sort() {
    for classes in [1, 3, 5, 6, 10, 100] {
        let examples = 50;
        let smooth = (uniform((examples, classes), 5, DType::F64) * 3.0).unwrap();
        // Rounded to a few values, most rows have ties at the first and at the fifth place.
        let tied = smooth.round().unwrap();
        let (labels, label_of) = labels(examples, classes);
        for logits in [smooth, tied] {
            let mut expected = Correct::default();
            for (row, &label) in values(&logits).chunks(classes).zip(&label_of) {
                expected.first += usize::from(place(row, label, |class| class < label) == 0);
                expected.among_five += usize::from(place(row, label, |_| false) < 5);
            }
            for dtype in [DType::F64, DType::F32] {
                let logits = logits.to_dtype(dtype).unwrap();
                on_both_paths(|path| {
                    let got = correct(&logits, &labels).unwrap();
                    assert_eq!(got, expected, "{path}, {classes} classes, {dtype:?}");
                });
            }
        }
    }
}

#[test]
fn no_number_is_among_five_numbers_and_labels_must_fit() {
    on_both_paths(|_| {
        let mut logits = [0.0f32; 6];
        let among_five = |logits: &[f32; 6], label: u32| {
            let logits = Tensor::new(&[*logits], &Device::Cpu).unwrap();
            let labels = Tensor::new(&[label], &Device::Cpu).unwrap();
            correct(&logits, &labels).map(|correct| correct.among_five)
        };
        assert_eq!(among_five(&logits, 2).unwrap(), 1);
        assert!(among_five(&logits, 6).is_err());
        logits[2] = f32::NAN;
        assert_eq!(among_five(&logits, 2).unwrap(), 0);
    });
    let logits = uniform((2, 3), 1, DType::F64);
    let labels = Tensor::new(&[0u32], &Device::Cpu).unwrap();
    assert!(correct(&logits, &labels).is_err());
}

#[test]
fn what_is_not_a_number_shows_in_the_loss() {
    for place in 0..3 {
        let mut row = [1f64, 3.0, 2.0];
        row[place] = f64::NAN;
        let logits = Tensor::new(&[row], &Device::Cpu).unwrap();
        on_both_paths(|path| {
            for label in 0..3u32 {
                let labels = Tensor::new(&[label], &Device::Cpu).unwrap();
                let got = evaluate(&logits, &labels).unwrap();
                assert!(loss_of(&got).is_nan(), "{path}, NaN at {place}");
                let block = Tensor::ones((1, 1, 3), DType::F64, &Device::Cpu).unwrap();
                hessian_product(&got.probabilities, &block).unwrap();
            }
        });
    }
}

#[test]
fn what_does_not_fit_is_an_error() {
    let logits = uniform((2, 3), 1, DType::F64);
    let labels = |labels: &[u32]| Tensor::new(labels, &Device::Cpu).unwrap();
    on_both_paths(|path| {
        let message = evaluate(&logits, &labels(&[0, 3])).unwrap_err().to_string();
        let expected = "labels below 3, got 3";
        assert!(message.contains(expected), "{path}: {message}");
        let integers = Tensor::new(&[0i64, 1], &Device::Cpu).unwrap();
        assert!(evaluate(&logits, &integers).is_err(), "{path}");
    });
    assert!(evaluate(&logits, &labels(&[0])).is_err());
    assert!(evaluate(&logits, &labels(&[0, 1, 2])).is_err());
    assert!(one_hot(&labels(&[0, 3]), 3, &logits).is_err());
    let rows = one_hot(&labels(&[2, 0]), 3, &logits).unwrap();
    assert_eq!(values(&rows), [0.0, 0.0, 1.0, 1.0, 0.0, 0.0]);
}

#[test]
fn no_classes_are_no_panic() {
    let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F64, &Device::Cpu).unwrap();
    let none = Tensor::zeros(0, DType::U32, &Device::Cpu).unwrap();
    assert_eq!(loss_of(&evaluate(&zeros(&[0, 0]), &none).unwrap()), 0.0);
    let product = hessian_product(&zeros(&[2, 0]), &zeros(&[2, 1, 0])).unwrap();
    assert_eq!(product.dims(), [2, 1, 0]);
}

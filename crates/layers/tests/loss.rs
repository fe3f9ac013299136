//! Losses at the logits against formulas written out, and against central differences of them.

use candle_core::{DType, Device, Tensor};
use flatness_layers::{Error, Loss, LossPoint};
use flatness_testkit::{assert_close, assert_small, finite_difference, gaussian, labels, values};

const LOSSES: [Loss; 4] = [
    Loss::CrossEntropy,
    Loss::LabelSmoothing { smoothing: 0.1 },
    Loss::LabelSmoothing { smoothing: 0.7 },
    Loss::SquaredError,
];
const EXAMPLES: usize = 4;
const CLASSES: usize = 3;

/// Σ −Σ q log softmax(z), where q = y or (1 − s) y + s / C, or Σ ½ ‖z − y‖², from the definitions.
fn formula(loss: Loss, logits: &[f64], labels: &[u32]) -> f64 {
    let mut sum = 0.0;
    for (z, &label) in logits.chunks(CLASSES).zip(labels) {
        let normalizer = z.iter().map(|z| z.exp()).sum::<f64>().ln();
        for (class, z) in z.iter().enumerate() {
            let y = f64::from(u8::from(class == label as usize));
            sum += match loss {
                Loss::CrossEntropy => -y * (z - normalizer),
                Loss::LabelSmoothing { smoothing } => {
                    let q = (1.0 - smoothing) * y + smoothing / CLASSES as f64;
                    -q * (z - normalizer)
                }
                Loss::SquaredError => 0.5 * (z - y).powi(2),
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
        assert_close(&what, &[point.sum()], &[expected], 1e-14);
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
    assert_eq!(zero.sum(), plain.sum());
    assert_eq!(values(zero.gradient()), values(plain.gradient()));
    for smoothing in [1.0, 1.5, -0.1, f64::NAN] {
        let error = smoothed(smoothing).unwrap_err();
        assert!(matches!(error, Error::Smoothing { .. }), "{error}");
    }
}

#[test]
fn cross_entropy_ignores_shifts_of_the_logits() {
    let logits = values(&gaussian((EXAMPLES, CLASSES), 1));
    let labels = [0, 2, 1, 1];
    let point = evaluate(Loss::CrossEntropy, &logits, &labels);
    let shifted: Vec<f64> = logits.iter().map(|z| z + 100.0).collect();
    let moved = evaluate(Loss::CrossEntropy, &shifted, &labels);
    // A shift by 100 rounds the logits at 1e-14.
    assert_close("loss", &[moved.sum()], &[point.sum()], 1e-13);
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

//! Batches against the formula written out per pixel, and orders as permutations.

use candle_core::{DType, Device};
use flatness_data::{Batch, Dataset, Normalization, Order, Result};

use crate::encode::pixels;

const MEAN: [f64; 2] = [0.4, 0.5];
const DEVIATION: [f64; 2] = [0.2, 0.25];

/// Seven examples of two channels of 3 × 5 pixels, labelled 0 … 6.
fn dataset() -> Dataset {
    let normalization = Normalization::new(MEAN.to_vec(), DEVIATION.to_vec()).unwrap();
    let labels = (0..7).collect();
    Dataset::from_bytes("seven", [2, 3, 5], pixels(7 * 30), labels, 7, normalization).unwrap()
}

/// The normalised pixels of the examples `indices`, one by one.
fn expected(indices: &[usize]) -> Vec<f64> {
    let stored = pixels(7 * 30);
    let mut values = Vec::new();
    for &index in indices {
        for position in 0..30 {
            let channel = position / 15;
            let pixel = f64::from(stored[index * 30 + position]) / 255.0;
            values.push((pixel - MEAN[channel]) / DEVIATION[channel]);
        }
    }
    values
}

/// Compare with the formula; values reach 3, products 5, so `tolerance` is some ten roundings of the
/// dtype at that size.
fn check_batch(batch: &Batch, indices: &[usize], dtype: DType, tolerance: f64) {
    assert_eq!(batch.images.dtype(), dtype);
    assert_eq!(batch.images.dims(), [indices.len(), 2, 3, 5]);
    let labels: Vec<u32> = indices.iter().map(|&index| index as u32).collect();
    assert_eq!(batch.labels.to_vec1::<u32>().unwrap(), labels);
    let images = batch
        .images
        .to_dtype(DType::F64)
        .unwrap()
        .flatten_all()
        .unwrap();
    for (got, expected) in images
        .to_vec1::<f64>()
        .unwrap()
        .iter()
        .zip(expected(indices))
    {
        assert!(
            (got - expected).abs() <= tolerance,
            "{dtype:?}: got {got}, expected {expected}"
        );
    }
}

#[test]
fn ranges_and_gathers_equal_the_formula_in_every_float_type() {
    let data = dataset();
    let tolerances = [
        (DType::F64, 1e-14),
        (DType::F32, 5e-6),
        (DType::F16, 5e-3),
        (DType::BF16, 4e-2),
    ];
    for (dtype, tolerance) in tolerances {
        let batch = data.batch(2..5, dtype, &Device::Cpu).unwrap();
        check_batch(&batch, &[2, 3, 4], dtype, tolerance);
        let batch = data.gather(&[6, 0, 6, 3], dtype, &Device::Cpu).unwrap();
        check_batch(&batch, &[6, 0, 6, 3], dtype, tolerance);
    }
}

#[test]
fn views_batch_their_own_examples() {
    let tail = dataset().split_tail(3).unwrap().1;
    check_batch(
        &tail.batch(0..2, DType::F64, &Device::Cpu).unwrap(),
        &[4, 5],
        DType::F64,
        1e-14,
    );
    check_batch(
        &tail.gather(&[2], DType::F64, &Device::Cpu).unwrap(),
        &[6],
        DType::F64,
        1e-14,
    );
}

#[test]
fn a_half_mean_and_deviation_maps_the_byte_range_onto_minus_one_to_one() {
    let normalization = Normalization::new(vec![0.5], vec![0.5]).unwrap();
    let ends = Dataset::from_bytes("ends", [1, 1, 2], vec![0, 255], vec![0], 1, normalization);
    let batch = ends.unwrap().batch(0..1, DType::F64, &Device::Cpu).unwrap();
    let values = batch
        .images
        .flatten_all()
        .unwrap()
        .to_vec1::<f64>()
        .unwrap();
    assert_eq!(values[0], -1.0);
    assert!((values[1] - 1.0).abs() <= 2.0 * f64::EPSILON, "{values:?}");
}

#[test]
fn batches_that_cannot_be_are_refused() {
    let data = dataset();
    let cpu = &Device::Cpu;
    let message = |made: Result<Batch>| made.unwrap_err().to_string();
    #[expect(
        clippy::reversed_empty_ranges,
        reason = "what a wrong subtraction makes"
    )]
    let ranges = [0..0, 3..3, 5..2, 0..8, 7..8, 0..usize::MAX];
    for range in ranges {
        let message = message(data.batch(range, DType::F32, cpu));
        assert!(
            message.contains("seven: range of a batch must be"),
            "{message}"
        );
    }
    let message_of = message(data.gather(&[0, 7], DType::F32, cpu));
    assert!(
        message_of.contains("must be below 7, got 7"),
        "{message_of}"
    );
    let message_of = message(data.gather(&[], DType::F32, cpu));
    assert!(message_of.contains("at least 1, got 0"), "{message_of}");
    let message_of = message(data.batch(0..1, DType::I64, cpu));
    assert!(message_of.contains("got i64"), "{message_of}");
}

/// Golden: printed by `golden_order.py`, which implements the generator and the shuffle in Python.
#[test]
fn shuffled_orders_are_those_of_an_implementation_in_python() {
    for (seed, epoch, expected) in [
        (0, 0, [2, 1, 11, 9, 10, 4, 3, 7, 0, 6, 5, 8]),
        (0, 1, [6, 7, 4, 2, 0, 1, 11, 3, 10, 5, 8, 9]),
        (20_060_909, 161, [7, 8, 0, 2, 6, 4, 11, 10, 9, 1, 3, 5]),
    ] {
        assert_eq!(
            Order::Shuffled { seed, epoch }.indices(12),
            expected,
            "{seed} {epoch}"
        );
    }
}

#[test]
fn all_permutations_of_four_are_equally_likely_over_epochs() {
    let mut counts = std::collections::BTreeMap::new();
    let n_epochs = 24_000;
    for epoch in 0..n_epochs {
        *counts
            .entry(Order::Shuffled { seed: 9, epoch }.indices(4))
            .or_insert(0_u32) += 1;
    }
    assert_eq!(counts.len(), 24);
    let mean = n_epochs as f64 / 24.0;
    let chi_squared: f64 = counts
        .values()
        .map(|&count| (f64::from(count) - mean).powi(2) / mean)
        .sum();
    // 23 degrees of freedom: 58.6 is exceeded with probability 6e-5.
    assert!(chi_squared < 58.6, "{chi_squared}");
}

#[test]
fn an_example_on_its_own_has_one_order() {
    for n in [0, 1] {
        let indices = Order::Shuffled { seed: 0, epoch: 0 }.indices(n);
        assert_eq!(indices, Order::Sequential.indices(n));
    }
}

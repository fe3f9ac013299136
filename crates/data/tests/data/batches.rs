//! Batches against the formula written out per pixel, and orders as permutations.

use candle_core::{DType, Device};
use flatness_data::{Batch, Dataset, Divisible, Normalization, Order};

use crate::check::{labels, values};
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
    assert_eq!(batch.inputs.dtype(), dtype);
    assert_eq!(batch.inputs.dims(), [indices.len(), 2, 3, 5]);
    let expected_labels: Vec<u32> = indices.iter().map(|&index| index as u32).collect();
    assert_eq!(labels(batch), expected_labels);
    for (got, expected) in values(&batch.inputs).iter().zip(expected(indices)) {
        let error = (got - expected).abs();
        assert!(
            error <= tolerance,
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
    let batch = tail.batch(0..2, DType::F64, &Device::Cpu).unwrap();
    check_batch(&batch, &[4, 5], DType::F64, 1e-14);
    let batch = tail.gather(&[2], DType::F64, &Device::Cpu).unwrap();
    check_batch(&batch, &[6], DType::F64, 1e-14);
}

#[test]
fn a_half_mean_and_deviation_maps_the_byte_range_onto_minus_one_to_one() {
    let normalization = Normalization::new(vec![0.5], vec![0.5]).unwrap();
    let ends = Dataset::from_bytes("ends", [1, 1, 2], vec![0, 255], vec![0], 1, normalization);
    let batch = ends.unwrap().batch(0..1, DType::F64, &Device::Cpu).unwrap();
    let values = values(&batch.inputs);
    assert_eq!(values[0], -1.0);
    assert!((values[1] - 1.0).abs() <= 2.0 * f64::EPSILON, "{values:?}");
}

/// Golden: printed by `golden_order.py`, which implements the generator and the shuffle in Python.
#[test]
fn shuffled_orders_are_those_of_an_implementation_in_python() {
    for (seed, epoch, expected) in [
        (0, 0, [2, 1, 11, 9, 10, 4, 3, 7, 0, 6, 5, 8]),
        (0, 1, [6, 7, 4, 2, 0, 1, 11, 3, 10, 5, 8, 9]),
        (20_060_909, 161, [7, 8, 0, 2, 6, 4, 11, 10, 9, 1, 3, 5]),
    ] {
        let order = Order::Shuffled { seed, epoch };
        assert_eq!(order.indices(12), expected, "{order:?}");
    }
}

/// Of counts that should all be equal.
pub(crate) fn chi_squared<'c>(counts: impl ExactSizeIterator<Item = &'c u32> + Clone) -> f64 {
    let mean = f64::from(counts.clone().sum::<u32>()) / counts.len() as f64;
    counts
        .map(|&count| (f64::from(count) - mean).powi(2) / mean)
        .sum()
}

#[test]
fn all_permutations_of_four_are_equally_likely_over_epochs() {
    let mut counts = std::collections::BTreeMap::new();
    for epoch in 0..24_000 {
        let order = Order::Shuffled { seed: 9, epoch }.indices(4);
        *counts.entry(order).or_insert(0_u32) += 1;
    }
    assert_eq!(counts.len(), 24);
    let chi_squared = chi_squared(counts.values());
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

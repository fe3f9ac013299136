//! Examples of every kind: what is asked for is handed out, and what is not there is refused.

use std::collections::BTreeSet;

use candle_core::{DType, Device, Tensor};
use flatness_data::{
    Augmentation, Augmented, Batch, Dataset, Divisible, Examples, Flip, LabelledTensors,
    Normalization, Order, Result, Subset, class_labels,
};

use crate::check::{labels, refused, values};

const N: usize = 9;
const CPU: &Device = &Device::Cpu;

/// Example i is the one number i, with label i.
fn numbers() -> LabelledTensors {
    let inputs = Tensor::arange(0f64, N as f64, CPU).unwrap();
    let labels = Tensor::arange(0i64, N as i64, CPU).unwrap();
    LabelledTensors::new("data", &inputs.reshape((N, 1)).unwrap(), &labels, N).unwrap()
}

/// Example i has 2 x 2 bytes of its own, and label i.
fn bytes() -> Dataset {
    let (pixels, labels) = ((0..4 * N as u8).collect(), (0..N as u8).collect());
    let normalization = Normalization::mnist();
    Dataset::from_bytes("data", [1, 2, 2], pixels, labels, N, normalization).unwrap()
}

/// The labels of a batch of [`numbers`], which are its inputs too.
fn of_numbers(batch: Result<Batch>) -> Vec<u32> {
    let batch = batch.unwrap();
    let (inputs, labels) = (values(&batch.inputs), labels(&batch));
    let same = inputs.iter().zip(&labels).all(|(x, y)| *x == f64::from(*y));
    assert!(same, "{inputs:?} {labels:?}");
    labels
}

#[test]
fn tensors_hand_out_the_rows_asked_for() {
    let inputs = Tensor::arange(0f64, 24.0, CPU)
        .unwrap()
        .reshape((4, 2, 3))
        .unwrap();
    let classes = Tensor::new(&[0i64, 2, 1, 0], CPU).unwrap();
    let data = LabelledTensors::new("floats", &inputs, &classes, 3).unwrap();
    assert_eq!((data.len(), data.example_shape()), (4, vec![2, 3]));
    for (batch, dtype, rows) in [
        (data.batch(1..3, DType::F32, CPU), DType::F32, &[1, 2][..]),
        (
            data.gather(&[3, 0, 3], DType::F64, CPU),
            DType::F64,
            &[3, 0, 3],
        ),
    ] {
        let batch = batch.unwrap();
        assert_eq!(
            (batch.inputs.dtype(), batch.inputs.dims()),
            (dtype, &[rows.len(), 2, 3][..])
        );
        let expected = rows.iter().flat_map(|row| 6 * row..6 * row + 6);
        assert_eq!(
            values(&batch.inputs),
            expected.map(f64::from).collect::<Vec<_>>()
        );
        let expected = rows.iter().map(|&row| [0, 2, 1, 0][row as usize]);
        assert_eq!(labels(&batch), expected.collect::<Vec<_>>());
    }
}

#[test]
fn a_subset_has_the_examples_at_its_indices() {
    let data = numbers();
    let subset = Subset::new(&data, vec![7, 0, 7, 3]).unwrap();
    assert_eq!((subset.len(), subset.classes()), (4, N));
    assert_eq!((subset.name(), subset.example_shape()), ("data", vec![1]));
    assert_eq!(
        of_numbers(subset.batch(0..4, DType::F64, CPU)),
        [7, 0, 7, 3]
    );
    assert_eq!(of_numbers(subset.batch(1..3, DType::F64, CPU)), [0, 7]);
    assert_eq!(
        of_numbers(subset.gather(&[3, 3, 1], DType::F64, CPU)),
        [3, 3, 0]
    );
    let nested = Subset::new(&subset, vec![3, 0]).unwrap();
    assert_eq!(of_numbers(nested.batch(0..2, DType::F64, CPU)), [3, 7]);
}

#[test]
fn first_and_random_examples_are_the_beginning_of_an_order() {
    let data = numbers();
    let first = Subset::first(&data, 4).unwrap();
    assert_eq!(first.indices(), [0, 1, 2, 3]);
    for seed in 0..20 {
        let permutation = Order::Shuffled { seed, epoch: 0 }.indices(N as u32);
        for n in [1, 5, N] {
            let random = Subset::random(&data, n, seed).unwrap();
            assert_eq!(random.indices(), &permutation[..n], "{seed}");
        }
    }
}

/// By bytes, labels and any beginning; another seed is another choice.
#[test]
fn a_sample_of_a_data_set_is_its_random_subset() {
    let data = bytes();
    let all = |data: &dyn Examples| data.batch(0..data.len(), DType::F64, CPU).unwrap();
    let mut seen = BTreeSet::new();
    for seed in 0..20 {
        let sample = data.sample(5, seed).unwrap();
        assert_eq!((sample.len(), sample.classes()), (5, N));
        let (got, subset) = (all(&sample), Subset::random(&data, 5, seed).unwrap());
        let (expected, chosen) = (all(&subset), labels(&all(&subset)));
        assert_eq!(
            (values(&got.inputs), labels(&got)),
            (values(&expected.inputs), chosen.clone())
        );
        assert_eq!(labels(&all(&sample.take(3).unwrap())), chosen[..3]);
        assert_eq!(
            chosen.iter().collect::<BTreeSet<_>>().len(),
            5,
            "without repetition"
        );
        assert_ne!(sample.digest().unwrap(), data.digest().unwrap());
        seen.insert(chosen);
    }
    assert!(seen.len() > 15, "{seen:?}");
}

#[test]
fn sizes_of_subsets_and_samples_beyond_the_data_are_refused() {
    let data = bytes();
    for n in [0, N + 1] {
        let expected = format!("size of a subset must be in 1..=9, got {n}");
        refused(Subset::first(&data, n), &expected);
        refused(Subset::random(&data, n, 1), &expected);
        refused(data.sample(n, 1), &expected);
    }
    refused(Subset::new(&data, vec![]), "indices must be at least 1");
    refused(Subset::new(&data, vec![1, 9]), "below 9, got 9");
}

#[test]
fn batches_beyond_the_data_are_refused_whatever_the_examples_are() {
    let (bytes, numbers) = (bytes(), numbers());
    let (flip, pad) = (Flip::Half, 1);
    let epoch = Augmented::new(&bytes, Augmentation { seed: 0, flip, pad }, 0).unwrap();
    // Example 4 is in the data of this one.
    let subset = Subset::first(&numbers, 4).unwrap();
    let every: [&dyn Examples; 4] = [&bytes, &numbers, &epoch, &subset];
    for data in every {
        let n = data.len();
        let most = usize::MAX;
        // The third is what a wrong subtraction makes.
        for (start, end) in [
            (0, 0),
            (3, 3),
            (3, 2),
            (0, n + 1),
            (n, n + 1),
            (0, most),
            (most, most),
        ] {
            let range = start..end;
            let expected = format!("data: range of a batch must be a non-empty part of 0..{n}");
            refused(data.batch(range, DType::F32, CPU), &expected);
        }
        for (indices, index) in [(&[n as u32][..], n as u32), (&[0, u32::MAX], u32::MAX)] {
            let expected = format!("data: index of an example must be below {n}, got {index}");
            refused(data.gather(indices, DType::F32, CPU), &expected);
        }
        let none = data.gather(&[], DType::F32, CPU);
        refused(none, "indices must be at least 1, got 0");
    }
    for data in [&bytes as &dyn Examples, &epoch] {
        let integers = data.batch(0..2, DType::I64, CPU);
        refused(integers, "dtype of a batch|got i64");
    }
}

#[test]
fn tensors_that_are_no_examples_are_refused() {
    let inputs = Tensor::zeros((4, 2, 3), DType::F64, CPU).unwrap();
    let make = |labels: Tensor| LabelledTensors::new("floats", &inputs, &labels, 3);
    let int = |labels: &[i64]| Tensor::new(labels, CPU).unwrap();
    let most = i64::MAX;
    for (labels, part) in [
        (&[0, 3, -1, 0], "floats: label 1 must be in 0..3, got 3"),
        (&[0, 2, -1, 7], "floats: label 2 must be in 0..3, got -1"),
        (&[most, 0, 0, 0], "label 0|got 9223372036854775807"),
    ] {
        refused(make(int(labels)), part);
    }
    refused(make(int(&[0, 1, 2])), "labels must be 4 in one axis");
    for first in [0.9, 0.0, f64::NAN] {
        let floats = Tensor::new(&[first, 1.0, 2.0, 0.0], CPU).unwrap();
        let parts = "labels must be of an integer type|refused even where they are whole|got F64";
        refused(make(floats), parts);
    }
    let labels = int(&[0, 2, 1, 0]);
    let integers = inputs.to_dtype(DType::U8).unwrap();
    let made = LabelledTensors::new("integers", &integers, &labels, 3);
    refused(made, "a float type, got U8");
    for dtype in [DType::U8, DType::U32, DType::I16, DType::I32, DType::I64] {
        let labels = class_labels("any", &labels.to_dtype(dtype).unwrap(), 3).unwrap();
        assert_eq!(labels.to_vec1::<u32>().unwrap(), [0, 2, 1, 0]);
    }
}

//! Some examples of a data set as one of their own.

use candle_core::{DType, Device, Tensor};
use flatness_data::{
    Batch, Dataset, Examples, LabelledTensors, Normalization, Order, Result, Subset,
};

const N: usize = 9;

/// Example i is i with label i.
fn data() -> LabelledTensors {
    let inputs = Tensor::arange(0f64, N as f64, &Device::Cpu).and_then(|x| x.reshape((N, 1)));
    let labels = Tensor::arange(0i64, N as i64, &Device::Cpu).expect("labels");
    LabelledTensors::new("numbers", &inputs.expect("inputs"), &labels, N).expect("they fit")
}

fn numbers(batch: Result<Batch>) -> Vec<u32> {
    let Batch { images, labels } = batch.expect("in range");
    let inputs = images.flatten_all().and_then(|images| images.to_vec1());
    let inputs: Vec<f64> = inputs.expect("f64");
    let labels: Vec<u32> = labels.to_vec1().expect("u32");
    let same = inputs.iter().zip(&labels).all(|(x, y)| *x == f64::from(*y));
    assert!(same, "{inputs:?} {labels:?}");
    labels
}

#[test]
fn a_subset_has_the_examples_at_its_indices() {
    let data = data();
    let subset = Subset::new(&data, vec![7, 0, 7, 3]).expect("below 9");
    assert_eq!((subset.len(), subset.classes()), (4, N));
    assert_eq!(
        (subset.name(), subset.example_shape()),
        ("numbers", vec![1])
    );
    let (dtype, cpu) = (DType::F64, &Device::Cpu);
    assert_eq!(numbers(subset.batch(0..4, dtype, cpu)), [7, 0, 7, 3]);
    assert_eq!(numbers(subset.batch(1..3, dtype, cpu)), [0, 7]);
    assert_eq!(numbers(subset.gather(&[3, 3, 1], dtype, cpu)), [3, 3, 0]);
    let nested = Subset::new(&subset, vec![3, 0]).expect("below 4");
    assert_eq!(numbers(nested.batch(0..2, dtype, cpu)), [3, 7]);
}

#[test]
fn first_and_random_examples_are_the_beginning_of_an_order() {
    let data = data();
    let first = Subset::first(&data, 4).expect("within 9");
    assert_eq!(first.indices(), [0, 1, 2, 3]);
    for seed in 0..20 {
        let order = Order::Shuffled { seed, epoch: 0 };
        let permutation = order.indices(N as u32);
        for n in [1, 5, N] {
            let random = Subset::random(&data, n, seed).expect("within 9");
            assert_eq!(random.indices(), &permutation[..n], "{seed}");
        }
    }
}

#[test]
fn a_sample_of_a_data_set_is_its_random_subset_whole_or_in_part() {
    let pixels = (0..4 * N as u8).collect();
    let labels = (0..N as u8).collect();
    let normalization = Normalization::mnist();
    let data = Dataset::from_bytes("bytes", [1, 2, 2], pixels, labels, N, normalization);
    let data = data.expect("they fit");
    let labels = |data: &dyn Examples| {
        let batch = data.batch(0..data.len(), DType::F64, &Device::Cpu);
        batch.and_then(|batch| Ok(batch.labels.to_vec1::<u32>()?))
    };
    let whole = data.gather(&(0..N as u32).collect::<Vec<_>>(), DType::F64, &Device::Cpu);
    let whole = whole.and_then(|batch| Ok(batch.images.flatten_from(1)?.to_vec2::<f64>()?));
    let whole = whole.expect("all of them");
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..20 {
        let sample = data.sample(5, seed).expect("within 9");
        assert_eq!((sample.len(), sample.classes()), (5, N));
        let subset = Subset::random(&data, 5, seed).expect("within 9");
        let expected = labels(&subset).expect("within 5");
        assert_eq!(labels(&sample).expect("within 5"), expected, "{seed}");
        let images = sample.batch(0..5, DType::F64, &Device::Cpu);
        let images = images.and_then(|batch| Ok(batch.images.flatten_from(1)?.to_vec2::<f64>()?));
        let own: Vec<_> = expected
            .iter()
            .map(|&label| whole[label as usize].clone())
            .collect();
        assert_eq!(images.expect("within 5"), own, "{seed}");
        // Its first examples, as those that are measured.
        let first = sample.take(3).expect("within 5");
        assert_eq!(labels(&first).expect("within 3"), expected[..3]);
        let first = Subset::first(&sample, 3).expect("within 5");
        assert_eq!(labels(&first).expect("within 3"), expected[..3]);
        let distinct: std::collections::BTreeSet<_> = expected.iter().collect();
        assert_eq!(distinct.len(), 5, "without repetition: {expected:?}");
        seen.insert(expected);
        assert_ne!(
            sample.digest().expect("bytes"),
            data.digest().expect("bytes")
        );
    }
    assert!(seen.len() > 15, "another seed is another choice: {seen:?}");
    for n in [0, N + 1] {
        assert!(data.sample(n, 1).is_err(), "{n}");
    }
}

#[test]
fn what_is_not_there_is_an_error() {
    let data = data();
    for n in [0, N + 1] {
        assert!(Subset::first(&data, n).is_err(), "{n}");
        assert!(Subset::random(&data, n, 1).is_err(), "{n}");
    }
    assert!(Subset::new(&data, vec![]).is_err());
    let message = Subset::new(&data, vec![1, 9])
        .expect_err("9 examples")
        .to_string();
    assert!(message.contains("below 9, got 9"), "{message}");
    let subset = Subset::first(&data, 4).expect("within 9");
    let (dtype, cpu) = (DType::F64, &Device::Cpu);
    for range in [0..5, 4..5, 2..2, usize::MAX..usize::MAX] {
        assert!(
            subset.batch(range.clone(), dtype, cpu).is_err(),
            "{range:?}"
        );
    }
    // Example 4 is in the data and not in the subset.
    for indices in [&[][..], &[4], &[0, u32::MAX]] {
        assert!(subset.gather(indices, dtype, cpu).is_err(), "{indices:?}");
    }
}

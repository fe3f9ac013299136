//! Conversions to and from candle's own data set, and its loader on a local directory.

use candle_core::{DType, Device, Tensor};
use candle_datasets::vision;
use flatness_data::{Dataset, Divisible, Normalization, Set, hub};
use tempfile::tempdir;

use crate::check::{refused, values};
use crate::encode::{images, labels, pixels};

fn normalization() -> Normalization {
    Normalization::new(vec![0.5], vec![0.5]).unwrap()
}

/// Every byte once, as 64 images of 2 × 2.
fn all_bytes() -> Dataset {
    let bytes = (0..=255).collect();
    let labels = (0..64).map(|index| index % 10).collect();
    Dataset::from_bytes("all-train", [1, 2, 2], bytes, labels, 10, normalization()).unwrap()
}

#[test]
fn a_conversion_there_and_back_changes_no_byte() {
    let train = all_bytes();
    let test = train.take(3).unwrap();
    let there = hub::to_vision(&train, &test).unwrap();
    assert_eq!(there.train_images.dims(), [64, 4]);
    assert_eq!((there.train_images.dtype(), there.labels), (DType::F32, 10));
    for (byte, value) in values(&there.train_images).iter().enumerate() {
        // candle multiplies by the rounded reciprocal, which costs at most one rounding more.
        let error = (*value as f32 - byte as f32 / 255.0).abs();
        assert!(error <= f32::EPSILON, "{byte}: {value}");
    }
    let back = hub::from_vision("all", &there, [1, 2, 2], &normalization()).unwrap();
    assert_eq!(back.0.digest().unwrap(), train.digest().unwrap());
    assert_eq!(back.1.digest().unwrap(), test.digest().unwrap());
    assert_eq!((back.0.name(), back.1.name()), ("all-train", "all-test"));
}

#[test]
fn pixels_that_are_no_bytes_are_refused() {
    for value in [-0.1_f32, 0.5001, 1.1, f32::NAN, f32::INFINITY] {
        let images = Tensor::from_vec(vec![0.0, 1.0, value, 0.0], (1, 4), &Device::Cpu).unwrap();
        let labels = Tensor::zeros(1, DType::U8, &Device::Cpu).unwrap();
        let data = vision::Dataset {
            train_images: images.clone(),
            train_labels: labels.clone(),
            test_images: images,
            test_labels: labels,
            labels: 10,
        };
        let made = hub::from_vision("x", &data, [1, 2, 2], &normalization());
        refused(made, &format!("got {value}"));
    }
}

#[test]
fn splits_of_different_shape_are_refused() {
    let flat = Dataset::from_bytes("x", [1, 1, 4], vec![0; 4], vec![0], 10, normalization());
    let error = hub::to_vision(&all_bytes(), &flat.unwrap()).err().unwrap();
    assert!(error.to_string().contains("[1, 1, 4]"), "{error}");
}

#[test]
fn its_loader_and_ours_read_the_same_from_a_directory() {
    let root = tempdir().unwrap();
    for (prefix, count) in [("train", 3_usize), ("t10k", 2)] {
        let path = |kind: &str| root.path().join(format!("{prefix}-{kind}-ubyte"));
        let images = images(count as u32, 28, 28, &pixels(count * 784));
        std::fs::write(path("images-idx3"), images).unwrap();
        let labels = labels(count as u32, &[4, 0, 9][..count]);
        std::fs::write(path("labels-idx1"), labels).unwrap();
    }
    let theirs = vision::mnist::load_dir(root.path()).unwrap();
    let theirs = hub::from_vision("mnist", &theirs, [1, 28, 28], &normalization()).unwrap();
    let ours = Set::Mnist.find(Some(root.path()), None, None).unwrap();
    let ours = ours.load(normalization()).unwrap();
    assert_eq!(theirs.0.digest().unwrap(), ours.train.digest().unwrap());
    assert_eq!(theirs.1.digest().unwrap(), ours.test.digest().unwrap());
    assert_eq!(theirs.0.normalization(), ours.train.normalization());
}

//! Validation, views, counts and digests.

use candle_core::{DType, Device, Tensor};
use flatness_data::{Dataset, Divisible, Normalization};

use crate::check::{refused, values};
use crate::encode::pixels;

fn normalization(channels: usize) -> Normalization {
    Normalization::new(vec![0.5; channels], vec![0.25; channels]).unwrap()
}

fn dataset() -> Dataset {
    let labels = vec![2, 0, 1, 2, 2];
    Dataset::from_bytes("five", [2, 1, 3], pixels(30), labels, 4, normalization(2)).unwrap()
}

#[test]
fn accessors_tell_what_was_put_in() {
    let data = dataset();
    assert_eq!((data.name(), data.len()), ("five", 5));
    assert!(!data.is_empty());
    assert_eq!((data.example_shape(), data.classes()), ([2, 1, 3], 4));
    assert_eq!(data.normalization(), &normalization(2));
    assert_eq!(data.images().dims(), [5, 2, 1, 3]);
    assert_eq!(
        values(data.images()),
        pixels(30).into_iter().map(f64::from).collect::<Vec<_>>()
    );
    assert_eq!(data.labels().to_vec1::<u8>().unwrap(), [2, 0, 1, 2, 2]);
    assert_eq!(data.class_counts().unwrap(), [1, 1, 3, 0]);
}

/// Golden: python3 -c "import hashlib,struct; print(hashlib.sha256(struct.pack('<4Q',5,2,1,3)
/// + bytes(i*37%256 for i in range(30)) + bytes([2,0,1,2,2])).hexdigest())"
#[test]
fn the_digest_is_the_sha256_of_the_documented_layout_by_python() {
    let expected = "3ab35dd3f60485e7c58e39efa5aaa6eb97e419a68b49071ae6e976108d406a03";
    assert_eq!(dataset().digest().unwrap(), expected);
    assert_eq!(dataset().take(5).unwrap().digest().unwrap(), expected);
}

#[test]
fn a_view_equals_the_data_set_made_from_its_part() {
    let data = dataset();
    data.digest().unwrap();
    let (head, tail) = data.split_tail(2).unwrap();
    let first = data.take(1).unwrap();
    let nested = head.split_tail(1).unwrap().1;
    for (view, name, range) in [
        (&head, "five[0..3]", 0..3),
        (&tail, "five[3..5]", 3..5),
        (&first, "five[0..1]", 0..1),
        (&nested, "five[0..3][2..3]", 2..3),
    ] {
        let part = pixels(30)[6 * range.start..6 * range.end].to_vec();
        let labels = [2, 0, 1, 2, 2][range].to_vec();
        let alone =
            Dataset::from_bytes("alone", [2, 1, 3], part, labels, 4, normalization(2)).unwrap();
        assert_eq!((view.name(), view.len()), (name, alone.len()));
        assert_eq!(view.digest().unwrap(), alone.digest().unwrap(), "{name}");
        assert_eq!(view.class_counts().unwrap(), alone.class_counts().unwrap());
    }
}

#[test]
fn cuts_that_leave_nothing_are_refused() {
    let data = dataset();
    for n in [0, 6] {
        refused(data.take(n), &format!("from 1 to 5, got {n}"));
    }
    for n in [0, 5, 6] {
        refused(data.split_tail(n), &format!("from 1 to 4, got {n}"));
    }
}

#[test]
fn tensors_that_are_no_data_set_are_refused_by_field() {
    let cpu = &Device::Cpu;
    let images = Tensor::zeros((2, 1, 2, 2), DType::U8, cpu).unwrap();
    let labels = Tensor::zeros(2, DType::U8, cpu).unwrap();
    let floats = images.to_dtype(DType::F32).unwrap();
    let wide = labels.to_dtype(DType::U32).unwrap();
    let flat = images.flatten_from(1).unwrap();
    let [one, none] = [1, 0].map(|n| images.narrow(0, 0, n).unwrap());
    let no = labels.narrow(0, 0, 0).unwrap();
    for (images, labels, (classes, channels), parts) in [
        (
            &floats,
            &labels,
            (10, 1),
            "images must be u8 on the CPU, got F32",
        ),
        (&images, &wide, (10, 1), "labels must be u8"),
        (&flat, &labels, (10, 1), "got [2, 4]"),
        (&one, &labels, (10, 1), "labels must be of shape (1)"),
        (&images, &labels, (0, 1), "from 1 to 256, got 0"),
        (&images, &labels, (257, 1), "from 1 to 256, got 257"),
        (&images, &labels, (10, 3), "for 1 channels, got 3"),
        (&none, &no, (10, 1), "without a zero"),
    ] {
        let made = Dataset::new("x", images, labels, classes, normalization(channels));
        refused(made, &format!("x: |{parts}"));
    }
}

#[test]
fn bytes_that_are_no_data_set_are_refused() {
    let make = |shape, n_pixels, labels: &[u8]| {
        let pixels = vec![0; n_pixels];
        Dataset::from_bytes("x", shape, pixels, labels.to_vec(), 3, normalization(1))
    };
    refused(
        make([1, 1, 1], 3, &[0, 2, 3]),
        "x: label 2 must be in 0..3, got 3, which",
    );
    for (shape, n_pixels) in [([1, 2, 2], 7), ([1, 0, 2], 4), ([usize::MAX, 2, 2], 4)] {
        refused(make(shape, n_pixels, &[0]), "pixels must be a whole number");
    }
}

#[test]
fn a_tensor_that_is_not_contiguous_keeps_its_logical_order() {
    let stored = Tensor::from_vec(pixels(12), (2, 1, 2, 3), &Device::Cpu).unwrap();
    let transposed = stored.transpose(2, 3).unwrap();
    let labels = Tensor::zeros(2, DType::U8, &Device::Cpu).unwrap();
    let data = Dataset::new("x", &transposed, &labels, 2, normalization(1)).unwrap();
    let expected: Vec<u8> = [0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11]
        .map(|index| pixels(12)[index])
        .to_vec();
    let same =
        Dataset::from_bytes("y", [1, 3, 2], expected, vec![0, 0], 2, normalization(1)).unwrap();
    assert_eq!(data.digest().unwrap(), same.digest().unwrap());
}

#[test]
fn normalisation_constants_that_would_spoil_every_pixel_are_refused() {
    let cases: &[(&[f64], &[f64], &str)] = &[
        (&[], &[], "mean"),
        (&[f64::NAN], &[1.0], "mean"),
        (&[f64::INFINITY], &[1.0], "mean"),
        (&[0.0], &[0.0], "deviation"),
        (&[0.0], &[-1.0], "deviation"),
        (&[0.0], &[f64::NAN], "deviation"),
        (&[0.0], &[f64::INFINITY], "deviation"),
        (&[0.0], &[1.0, 1.0], "deviation"),
    ];
    for (mean, deviation, field) in cases {
        let made = Normalization::new(mean.to_vec(), deviation.to_vec());
        refused(made, field);
    }
}

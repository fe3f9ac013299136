//! Validation, views, counts and digests.

use candle_core::{DType, Device, Tensor};
use flatness_data::{Dataset, Normalization};

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
    assert_eq!(
        (data.name(), data.len(), data.is_empty()),
        ("five", 5, false)
    );
    assert_eq!((data.example_shape(), data.classes()), ([2, 1, 3], 4));
    assert_eq!(data.normalization(), &normalization(2));
    assert_eq!(data.images().dims(), [5, 2, 1, 3]);
    assert_eq!(
        data.images()
            .flatten_all()
            .unwrap()
            .to_vec1::<u8>()
            .unwrap(),
        pixels(30)
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
        assert_eq!(view.name(), name);
        assert_eq!(view.len(), alone.len());
        assert_eq!(view.digest().unwrap(), alone.digest().unwrap(), "{name}");
        assert_eq!(
            view.class_counts().unwrap(),
            alone.class_counts().unwrap(),
            "{name}"
        );
    }
}

#[test]
fn cuts_that_leave_nothing_are_refused() {
    let data = dataset();
    for n in [0, 6] {
        let error = data.take(n).unwrap_err().to_string();
        assert!(
            error.contains("from 1 to 5") && error.contains(&n.to_string()),
            "{error}"
        );
    }
    for n in [0, 5, 6] {
        let error = data.split_tail(n).unwrap_err().to_string();
        assert!(
            error.contains("from 1 to 4") && error.contains(&n.to_string()),
            "{error}"
        );
    }
}

#[test]
fn tensors_that_are_no_data_set_are_refused_by_field() {
    let cpu = &Device::Cpu;
    let images = Tensor::zeros((2, 1, 2, 2), DType::U8, cpu).unwrap();
    let labels = Tensor::zeros(2, DType::U8, cpu).unwrap();
    let refuse = |images: &Tensor, labels: &Tensor, classes, channels, expected: &str| {
        let made = Dataset::new("x", images, labels, classes, normalization(channels));
        let message = made.expect_err(expected).to_string();
        assert!(
            message.starts_with("x: ") && message.contains(expected),
            "{message}"
        );
    };
    let (floats, flat) = (
        images.to_dtype(DType::F32).unwrap(),
        images.flatten_from(1).unwrap(),
    );
    let one = images.narrow(0, 0, 1).unwrap();
    let wide = labels.to_dtype(DType::U32).unwrap();
    let (none, no) = (
        images.narrow(0, 0, 0).unwrap(),
        labels.narrow(0, 0, 0).unwrap(),
    );
    refuse(
        &floats,
        &labels,
        10,
        1,
        "images must be u8 on the CPU, got F32",
    );
    refuse(&images, &wide, 10, 1, "labels must be u8");
    refuse(&flat, &labels, 10, 1, "got [2, 4]");
    refuse(&one, &labels, 10, 1, "labels must be of shape (1)");
    refuse(&images, &labels, 0, 1, "from 1 to 256, got 0");
    refuse(&images, &labels, 257, 1, "from 1 to 256, got 257");
    refuse(&images, &labels, 10, 3, "for 1 channels, got 3");
    refuse(&none, &no, 10, 1, "without a zero");
}

#[test]
fn a_label_beyond_the_classes_is_refused_with_its_position() {
    let made = Dataset::from_bytes(
        "x",
        [1, 1, 1],
        vec![0; 3],
        vec![0, 2, 3],
        3,
        normalization(1),
    );
    let message = made.unwrap_err().to_string();
    assert_eq!(
        message.split_once(", which").unwrap().0,
        "x: label 2 must be in 0..3, got 3"
    );
}

#[test]
fn pixels_that_are_no_whole_number_of_examples_are_refused() {
    for (shape, n_pixels) in [([1, 2, 2], 7), ([1, 0, 2], 4), ([usize::MAX, 2, 2], 4)] {
        let made = Dataset::from_bytes("x", shape, vec![0; n_pixels], vec![0], 3, normalization(1));
        let message = made.unwrap_err().to_string();
        assert!(
            message.contains("pixels must be a whole number"),
            "{message}"
        );
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
        assert!(
            made.unwrap_err().to_string().contains(field),
            "{mean:?} {deviation:?}"
        );
    }
}

//! Files of tensors, in both forms, with labels of every kind, and what is none.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use flatness_data::{Divisible, Examples, Subset, TensorFile, check_probabilities};

fn saved(directory: &Path, x: &Tensor, y: &Tensor) -> PathBuf {
    let path = directory.join("data.safetensors");
    let tensors = HashMap::from([("x", x.clone()), ("y", y.clone())]);
    candle_core::safetensors::save(&tensors, &path).unwrap();
    path
}

#[test]
fn both_forms_give_the_same_examples() {
    let directory = tempfile::tempdir().unwrap();
    let x = Tensor::arange(0f32, 12.0, &Device::Cpu)
        .unwrap()
        .reshape((3, 2, 2))
        .unwrap();
    let y = Tensor::new(&[1i64, 0, 4], &Device::Cpu).unwrap();
    let path = saved(directory.path(), &x, &y);
    let packed = directory.path().join("data.npz");
    Tensor::write_npz(&[("x", &x), ("y", &y)], &packed).unwrap();
    for path in [path, packed] {
        assert!(TensorFile::is_one(&path));
        let file = TensorFile::read(&path).unwrap();
        assert!(file.has_classes());
        let examples = file.examples(&[5]).unwrap();
        assert!(examples.is_classified());
        assert_eq!(examples.example_shape(), [2, 2]);
        let batch = examples.gather(&[2, 0], DType::F64, &Device::Cpu).unwrap();
        assert_eq!(
            batch
                .inputs
                .get(0)
                .unwrap()
                .flatten_all()
                .unwrap()
                .to_vec1::<f64>()
                .unwrap(),
            [8.0, 9.0, 10.0, 11.0]
        );
        assert_eq!(batch.labels.to_vec1::<u32>().unwrap(), [4, 1]);
        assert!(file.examples(&[4]).is_err());
    }
}

#[test]
fn labels_of_positions_and_values_are_taken_for_outputs_that_they_fit() {
    let directory = tempfile::tempdir().unwrap();
    let x = Tensor::new(&[[0i64, 1, 2], [2, 1, 0]], &Device::Cpu).unwrap();
    let y = Tensor::new(&[[1i64, 2, -100], [1, -100, -100]], &Device::Cpu).unwrap();
    let file = TensorFile::read(&saved(directory.path(), &x, &y)).unwrap();
    let examples = file.examples(&[3, 3]).unwrap();
    assert!(!examples.is_classified());
    assert_eq!(
        (examples.loss_factor(None).unwrap(), examples.outputs()),
        (2.0, vec![3, 3])
    );
    let batch = examples.gather(&[0], DType::F32, &Device::Cpu).unwrap();
    assert_eq!(batch.inputs.dtype(), DType::F32);
    assert_eq!(batch.labels.to_vec2::<u32>().unwrap(), [[1, 2, u32::MAX]]);
    assert!(file.examples(&[3]).is_err(), "positions without outputs");
    let values = Tensor::new(&[[0.5f64, 1.0], [2.0, 3.0]], &Device::Cpu).unwrap();
    let file = TensorFile::read(&saved(directory.path(), &x, &values)).unwrap();
    let examples = file.examples(&[2]).unwrap();
    let batch = examples.gather(&[1], DType::F32, &Device::Cpu).unwrap();
    assert_eq!(batch.labels.to_vec2::<f32>().unwrap(), [[2.0, 3.0]]);
    assert!(file.examples(&[3]).is_err());
}

fn with_test(directory: &Path, tensors: &[(&str, &Tensor)]) -> Result<TensorFile, String> {
    let path = directory.join("data.npz");
    Tensor::write_npz(tensors, &path).unwrap();
    TensorFile::read(&path).map_err(|error| error.to_string())
}

#[test]
fn test_examples_are_like_the_others_or_none() {
    let directory = tempfile::tempdir().unwrap();
    let floats = |rows: usize, width: usize| {
        let counted = Tensor::arange(0f64, (rows * width) as f64, &Device::Cpu).unwrap();
        counted.reshape((rows, width)).unwrap()
    };
    let classes = |count: u32| Tensor::arange(0, count, &Device::Cpu).unwrap();
    let (x, y) = (floats(4, 3), classes(4));
    let read = |x_test: Option<&Tensor>, y_test: Option<&Tensor>| {
        let tensors = [
            ("x", Some(&x)),
            ("y", Some(&y)),
            ("x_test", x_test),
            ("y_test", y_test),
        ];
        let tensors = tensors
            .into_iter()
            .filter_map(|(name, tensor)| Some((name, tensor?)));
        with_test(directory.path(), &tensors.collect::<Vec<_>>())
    };
    let (x_test, y_test) = (floats(2, 3), classes(2));
    let file = read(Some(&x_test), Some(&y_test)).unwrap();
    let test = file.test_examples(&[4]).unwrap().expect("test examples");
    assert_eq!(
        (
            test.len(),
            file.test_labels().map(|labels| labels.dims()[0])
        ),
        (2, Some(2))
    );
    assert!(
        read(None, None)
            .unwrap()
            .test_examples(&[4])
            .unwrap()
            .is_none()
    );
    for (x_test, y_test, reason) in [
        (Some(x_test.clone()), None, "one of x_test and y_test"),
        (None, Some(y_test.clone()), "one of x_test and y_test"),
        (
            Some(floats(3, 3)),
            Some(y_test.clone()),
            "x_test [3, 3] and y_test [2]",
        ),
        (Some(floats(2, 4)), Some(y_test), "must be like the others"),
        (
            Some(x_test.clone()),
            Some(floats(2, 2)),
            "must be like the others",
        ),
        (
            Some(x_test),
            Some(Tensor::zeros(2, DType::F32, &Device::Cpu).unwrap()),
            "must be like the others",
        ),
    ] {
        let message = read(x_test.as_ref(), y_test.as_ref()).unwrap_err();
        assert!(message.contains(reason), "{message}");
    }
}

/// Each part weighs its positions by those of its own that count.
#[test]
fn parts_are_examples_of_their_own() {
    let directory = tempfile::tempdir().unwrap();
    let x = Tensor::arange(0f64, 8.0, &Device::Cpu).unwrap();
    let x = x.reshape((4, 2)).unwrap();
    let y = [[0i64, -100], [1, 2], [-100, -100], [2, 1]];
    let y = Tensor::new(&y, &Device::Cpu).unwrap();
    let file = TensorFile::read(&saved(directory.path(), &x, &y)).unwrap();
    let all = file.examples(&[2, 3]).unwrap();
    let inputs = |examples: &dyn Examples| {
        let batch = examples.batch(0..examples.len(), DType::F64, &Device::Cpu);
        batch.unwrap().inputs.to_vec2::<f64>().unwrap()
    };
    let (rest, tail) = all.split_tail(1).unwrap();
    assert_eq!(inputs(&tail), [[6.0, 7.0]]);
    assert_eq!(inputs(&rest.take(2).unwrap()), [[0.0, 1.0], [2.0, 3.0]]);
    let factors = [&all, &rest, &tail].map(|part| part.loss_factor(None).unwrap());
    assert_eq!(factors, [8.0 / 5.0, 6.0 / 3.0, 1.0]);
    // Classes 0, 1, 2, 2, 1 with weights.
    let weighted = |weights: &[f64]| {
        all.loss_factor(Some(weights))
            .map_err(|error| error.to_string())
    };
    assert_eq!(weighted(&[1.0, 0.25, 0.5]), Ok(8.0 / 2.5));
    assert_eq!(
        Subset::first(&all, 1).unwrap().loss_factor(None).unwrap(),
        1.6
    );
    for (weights, expected) in [
        (
            &[1.0, 2.0][..],
            "must be 3 numbers, one for each class, got 2",
        ),
        (&[0.0; 3], "a sum of 0 "),
        (&[1.0, f64::INFINITY, 1.0], "a sum of inf "),
    ] {
        let message = weighted(weights).unwrap_err();
        assert!(message.contains(expected), "{message}");
    }
    let chosen = all.sample(3, 7).unwrap();
    let rows = inputs(&chosen);
    assert!(rows.iter().all(|row| inputs(&all).contains(row)) && rows.len() == 3);
    assert_eq!(inputs(&chosen.take(2).unwrap()), rows[..2]);
    assert!(all.take(5).is_err() && all.split_tail(4).is_err());
    // What no position of counts is no split.
    let third = all.take(3).unwrap().split_tail(1);
    let message = third.unwrap_err().to_string();
    assert!(message.contains("a class at one position"), "{message}");
}

#[test]
fn probabilities_are_held_to_be_such() {
    let check = |rows: &[[f64; 2]], sum_to_one| {
        let flat: Vec<f64> = rows.concat();
        let labels = Tensor::from_vec(flat, (rows.len(), 2), &Device::Cpu).unwrap();
        check_probabilities("data.npz", &labels, sum_to_one)
    };
    check(&[[0.25, 0.75], [1.0, 0.0]], true).unwrap();
    check(&[[0.5, 0.75]], false).unwrap();
    for (rows, sum_to_one, reason) in [
        ([[0.5, 0.75]], true, "sums to 1.25"),
        ([[-0.5, 1.5]], true, "holds -0.5"),
        ([[f64::NAN, 0.5]], false, "holds NaN"),
        ([[2.0, 0.5]], false, "holds 2"),
    ] {
        let message = check(&rows, sum_to_one).unwrap_err().to_string();
        assert!(message.contains(reason), "{message}");
    }
}

#[test]
fn other_files_are_errors_of_one_sentence() {
    let directory = tempfile::tempdir().unwrap();
    let x = Tensor::zeros((3, 2), DType::F32, &Device::Cpu).unwrap();
    let y = Tensor::zeros(2, DType::I64, &Device::Cpu).unwrap();
    let message = TensorFile::read(&saved(directory.path(), &x, &y))
        .unwrap_err()
        .to_string();
    assert!(message.contains("x [3, 2] and y [2]"), "{message}");
    let large = Tensor::new(&[1i64 << 24, 0, 0], &Device::Cpu).unwrap();
    let message = TensorFile::read(&saved(directory.path(), &large, &large))
        .unwrap_err()
        .to_string();
    assert!(message.contains("float64"), "{message}");
    for (bytes, reason) in [
        (&b"<!DOCTYPE html>"[..], "web page"),
        (b"PK\x03\x04", "archive is damaged"),
        (b"\x10\0\0\0\0\0\0\0{}", "whole safetensors"),
    ] {
        let path = directory.path().join("other.npz");
        std::fs::write(&path, bytes).unwrap();
        let message = TensorFile::read(&path).unwrap_err().to_string();
        assert!(message.contains(reason), "{message}");
    }
}

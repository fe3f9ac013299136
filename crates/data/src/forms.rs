//! Forms in which MNIST, CIFAR-100 and CIFAR-10 are kept that are not read: found, they are named.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::loaded::is_file;

/// Files below a directory, and what it then holds.
const FORMS: [(&str, &str); 18] = [
    ("mnist.npz", "MNIST as Keras keeps it"),
    ("mnist.pkl.gz", "MNIST as a Python pickle"),
    ("mnist_train.csv", "MNIST as a table"),
    ("train.csv", "a table of Kaggle"),
    (
        "processed/training.pt",
        "MNIST as torchvision kept it before 0.10",
    ),
    (
        "MNIST/processed/training.pt",
        "MNIST as torchvision kept it before 0.10",
    ),
    (
        "mnist/train-00000-of-00001.parquet",
        "a data set of the Hugging Face hub",
    ),
    (
        "cifar100/train-00000-of-00001.parquet",
        "a data set of the Hugging Face hub",
    ),
    (
        "train-00000-of-00001.parquet",
        "a data set of the Hugging Face hub",
    ),
    (
        "cifar-100-python.tar.gz",
        "the Python version of CIFAR-100, packed",
    ),
    (
        "cifar-100-python/train",
        "a part of the Python version of CIFAR-100",
    ),
    ("cifar-10-binary.tar.gz", "CIFAR-10, another data set"),
    ("cifar-10-python.tar.gz", "CIFAR-10, another data set"),
    (
        "cifar-10-batches-bin/data_batch_1.bin",
        "CIFAR-10, another data set",
    ),
    (
        "cifar-10-batches-py/data_batch_1",
        "CIFAR-10, another data set",
    ),
    ("data_batch_1.bin", "CIFAR-10, another data set"),
    ("data_batch_1", "CIFAR-10, another data set"),
    (
        "emnist-digits-train-images-idx3-ubyte.gz",
        "EMNIST, another data set",
    ),
];

/// The error for a `wanted` that is in none of `places`: what is in them instead, if that is known.
pub(crate) fn absent(wanted: &str, places: &[PathBuf]) -> Error {
    let other = places.iter().find_map(|place| other(place).ok().flatten());
    match other {
        Some((path, form)) => Error::Form {
            path,
            form,
            wanted: wanted.to_owned(),
        },
        None => Error::Absent {
            what: wanted.to_owned(),
            places: places.to_owned(),
        },
    }
}

/// What `place`, a directory or a file of one of those names, holds.
pub(crate) fn other(place: &Path) -> Result<Option<(PathBuf, &'static str)>> {
    for (name, form) in FORMS {
        for path in [place.join(name), place.to_owned()] {
            if path.ends_with(name) && is_file(&path)? {
                return Ok(Some((path, form)));
            }
        }
    }
    Ok(None)
}

//! Forms in which MNIST, CIFAR-100 and CIFAR-10 are kept that are not read: found, they are named.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::loaded::is_file;

/// What a directory holds that has one of these files.
const FORMS: [(&str, &[&str]); 10] = [
    ("MNIST as Keras keeps it", &["mnist.npz"]),
    ("MNIST as a Python pickle", &["mnist.pkl.gz"]),
    ("MNIST as a table", &["mnist_train.csv"]),
    ("a table of Kaggle", &["train.csv"]),
    (
        "MNIST as torchvision kept it before 0.10",
        &["processed/training.pt", "MNIST/processed/training.pt"],
    ),
    (
        "a data set of the Hugging Face hub",
        &[
            "mnist/train-00000-of-00001.parquet",
            "cifar100/train-00000-of-00001.parquet",
            "train-00000-of-00001.parquet",
        ],
    ),
    (
        "the Python version of CIFAR-100, packed",
        &["cifar-100-python.tar.gz"],
    ),
    (
        "a part of the Python version of CIFAR-100",
        &["cifar-100-python/train"],
    ),
    (
        "CIFAR-10, another data set",
        &[
            "cifar-10-binary.tar.gz",
            "cifar-10-python.tar.gz",
            "cifar-10-batches-bin/data_batch_1.bin",
            "cifar-10-batches-py/data_batch_1",
            "data_batch_1.bin",
            "data_batch_1",
        ],
    ),
    (
        "EMNIST, another data set",
        &["emnist-digits-train-images-idx3-ubyte.gz"],
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
    for (form, names) in FORMS {
        for name in names {
            for path in [place.join(name), place.to_owned()] {
                if path.ends_with(name) && is_file(&path)? {
                    return Ok(Some((path, form)));
                }
            }
        }
    }
    Ok(None)
}

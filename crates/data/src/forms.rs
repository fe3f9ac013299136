//! Forms in which the data sets are kept that are not read, and other data sets: found, they are named.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::loaded::is_file;
use crate::set::Set;

/// What a directory holds that has one of these files.
const FORMS: [(&str, &[&str]); 5] = [
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
];

/// The error for a set whose `wanted` file is in none of `places`: what is in them instead, if that is known.
pub(crate) fn absent(asked: Set, wanted: &str, places: &[PathBuf]) -> Error {
    let form = places.iter().find_map(|place| other(place).ok().flatten());
    if let Some((path, form)) = form {
        let wanted = wanted.to_owned();
        return Error::Form { path, form, wanted };
    }
    let others = Set::ALL
        .into_iter()
        .filter(|&set| set != asked && set != Set::Idx);
    let place = places.first();
    match place.and_then(|place| Some((place, others.into_iter().find(|set| set.is_at(place))?))) {
        Some((place, found)) => Error::OtherSet {
            place: place.display().to_string(),
            found,
            asked,
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

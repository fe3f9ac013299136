//! CIFAR-100 from its binary archive or the directory unpacked from it: 32 × 32 colour images in 100
//! classes, which form 20 superclasses (Krizhevsky 2009, *Learning multiple layers of features from tiny
//! images*).
//!
//! The labels of a [`Dataset`] are the fine ones; a superclass is a function of the class, see
//! [`Classes`]. The normalisation is the caller's: published networks differ in it, see
//! [`Normalization::cifar`] and [`Normalization::imagenet`].

mod archive;
mod files;
mod python;
mod records;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use crate::dataset::Dataset;
use crate::error::{Error, Result};
use crate::loaded::{Classes, Completeness, Loaded, content};
use crate::normalization::Normalization;

use files::Content;
use records::Records;

/// Number of classes, the fine labels.
pub const CLASSES: usize = 100;

/// Number of superclasses, the coarse labels.
pub const SUPERCLASSES: usize = 20;

/// (C, H, W) of an image.
pub const EXAMPLE_SHAPE: [usize; 3] = [3, 32, 32];

/// Canonical name of the archive.
pub const ARCHIVE_NAME: &str = "cifar-100-binary.tar.gz";

/// Canonical name of the directory in the archive.
pub const DIRECTORY_NAME: &str = "cifar-100-binary";

/// Canonical file names in that directory: training and test records, names of classes and superclasses.
pub const FILE_NAMES: [&str; 4] = [
    "train.bin",
    "test.bin",
    "fine_label_names.txt",
    "coarse_label_names.txt",
];

/// SHA-256 of `train.bin` and of `test.bin`, those of torchvision-ruby.
const TRAIN: [(&str, &str); 1] = [(
    "f31298fc616915fa142368359df1c4ca2ae984d6915ca468b998a5ec6aeebf29",
    "the 50,000 training examples of CIFAR-100",
)];
const TEST: [(&str, &str); 1] = [(
    "d8b1e6b7b3bee4020055f0699b111f60b1af1e262aeb93a0b659061746f8224a",
    "the 10,000 test examples of CIFAR-100",
)];

/// Training and test examples of each class in the complete data set.
const EXAMPLES_PER_CLASS: [usize; 2] = [500, 100];

/// Classes of each superclass in the complete data set.
const CLASSES_PER_SUPERCLASS: usize = CLASSES / SUPERCLASSES;

/// Where CIFAR-100 is read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The archive, a gzip of a tar.
    Archive(PathBuf),
    /// A directory with the four files.
    Directory(PathBuf),
    /// A directory with the three files of the Python version.
    Python(PathBuf),
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Archive(path) => write!(formatter, "archive {}", path.display()),
            Self::Directory(path) | Self::Python(path) => {
                write!(formatter, "directory {}", path.display())
            }
        }
    }
}

/// Where to read CIFAR-100: the `directory` asked for, else the `cache` directory. Either holds the
/// archive or the unpacked directory, of the binary or else of the Python version, or is one of them, or
/// its subdirectory `cifar-100` does. Where both are there the archive is taken: it carries a checksum.
///
/// # Errors
/// When the one that counts does not exist, may not be read or lacks a file.
pub fn find(directory: Option<&Path>, cache: Option<&Path>) -> Result<Source> {
    if let Some(asked) = directory {
        fs::metadata(asked).map_err(Error::io("read", asked))?;
    }
    let places = directory.or(cache).map(files::places).unwrap_or_default();
    files::locate(&places)
}

/// Read both splits.
///
/// # Errors
/// When a file is missing, unreadable, damaged, too long, or holds labels that are none.
pub fn load(source: Source, normalization: Normalization) -> Result<Loaded> {
    let (files, read) = match &source {
        Source::Archive(path) => (vec![path.clone()], archive::read(path)?),
        Source::Directory(path) => {
            let files = FILE_NAMES.map(|name| path.join(name));
            (files.into(), files::read(path)?)
        }
        Source::Python(path) => {
            let files = python::FILE_NAMES.map(|name| path.join(name));
            (files.into(), python::read(path)?)
        }
    };
    let superclasses = superclasses([&read.train, &read.test])?;
    let contents = [
        content(&TRAIN, &read.train.sha256),
        content(&TEST, &read.test.sha256),
    ];
    let dataset = |name, records: Records| {
        let Records { fine, pixels, .. } = records;
        let normalization = normalization.clone();
        Dataset::from_bytes(name, EXAMPLE_SHAPE, pixels, fine, CLASSES, normalization)
    };
    let Content {
        train,
        test,
        names,
        superclass_names,
    } = read;
    let train = dataset("cifar-100-train", train)?;
    let test = dataset("cifar-100-test", test)?;
    let counts = [train.class_counts()?, test.class_counts()?];
    let completeness = match contents {
        [Some(_), Some(_)] => Completeness::Canonical,
        _ if is_complete(counts.each_ref().map(Vec::as_slice), &superclasses) => {
            Completeness::Complete
        }
        _ => Completeness::Partial,
    };
    let classes = Classes {
        names,
        superclass_names,
        superclasses,
    };
    Ok(Loaded {
        set: "cifar-100",
        train,
        test,
        classes: Some(classes),
        contents,
        completeness,
        source: source.to_string(),
        files,
    })
}

/// Superclass of each class; every class must have the same one in all its examples.
fn superclasses(splits: [&Records; 2]) -> Result<Vec<Option<u8>>> {
    let mut superclasses = vec![None; CLASSES];
    for records in splits {
        for (index, (&coarse, &fine)) in records.coarse.iter().zip(&records.fine).enumerate() {
            let expected = *superclasses[usize::from(fine)].get_or_insert(coarse);
            if coarse != expected {
                let field = format!("superclass of class {fine} in record {index}");
                let expected = format!("{expected}, as in an earlier one");
                return Err(Error::content(&records.file, field, expected, coarse));
            }
        }
    }
    Ok(superclasses)
}

/// Whether the training and the test split have the published number of examples in every class, and
/// every superclass the published number of classes.
fn is_complete(class_counts: [&[usize]; 2], superclasses: &[Option<u8>]) -> bool {
    let counts = class_counts.into_iter().zip(EXAMPLES_PER_CLASS);
    let examples = |(counts, expected): (&[usize], usize)| {
        counts.len() == CLASSES && counts.iter().all(|&count| count == expected)
    };
    let classes = |superclass: usize| {
        let members = superclasses.iter().flatten();
        members.filter(|&&of| usize::from(of) == superclass).count()
    };
    counts.into_iter().all(examples)
        && (0..SUPERCLASSES).all(|superclass| classes(superclass) == CLASSES_PER_SUPERCLASS)
}

/// The canonical archive as its author serves it.
///
/// SHA-256 as in TensorFlow Datasets.
#[cfg(feature = "fetch")]
pub fn manifest() -> crate::fetch::Manifest {
    crate::fetch::Manifest {
        files: vec![crate::fetch::RemoteFile {
            name: ARCHIVE_NAME.to_owned(),
            bytes: 168_513_733,
            sha256: "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec".to_owned(),
        }],
        mirrors: vec!["https://www.cs.toronto.edu/~kriz/".to_owned()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Superclass of each class, five to one, in a cycle.
    fn fives() -> Vec<Option<u8>> {
        (0..100).map(|class| Some(class % 20)).collect()
    }

    #[test]
    fn complete_means_the_published_counts_in_every_class_and_superclass() {
        let (train, test) = (vec![500; 100], vec![100; 100]);
        assert!(is_complete([&train, &test], &fives()));
        assert!(!is_complete([&test, &train], &fives()));

        // The sum is right, the classes are not.
        let mut moved = train.clone();
        (moved[3], moved[4]) = (499, 501);
        assert!(!is_complete([&moved, &test], &fives()));

        for superclass in [None, Some(8)] {
            let mut superclasses = fives();
            superclasses[7] = superclass;
            assert!(!is_complete([&train, &test], &superclasses));
        }
    }
}

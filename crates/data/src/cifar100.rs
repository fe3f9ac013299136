//! CIFAR-100 from its binary archive or the directory unpacked from it: 32 × 32 colour images in 100
//! classes, which form 20 superclasses (Krizhevsky 2009, *Learning multiple layers of features from tiny
//! images*).
//!
//! The labels of a [`Dataset`] are the fine ones; a superclass is a function of the class, see
//! [`Classes`]. The normalisation is the caller's: published networks differ in it, see
//! [`Normalization::cifar`] and [`Normalization::imagenet`].

mod archive;
mod files;
mod records;

use std::fmt;
use std::path::{Path, PathBuf};

use crate::check::{Completeness, Identity};
use crate::dataset::{Dataset, digest_of_splits};
use crate::error::{Error, Result};
use crate::fetch::{Manifest, RemoteFile};
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
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Archive(path) => write!(formatter, "archive {}", path.display()),
            Self::Directory(path) => write!(formatter, "directory {}", path.display()),
        }
    }
}

/// The names of the classes, and which superclass each is part of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Classes {
    /// Names of the fine labels, in their order.
    pub names: Vec<String>,
    /// Names of the coarse labels, in their order.
    pub superclass_names: Vec<String>,
    /// Coarse label of each fine label, as the examples have it; none: the class has no example.
    pub superclasses: Vec<Option<u8>>,
}

/// Both splits, and where they came from.
#[derive(Debug, Clone)]
pub struct Cifar100 {
    /// Training examples, 50,000 in the complete data set.
    pub train: Dataset,
    /// Test examples, 10,000 in the complete data set.
    pub test: Dataset,
    /// Classes and superclasses.
    pub classes: Classes,
    /// What the files of the two splits are, by their SHA-256.
    pub identities: [Option<Identity>; 2],
    /// How much of the published data set this is.
    pub completeness: Completeness,
    /// Where the files were read.
    pub source: Source,
}

impl Cifar100 {
    /// One digest for both splits, as [`crate::mnist::Mnist::digest`].
    ///
    /// # Errors
    /// As [`Dataset::digest`].
    pub fn digest(&self) -> Result<String> {
        digest_of_splits(&self.train, &self.test)
    }
}

/// Where to read CIFAR-100: the `directory` asked for, else the `cache` directory. Either holds the
/// archive or the unpacked directory, or is one of them, or its subdirectory `cifar-100` does. Where both
/// are there the archive is taken: it carries a checksum.
///
/// # Errors
/// When neither directory is given, or the one that counts does not exist or lacks a file.
pub fn find(directory: Option<&Path>, cache: Option<&Path>) -> Result<Source> {
    match (directory, cache) {
        (Some(asked), _) if !asked.exists() => Err(Error::NotADirectory {
            path: asked.to_owned(),
        }),
        (Some(directory), _) | (None, Some(directory)) => files::locate(directory),
        (None, None) => Err(Error::NoDirectory { set: "cifar-100" }),
    }
}

/// Read both splits.
///
/// # Errors
/// When a file is missing, unreadable, damaged, too long, or holds labels that are none.
pub fn load(source: Source, normalization: Normalization) -> Result<Cifar100> {
    let Content {
        train,
        test,
        names,
        superclass_names,
    } = match &source {
        Source::Archive(path) => archive::read(path)?,
        Source::Directory(path) => files::read(path)?,
    };
    let superclasses = superclasses([&train, &test])?;
    let identities = [&train, &test].map(|records| Identity::of(&records.sha256));
    let dataset = |name, records: Records| {
        let Records { fine, pixels, .. } = records;
        let normalization = normalization.clone();
        Dataset::from_bytes(name, EXAMPLE_SHAPE, pixels, fine, CLASSES, normalization)
    };
    let (train, test) = (
        dataset("cifar-100-train", train)?,
        dataset("cifar-100-test", test)?,
    );
    let completeness =
        if identities == [Some(Identity::Cifar100Train), Some(Identity::Cifar100Test)] {
            Completeness::Canonical
        } else if is_complete(
            [&train.class_counts()?, &test.class_counts()?],
            &superclasses,
        ) {
            Completeness::Complete
        } else {
            Completeness::Partial
        };
    Ok(Cifar100 {
        train,
        test,
        classes: Classes {
            names,
            superclass_names,
            superclasses,
        },
        identities,
        completeness,
        source,
    })
}

/// Superclass of each class; every class must have the same one in all its examples.
fn superclasses(splits: [&Records; 2]) -> Result<Vec<Option<u8>>> {
    let mut superclasses = vec![None; CLASSES];
    for records in splits {
        for (index, (&coarse, &fine)) in records.coarse.iter().zip(&records.fine).enumerate() {
            let expected = *superclasses[usize::from(fine)].get_or_insert(coarse);
            if coarse != expected {
                return Err(Error::Superclass {
                    file: records.file.clone(),
                    index,
                    class: fine,
                    expected,
                    got: coarse,
                });
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
/// MD5 as on the data set's page, SHA-256 as in TensorFlow Datasets.
pub fn manifest() -> Manifest {
    Manifest {
        files: vec![RemoteFile {
            name: ARCHIVE_NAME.to_owned(),
            bytes: 168_513_733,
            md5: "03b5dce01913d631647c71ecec9e9cb8".to_owned(),
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

//! What a data directory holds: counts, digests, and whether it is the data set of that name.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::cifar100::{self, Cifar100, Classes};
use crate::dataset::Dataset;
use crate::error::{Error, Result};
use crate::hex::hex;
use crate::mnist::files::{self, Files};
use crate::normalization::Normalization;

/// Digests with what they are of: [`Dataset::digest`]s of MNIST and of the part of it that this project
/// uses, and SHA-256 of `train.bin` and `test.bin` of CIFAR-100.
///
/// The former are printed by `fixtures/mnist/make.py`, which computes them without this crate; the latter
/// are those of torchvision-ruby.
const KNOWN: [(&str, Identity); 5] = [
    (
        "013e0a690ea982f9f86a8aefd0c5949d3e9b12e37ad230ffe8af6604d2ef0de6",
        Identity::MnistTrain,
    ),
    (
        "4c13d7bd75c01dc52b4f93de54cbaedd79e96deca14d34dc6029afe096e0ccfa",
        Identity::MnistTrainHead,
    ),
    (
        "5cfef7b2bb8a59ab696f81a0eaf40cb3778569d762c1ba39fc971485e040ec91",
        Identity::MnistTest,
    ),
    (
        "f31298fc616915fa142368359df1c4ca2ae984d6915ca468b998a5ec6aeebf29",
        Identity::Cifar100Train,
    ),
    (
        "d8b1e6b7b3bee4020055f0699b111f60b1af1e262aeb93a0b659061746f8224a",
        Identity::Cifar100Test,
    ),
];

/// Content that a digest recognises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// The 60,000 training examples of MNIST, in their original order.
    MnistTrain,
    /// The first 10,000 training examples of MNIST.
    MnistTrainHead,
    /// The 10,000 test examples of MNIST.
    MnistTest,
    /// The 50,000 training examples of CIFAR-100, in their original order.
    Cifar100Train,
    /// The 10,000 test examples of CIFAR-100, in their original order.
    Cifar100Test,
}

impl fmt::Display for Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::MnistTrain => "the 60,000 training examples of MNIST",
            Self::MnistTrainHead => "the first 10,000 training examples of MNIST",
            Self::MnistTest => "the 10,000 test examples of MNIST",
            Self::Cifar100Train => "the 50,000 training examples of CIFAR-100",
            Self::Cifar100Test => "the 10,000 test examples of CIFAR-100",
        })
    }
}

impl Identity {
    /// What a digest says that its data is; none: nothing that is known here.
    pub fn of(digest: &str) -> Option<Self> {
        KNOWN
            .iter()
            .find(|(known, _)| *known == digest)
            .map(|(_, identity)| *identity)
    }
}

/// How much of a published data set was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completeness {
    /// Both splits are exactly the published ones, complete and in order, however compressed.
    Canonical,
    /// Both splits have as many examples of every class as the published ones, but not the same bytes in
    /// the same order.
    Complete,
    /// The files are valid, but hold something less or else.
    Partial,
}

impl fmt::Display for Completeness {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Canonical => "complete and in order",
            Self::Complete => {
                "complete by the counts of its classes, but not the published bytes in their order"
            }
            Self::Partial => "valid, but not the complete data set",
        })
    }
}

/// A valid directory or archive of a data set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// The files read: the four of [`crate::mnist::FILE_NAMES`], the archive of CIFAR-100, or the four of
    /// [`crate::cifar100::FILE_NAMES`], in that order.
    pub files: Vec<FileSummary>,
    /// Training split.
    pub train: SplitSummary,
    /// Test split.
    pub test: SplitSummary,
    /// Superclasses, in the order of their labels; none: the classes form none.
    pub superclasses: Vec<SuperclassSummary>,
    /// How much of the published data set this is.
    pub completeness: Completeness,
}

/// A file as it lies on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSummary {
    /// Path read.
    pub path: PathBuf,
    /// Size in bytes.
    pub bytes: u64,
    /// SHA-256 in hexadecimal of the file, compressed if it is.
    pub sha256: String,
}

/// A split after decoding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SplitSummary {
    /// Number of examples.
    pub examples: usize,
    /// (C, H, W) of an example.
    pub shape: [usize; 3],
    /// Examples per class.
    pub class_counts: Vec<usize>,
    /// [`Dataset::digest`].
    pub digest: String,
    /// What a digest recognises.
    pub identity: Option<Identity>,
}

/// Classes that belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuperclassSummary {
    /// Name of the superclass.
    pub name: String,
    /// Names of its classes, in the order of their labels.
    pub classes: Vec<String>,
}

/// Read and verify the MNIST files in `directory`, or in its subdirectory `mnist`.
///
/// # Errors
/// As [`crate::mnist::load`] of the directory.
pub fn mnist_directory(directory: &Path) -> Result<Summary> {
    let loaded = Files::locate(directory)?.read()?;
    let (train, test) = files::decode(
        loaded
            .each_ref()
            .map(|file| (file.name.as_str(), &file.bytes[..])),
    )?;
    let files = loaded.map(|file| FileSummary {
        bytes: file.bytes.len() as u64,
        sha256: hex(&Sha256::digest(&file.bytes)),
        path: file.path,
    });
    let identify = |split: &Dataset| Ok::<_, Error>(Identity::of(split.digest()?));
    let identities = [identify(&train)?, identify(&test)?];
    let completeness = match identities {
        [Some(Identity::MnistTrain), Some(Identity::MnistTest)] => Completeness::Canonical,
        _ => Completeness::Partial,
    };
    summarise(
        files.into(),
        [&train, &test],
        identities,
        Vec::new(),
        completeness,
    )
}

/// Read and verify the CIFAR-100 that is in `directory` or is it, as [`cifar100::find`] finds it.
///
/// # Errors
/// As [`cifar100::find`] and [`cifar100::load`].
pub fn cifar100_directory(directory: &Path) -> Result<Summary> {
    let source = cifar100::find(Some(directory), None)?;
    let files = match &source {
        cifar100::Source::Archive(path) => vec![FileSummary::read(path)?],
        cifar100::Source::Directory(path) => cifar100::FILE_NAMES
            .iter()
            .map(|name| FileSummary::read(&path.join(name)))
            .collect::<Result<_>>()?,
    };
    // Which constants does not matter: they are part of no digest.
    let Cifar100 {
        train,
        test,
        classes,
        identities,
        completeness,
        ..
    } = cifar100::load(source, Normalization::cifar())?;
    summarise(
        files,
        [&train, &test],
        identities,
        superclasses(&classes),
        completeness,
    )
}

impl FileSummary {
    fn read(path: &Path) -> Result<Self> {
        let mut hasher = Sha256::new();
        let bytes = File::open(path)
            .and_then(|mut file| io::copy(&mut file, &mut hasher))
            .map_err(|source| Error::Io {
                action: "read",
                path: path.to_owned(),
                source,
            })?;
        Ok(Self {
            path: path.to_owned(),
            bytes,
            sha256: hex(&hasher.finalize()),
        })
    }
}

fn summarise(
    files: Vec<FileSummary>,
    [train, test]: [&Dataset; 2],
    [train_identity, test_identity]: [Option<Identity>; 2],
    superclasses: Vec<SuperclassSummary>,
    completeness: Completeness,
) -> Result<Summary> {
    let split = |dataset: &Dataset, identity| -> Result<SplitSummary> {
        Ok(SplitSummary {
            examples: dataset.len(),
            shape: dataset.example_shape(),
            class_counts: dataset.class_counts()?,
            digest: dataset.digest()?.to_owned(),
            identity,
        })
    };
    Ok(Summary {
        files,
        train: split(train, train_identity)?,
        test: split(test, test_identity)?,
        superclasses,
        completeness,
    })
}

fn superclasses(classes: &Classes) -> Vec<SuperclassSummary> {
    let members = |label: usize| {
        let all = classes.names.iter().zip(&classes.superclasses);
        all.filter(move |(_, of)| of.is_some_and(|of| usize::from(of) == label))
            .map(|(name, _)| name.clone())
    };
    let names = classes.superclass_names.iter().enumerate();
    names
        .map(|(label, name)| SuperclassSummary {
            name: name.clone(),
            classes: members(label).collect(),
        })
        .collect()
}

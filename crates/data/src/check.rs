//! What a data directory holds: counts, digests, and whether it is the data set of that name.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::dataset::Dataset;
use crate::error::Result;
use crate::hex::hex;
use crate::mnist::files::{self, Files};

/// [`Dataset::digest`]s of MNIST and of the parts of it that this project uses, with what they are.
///
/// Printed by `fixtures/mnist/make.py`, which computes them without this crate.
const KNOWN: [(&str, Identity); 3] = [
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
}

impl std::fmt::Display for Identity {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::MnistTrain => "the 60,000 training examples of MNIST",
            Self::MnistTrainHead => "the first 10,000 training examples of MNIST",
            Self::MnistTest => "the 10,000 test examples of MNIST",
        })
    }
}

impl Identity {
    /// What the digest of a data set says that it is; none: nothing that is known here.
    pub fn of(digest: &str) -> Option<Self> {
        KNOWN
            .iter()
            .find(|(known, _)| *known == digest)
            .map(|(_, identity)| *identity)
    }
}

/// A complete and valid MNIST directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// The four files read, in the order of [`crate::mnist::FILE_NAMES`].
    pub files: [FileSummary; 4],
    /// Training split.
    pub train: SplitSummary,
    /// Test split.
    pub test: SplitSummary,
}

impl Summary {
    /// Whether both splits are exactly those of MNIST, complete and in order, however compressed.
    pub fn is_canonical(&self) -> bool {
        self.train.identity == Some(Identity::MnistTrain)
            && self.test.identity == Some(Identity::MnistTest)
    }
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
    /// What the digest recognises.
    pub identity: Option<Identity>,
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
    Ok(Summary {
        files,
        train: summarise(&train)?,
        test: summarise(&test)?,
    })
}

fn summarise(dataset: &Dataset) -> Result<SplitSummary> {
    let digest = dataset.digest()?.to_owned();
    Ok(SplitSummary {
        examples: dataset.len(),
        shape: dataset.example_shape(),
        class_counts: dataset.class_counts()?,
        identity: Identity::of(&digest),
        digest,
    })
}

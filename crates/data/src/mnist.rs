//! MNIST from a directory or from embedded bytes: 28 × 28 grey digits in ten classes.
//!
//! Normalised with mean 0.5 and deviation 0.5, the setting of the software of Granziol (2020,
//! arXiv 2006.09091), not the per-pixel statistics 0.1307 and 0.3081 that other code uses.

pub(crate) mod files;

use std::fmt;
use std::path::{Path, PathBuf};

use crate::dataset::{Dataset, digest_of_splits};
use crate::error::Result;
use crate::fetch::{Manifest, RemoteFile};
use crate::normalization::Normalization;

use files::Files;

/// Number of classes: the digits.
pub const CLASSES: usize = 10;

/// Canonical file names without `.gz`: training images and labels, test images and labels.
pub const FILE_NAMES: [&str; 4] = [
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
];

/// Four IDX files, raw or gzip, that are part of the program.
#[derive(Clone, Copy)]
pub struct EmbeddedMnist {
    /// Training images.
    pub train_images: &'static [u8],
    /// Training labels.
    pub train_labels: &'static [u8],
    /// Test images.
    pub test_images: &'static [u8],
    /// Test labels.
    pub test_labels: &'static [u8],
    /// What these files hold, as a record or a report says it.
    pub description: &'static str,
}

impl fmt::Debug for EmbeddedMnist {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The megabytes of the files would drown whatever message this becomes part of.
        formatter
            .debug_tuple("EmbeddedMnist")
            .field(&self.description)
            .finish()
    }
}

/// Where MNIST is read from; `Display` is what a record says about it.
#[derive(Debug, Clone)]
pub enum Source {
    /// A directory with the four files, or one whose subdirectory `mnist` holds them.
    Directory(PathBuf),
    /// Bytes in the program.
    Embedded(EmbeddedMnist),
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => write!(formatter, "directory {}", path.display()),
            Self::Embedded(files) => formatter.write_str(files.description),
        }
    }
}

/// Both splits, and where they came from.
#[derive(Debug, Clone)]
pub struct Mnist {
    /// Training examples, 60,000 in the complete data set.
    pub train: Dataset,
    /// Test examples, 10,000 in the complete data set.
    pub test: Dataset,
    /// Where the files were read.
    pub source: Source,
}

impl Mnist {
    /// One digest for both splits: SHA-256 in hexadecimal of the training digest followed by the test
    /// digest, 128 hexadecimal digits.
    ///
    /// # Errors
    /// As [`Dataset::digest`].
    pub fn digest(&self) -> Result<String> {
        digest_of_splits(&self.train, &self.test)
    }
}

/// Where to read MNIST: the `directory` asked for, which must then be complete; else the `cache`
/// directory, if it is complete; else the `embedded` files.
///
/// # Errors
/// When `directory` is given and does not exist or lacks a file.
pub fn find(
    directory: Option<&Path>,
    cache: Option<&Path>,
    embedded: EmbeddedMnist,
) -> Result<Source> {
    if let Some(directory) = directory {
        Files::locate(directory)?;
        return Ok(Source::Directory(directory.to_owned()));
    }
    match cache {
        Some(cache) if Files::locate(cache).is_ok() => Ok(Source::Directory(cache.to_owned())),
        _ => Ok(Source::Embedded(embedded)),
    }
}

/// Read both splits.
///
/// # Errors
/// When a file is missing, unreadable or not what its name says, or the files do not belong together.
pub fn load(source: Source) -> Result<Mnist> {
    let (train, test) = match &source {
        Source::Directory(directory) => {
            let files = Files::locate(directory)?.read()?;
            files::decode(
                files
                    .each_ref()
                    .map(|file| (file.name.as_str(), &file.bytes[..])),
            )?
        }
        Source::Embedded(embedded) => files::decode([
            ("embedded training images", embedded.train_images),
            ("embedded training labels", embedded.train_labels),
            ("embedded test images", embedded.test_images),
            ("embedded test labels", embedded.test_labels),
        ])?,
    };
    Ok(Mnist {
        train,
        test,
        source,
    })
}

/// The canonical files as their distributors serve them, with two mirrors.
///
/// MD5 as in torchvision, SHA-256 as in TensorFlow Datasets.
pub fn manifest() -> Manifest {
    let file = |name: &str, bytes, md5: &str, sha256: &str| RemoteFile {
        name: format!("{name}.gz"),
        bytes,
        md5: md5.to_owned(),
        sha256: sha256.to_owned(),
    };
    let [train_images, train_labels, test_images, test_labels] = FILE_NAMES;
    Manifest {
        files: vec![
            file(
                train_images,
                9_912_422,
                "f68b3c2dcbeaaa9fbdd348bbdeb94873",
                "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            ),
            file(
                train_labels,
                28_881,
                "d53e105ee54ea40749a09fcbcd1e9432",
                "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            ),
            file(
                test_images,
                1_648_877,
                "9fb629c4189551a2d022fa330f9573f3",
                "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            ),
            file(
                test_labels,
                4_542,
                "ec29112dd5afa0611ce80d1b7f02629c",
                "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            ),
        ],
        mirrors: vec![
            "https://ossci-datasets.s3.amazonaws.com/mnist/".to_owned(),
            "https://storage.googleapis.com/cvdf-datasets/mnist/".to_owned(),
        ],
    }
}

/// Mean 0.5 and deviation 0.5: pixels run from −1 to 1.
pub(crate) fn normalization() -> Result<Normalization> {
    Normalization::new(vec![0.5], vec![0.5])
}

//! MNIST from a directory or from embedded bytes: 28 × 28 grey digits in ten classes.

mod files;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use crate::dataset::Dataset;
use crate::error::{Error, Result};
use crate::forms;
use crate::idx;
use crate::loaded::{Completeness, Loaded, content};
use crate::normalization::Normalization;

/// Number of classes: the digits.
pub const CLASSES: usize = 10;

/// Canonical file names without `.gz`: training images and labels, test images and labels.
pub const FILE_NAMES: [&str; 4] = [
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
];

/// [`Dataset::digest`]s of training splits, the complete one first. They and that of the test split are
/// printed by `fixtures/mnist/make.py`, which computes them without this crate.
const TRAIN: [(&str, &str); 2] = [
    (
        "013e0a690ea982f9f86a8aefd0c5949d3e9b12e37ad230ffe8af6604d2ef0de6",
        "the 60,000 training examples of MNIST",
    ),
    (
        "4c13d7bd75c01dc52b4f93de54cbaedd79e96deca14d34dc6029afe096e0ccfa",
        "the first 10,000 training examples of MNIST",
    ),
];
const TEST: [(&str, &str); 1] = [(
    "5cfef7b2bb8a59ab696f81a0eaf40cb3778569d762c1ba39fc971485e040ec91",
    "the 10,000 test examples of MNIST",
)];

/// Training and test examples of each class in the complete data set, as many publications give them.
const EXAMPLES: [[usize; CLASSES]; 2] = [
    [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949],
    [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
];

/// Four IDX files, raw or gzip, that are part of the program.
#[derive(Clone, Copy)]
pub struct EmbeddedMnist {
    /// In the order of [`FILE_NAMES`].
    pub files: [&'static [u8]; 4],
    /// What these files hold, as a record or a report says it.
    pub description: &'static str,
}

impl fmt::Debug for EmbeddedMnist {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The megabytes of the files would drown whatever message this becomes part of.
        write!(formatter, "EmbeddedMnist({:?})", self.description)
    }
}

/// Where MNIST is read from; `Display` is what a record says about it.
#[derive(Debug, Clone)]
pub enum Source {
    /// A directory with the four files, or one that they are below as torchvision puts them.
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

/// Where to read MNIST: the `directory` asked for, else the `cache` directory, if there are any of the
/// files, else the `embedded` ones.
///
/// # Errors
/// When the directory that counts lacks a file or may not be read, or `directory` does not exist.
pub fn find(
    directory: Option<&Path>,
    cache: Option<&Path>,
    embedded: EmbeddedMnist,
) -> Result<Source> {
    if let Some(directory) = directory {
        located(directory)?;
        return Ok(Source::Directory(directory.to_owned()));
    }
    if let Some(cache) = cache
        && files::locate(cache)?.is_some()
    {
        return Ok(Source::Directory(cache.to_owned()));
    }
    Ok(Source::Embedded(embedded))
}

/// The four files of `directory`.
fn located(directory: &Path) -> Result<[PathBuf; 4]> {
    let wanted = format!("{} (raw or .gz)", FILE_NAMES[0]);
    if let Err(error) = fs::read_dir(directory) {
        return Err(match forms::other(directory).unwrap_or(None) {
            Some(_) => forms::absent(&wanted, &[directory.to_owned()]),
            None => Error::io("read", directory)(error),
        });
    }
    files::locate(directory)?.ok_or_else(|| forms::absent(&wanted, &files::places(directory)))
}

/// Read both splits.
///
/// # Errors
/// When a file is missing, unreadable or not what its name says, or the files do not belong together.
pub fn load(source: Source, normalization: Normalization) -> Result<Loaded> {
    let (files, [train, test]) = match &source {
        Source::Directory(directory) => {
            let paths = located(directory)?;
            let [a, b, c, d] = paths.each_ref().map(|path| files::read(path));
            let bytes = [a?, b?, c?, d?];
            let names = paths.each_ref().map(|path| path.display().to_string());
            let named = std::array::from_fn(|file| (names[file].as_str(), &bytes[file][..]));
            (paths.into(), decode(named, &normalization)?)
        }
        Source::Embedded(embedded) => {
            let names = [
                "training images",
                "training labels",
                "test images",
                "test labels",
            ];
            let names = names.map(|name| format!("embedded {name}"));
            let named = std::array::from_fn(|file| (&*names[file], embedded.files[file]));
            (Vec::new(), decode(named, &normalization)?)
        }
    };
    let contents = [
        content(&TRAIN, train.digest()?),
        content(&TEST, test.digest()?),
    ];
    let counts = [train.class_counts()?, test.class_counts()?];
    let completeness = if contents == [Some(TRAIN[0].1), Some(TEST[0].1)] {
        Completeness::Canonical
    } else if counts == EXAMPLES.map(|counts| counts.to_vec()) {
        Completeness::Complete
    } else if [train.len(), test.len()] == EXAMPLES.map(|counts| counts.iter().sum::<usize>()) {
        Completeness::Other
    } else {
        Completeness::Partial
    };
    Ok(Loaded {
        set: "mnist",
        train,
        test,
        classes: None,
        contents,
        completeness,
        source: source.to_string(),
        files,
    })
}

/// Both splits from the named contents of the four files, in the order of [`FILE_NAMES`].
fn decode(files: [(&str, &[u8]); 4], normalization: &Normalization) -> Result<[Dataset; 2]> {
    let [train_images, train_labels, test_images, test_labels] = files;
    let train = decode_split("mnist-train", train_images, train_labels, normalization)?;
    let test = decode_split("mnist-test", test_images, test_labels, normalization)?;
    if train.example_shape() != test.example_shape() {
        let expected = format!("{:?}, as in {}", train.example_shape(), train.name());
        let got = format!("{:?}", test.example_shape());
        return Err(test.field("shape of an example", expected, got));
    }
    Ok([train, test])
}

fn decode_split(
    name: &str,
    (images_file, images): (&str, &[u8]),
    (labels_file, labels): (&str, &[u8]),
    normalization: &Normalization,
) -> Result<Dataset> {
    let images = idx::read_images(images_file, images)?;
    let labels = idx::read_labels(labels_file, labels, CLASSES)?;
    if images.count != labels.len() {
        let expected = format!("{}, the images of {images_file}", images.count);
        let (field, got) = ("number of labels", labels.len());
        return Err(Error::content(labels_file, field, expected, got));
    }
    let (shape, pixels) = ([1, images.rows, images.columns], images.pixels);
    let normalization = normalization.clone();
    Dataset::from_bytes(name, shape, pixels, labels, CLASSES, normalization)
}

/// The canonical files as their distributors serve them, with two mirrors.
///
/// SHA-256 as in TensorFlow Datasets.
#[cfg(feature = "fetch")]
pub fn manifest() -> crate::fetch::Manifest {
    let bytes = [9_912_422, 28_881, 1_648_877, 4_542];
    let digests = [
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    ];
    let file = |file: usize| crate::fetch::RemoteFile {
        name: format!("{}.gz", FILE_NAMES[file]),
        bytes: bytes[file],
        sha256: digests[file].to_owned(),
    };
    crate::fetch::Manifest {
        files: (0..FILE_NAMES.len()).map(file).collect(),
        mirrors: vec![
            "https://ossci-datasets.s3.amazonaws.com/mnist/".to_owned(),
            "https://storage.googleapis.com/cvdf-datasets/mnist/".to_owned(),
        ],
    }
}

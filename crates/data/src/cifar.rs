//! CIFAR-10 and CIFAR-100, as archives or unpacked, in their binary and their Python version: 32 × 32 colour images in 10
//! classes, or in 100 that form 20 superclasses (Krizhevsky 2009, *Learning multiple layers of features from tiny images*).
//!
//! The labels of a [`Dataset`] are the fine ones; a superclass is a function of the class, see [`Classes`]. The normalisation is
//! the caller's: published networks differ in it, see [`Normalization::cifar`] and [`Normalization::imagenet`].

mod archive;
mod files;
mod python;
mod records;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use crate::dataset::Dataset;
use crate::error::{Error, Result};
use crate::loaded::{Classes, Completeness, Loaded};
use crate::normalization::Normalization;
use crate::set::Set;

use files::Content;
use records::Records;

/// (C, H, W) of an image.
const EXAMPLE_SHAPE: [usize; 3] = [3, 32, 32];

/// What is known of a set.
#[derive(Debug)]
pub(crate) struct CifarSet {
    set: Set,
    /// Number of classes, and of superclasses.
    classes: [usize; 2],
    /// Training and test examples of each class in the complete data set.
    examples_per_class: [usize; 2],
    /// The binary version, then the Python version.
    versions: [Version; 2],
    /// SHA-256 of the binary files of records, the test examples last; those of torchvision-ruby.
    sha256: &'static [&'static str],
    /// Size and SHA-256 of the binary archive, as in TensorFlow Datasets.
    #[cfg(feature = "fetch")]
    published: (u64, &'static str),
}

/// Canonical names in a version.
#[derive(Debug)]
pub(crate) struct Version {
    archive: &'static str,
    /// The directory in the archive.
    directory: &'static str,
    /// Files in it: of records, the test examples last, and behind them of names.
    members: &'static [&'static str],
}

/// CIFAR-10.
static TEN: CifarSet = CifarSet {
    set: Set::Cifar10,
    classes: [10, 0],
    examples_per_class: [5000, 1000],
    versions: [
        Version {
            archive: "cifar-10-binary.tar.gz",
            directory: "cifar-10-batches-bin",
            members: &[
                "data_batch_1.bin",
                "data_batch_2.bin",
                "data_batch_3.bin",
                "data_batch_4.bin",
                "data_batch_5.bin",
                "test_batch.bin",
                "batches.meta.txt",
            ],
        },
        Version {
            archive: "cifar-10-python.tar.gz",
            directory: "cifar-10-batches-py",
            members: &[
                "data_batch_1",
                "data_batch_2",
                "data_batch_3",
                "data_batch_4",
                "data_batch_5",
                "test_batch",
                "batches.meta",
            ],
        },
    ],
    sha256: &[
        "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
        "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
        "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
        "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
        "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
        "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
    ],
    #[cfg(feature = "fetch")]
    published: (
        170_052_171,
        "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    ),
};

/// CIFAR-100.
static HUNDRED: CifarSet = CifarSet {
    set: Set::Cifar100,
    classes: [100, 20],
    examples_per_class: [500, 100],
    versions: [
        Version {
            archive: "cifar-100-binary.tar.gz",
            directory: "cifar-100-binary",
            members: &[
                "train.bin",
                "test.bin",
                "fine_label_names.txt",
                "coarse_label_names.txt",
            ],
        },
        Version {
            archive: "cifar-100-python.tar.gz",
            directory: "cifar-100-python",
            members: &["train", "test", "meta"],
        },
    ],
    sha256: &[
        "f31298fc616915fa142368359df1c4ca2ae984d6915ca468b998a5ec6aeebf29",
        "d8b1e6b7b3bee4020055f0699b111f60b1af1e262aeb93a0b659061746f8224a",
    ],
    #[cfg(feature = "fetch")]
    published: (
        168_513_733,
        "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
    ),
};

/// What is known of `set`, one of CIFAR's.
pub(crate) fn of(set: Set) -> &'static CifarSet {
    match set {
        Set::Cifar10 => &TEN,
        _ => &HUNDRED,
    }
}

/// Where a set is read from.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// An archive, a gzip of a tar, of whichever version.
    Archive(PathBuf),
    /// A directory with the files of this version.
    Directory(PathBuf, &'static Version),
}

impl Place {
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        match self {
            Self::Archive(path) => vec![path.clone()],
            Self::Directory(path, version) => {
                version.members.iter().map(|name| path.join(name)).collect()
            }
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Archive(path) => write!(formatter, "archive {}", path.display()),
            Self::Directory(path, _) => write!(formatter, "directory {}", path.display()),
        }
    }
}

impl CifarSet {
    /// Number of files of records in every version.
    fn files_of_records(&self) -> usize {
        self.sha256.len()
    }

    /// Most records of the file of records at `place` among them.
    fn limit(&self, place: usize) -> usize {
        let [train, test] = self.examples_per_class.map(|count| count * self.classes[0]);
        let of_train = self.files_of_records() - 1;
        if place < of_train {
            train / of_train
        } else {
            test
        }
    }

    /// See [`Set::find`].
    pub(crate) fn find(
        &'static self,
        directory: Option<&Path>,
        cache: Option<&Path>,
    ) -> Result<Place> {
        if let Some(asked) = directory {
            fs::metadata(asked).map_err(Error::io("read", asked))?;
        }
        let place = directory.or(cache);
        let located = place.map(|place| self.locate(place)).transpose()?;
        located.flatten().ok_or_else(|| self.absent(place))
    }

    /// See [`Source::load`](crate::Source::load).
    pub(crate) fn load(
        &'static self,
        place: Place,
        source: String,
        normalization: Normalization,
    ) -> Result<Loaded> {
        let files = place.files();
        let Content { mut records, names } = match place {
            Place::Archive(path) => archive::read(self, &path)?,
            Place::Directory(path, version) => files::read(self, version, &path)?,
        };
        let superclasses = self.superclasses(&records)?;
        let known = records.iter().zip(self.sha256);
        let known: Vec<bool> = known
            .map(|(records, known)| records.sha256 == *known)
            .collect();
        let tests: Vec<Records> = records.split_off(self.files_of_records() - 1);
        let is_known = [&known[..records.len()], &known[records.len()..]];
        let is_known = is_known.map(|files| files.iter().all(|&known| known));
        let dataset = |part: &str, records: Vec<Records>| {
            let name = format!("{}-{part}", self.set);
            let (mut pixels, mut labels) = (Vec::new(), Vec::new());
            for mut file in records {
                // Of one file nothing is copied.
                match pixels.is_empty() {
                    true => pixels = file.pixels,
                    false => pixels.append(&mut file.pixels),
                }
                labels.append(&mut file.fine);
            }
            let (classes, normalization) = (self.classes[0], normalization.clone());
            Dataset::from_bytes(&name, EXAMPLE_SHAPE, pixels, labels, classes, normalization)
        };
        let (train, test) = (dataset("train", records)?, dataset("test", tests)?);
        let counts = [train.class_counts()?, test.class_counts()?];
        let completeness = match is_known {
            [true, true] => Completeness::Canonical,
            _ if self.is_complete(counts.each_ref().map(Vec::as_slice), &superclasses) => {
                Completeness::Complete
            }
            _ => Completeness::Partial,
        };
        let [names, superclass_names] = names;
        let content = |known: bool, what: &str| {
            known.then(|| format!("the {what} examples of {}", self.set.title()))
        };
        Ok(Loaded {
            set: self.set,
            train,
            test,
            classes: Some(Classes {
                names,
                superclass_names,
                superclasses,
            }),
            contents: [
                content(is_known[0], "50,000 training"),
                content(is_known[1], "10,000 test"),
            ],
            completeness,
            source,
            files,
        })
    }

    /// Superclass of each class; every class must have the same one in all its examples.
    fn superclasses(&self, files: &[Records]) -> Result<Vec<Option<u8>>> {
        let mut superclasses = vec![None; self.classes[0]];
        for records in files {
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
    fn is_complete(&self, class_counts: [&[usize]; 2], superclasses: &[Option<u8>]) -> bool {
        let [n_classes, n_superclasses] = self.classes;
        let counts = class_counts.into_iter().zip(self.examples_per_class);
        let examples = |(counts, expected): (&[usize], usize)| {
            counts.len() == n_classes && counts.iter().all(|&count| count == expected)
        };
        let classes = |superclass: usize| {
            let members = superclasses.iter().flatten();
            members.filter(|&&of| usize::from(of) == superclass).count()
        };
        counts.into_iter().all(examples)
            && (0..n_superclasses)
                .all(|superclass| classes(superclass) * n_superclasses == n_classes)
    }

    /// The canonical archive as its author serves it.
    #[cfg(feature = "fetch")]
    pub(crate) fn manifest(&self) -> crate::fetch::Manifest {
        let (bytes, sha256) = self.published;
        crate::fetch::Manifest {
            files: vec![crate::fetch::RemoteFile {
                name: self.versions[0].archive.to_owned(),
                bytes,
                sha256: sha256.to_owned(),
            }],
            mirrors: vec!["https://www.cs.toronto.edu/~kriz/".to_owned()],
        }
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
        assert!(HUNDRED.is_complete([&train, &test], &fives()));
        assert!(!HUNDRED.is_complete([&test, &train], &fives()));
        assert!(TEN.is_complete([&[5000; 10], &[1000; 10]], &[None; 10]));
        assert!(!TEN.is_complete([&train, &test], &fives()));

        // The sum is right, the classes are not.
        let mut moved = train.clone();
        (moved[3], moved[4]) = (499, 501);
        assert!(!HUNDRED.is_complete([&moved, &test], &fives()));

        for superclass in [None, Some(8)] {
            let mut superclasses = fives();
            superclasses[7] = superclass;
            assert!(!HUNDRED.is_complete([&train, &test], &superclasses));
        }
    }
}

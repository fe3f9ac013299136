//! Images in IDX files: MNIST and the sets made in its form, which share file names and are told apart by digest.
//!
//! A split is recognised by [`Dataset::digest`], whatever its files were packed in, or by the same sum over its examples in any
//! order; where only the published files are known here, by the MD5 of both. Sources: `fixtures/mnist/make.py` for MNIST, and,
//! on the files of Debian's `dataset-fashion-mnist`, for Fashion-MNIST (under their published gzip headers these have the
//! published MD5); for KMNIST and EMNIST the MD5 in torchvision and in the PyPI package `mnists`.

mod files;
mod known;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use crate::dataset::Dataset;
use crate::error::{Error, Result};
use crate::forms;
use crate::loaded::{Completeness, Loaded};
use crate::normalization::Normalization;
use crate::set::Set;

use files::Split;
use known::{Extent, Recognised};

pub(crate) use known::of;

/// Name of the file that Keras keeps MNIST in.
pub(crate) const KERAS: &str = "mnist.npz";

/// Name of the archive that EMNIST is published in.
const EMNIST: &str = "gzip.zip";

/// What is known of a set.
#[derive(Debug)]
pub(crate) struct IdxSet {
    set: Set,
    /// The directory that torchvision makes for it.
    torchvision: &'static str,
    /// How the names of its training and test files begin.
    stems: [&'static str; 2],
    /// Name of an archive of all four.
    archive: Option<&'static str>,
    /// Number of classes; none: one more than the largest label.
    classes: Option<usize>,
    /// Number of training and of test examples.
    examples: [usize; 2],
    /// Of the training and of the test split, SHA-256 of the examples in order and [`known::unordered_digest`].
    digests: Option<[[&'static str; 2]; 2]>,
    /// MD5 of the published files, in the order of [`IdxSet::file_names`].
    packed: Option<[&'static str; 4]>,
}

/// Four IDX files of MNIST, raw or gzip, that are part of the program.
#[derive(Clone, Copy)]
pub struct EmbeddedMnist {
    /// Training images and labels, test images and labels.
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

/// Where a set is read from.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// The four files, below the directory that was named.
    Files(PathBuf, [PathBuf; 4]),
    /// An archive of all four.
    Archive(PathBuf),
    /// Bytes in the program.
    Embedded(EmbeddedMnist),
}

impl Place {
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        match self {
            Self::Files(_, files) => files.to_vec(),
            Self::Archive(path) => vec![path.clone()],
            Self::Embedded(_) => Vec::new(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Files(directory, _) => write!(formatter, "directory {}", directory.display()),
            Self::Archive(path) => write!(formatter, "archive {}", path.display()),
            Self::Embedded(files) => formatter.write_str(files.description),
        }
    }
}

impl IdxSet {
    /// Canonical file names without `.gz`: training images and labels, test images and labels.
    fn file_names(&self) -> [String; 4] {
        let [train, test] = self.stems;
        let [images, labels] = ["images-idx3-ubyte", "labels-idx1-ubyte"];
        [
            [train, images],
            [train, labels],
            [test, images],
            [test, labels],
        ]
        .map(|parts| parts.concat())
    }

    /// See [`Set::find`].
    pub(crate) fn find(
        &self,
        directory: Option<&Path>,
        cache: Option<&Path>,
        embedded: Option<EmbeddedMnist>,
    ) -> Result<Place> {
        let wanted = || format!("{} (raw or .gz)", self.file_names()[0]);
        let absent = |directory| forms::absent(self.set, &wanted(), &self.places(directory));
        if let Some(directory) = directory {
            let place = self.locate(directory)?;
            let refused = |error| match forms::other(directory).unwrap_or(None) {
                Some(_) => absent(directory),
                None if directory.is_file() => Error::File(directory.to_owned()),
                None => Error::io("read", directory)(error),
            };
            if place.is_none() {
                fs::read_dir(directory).map_err(refused)?;
            }
            return place.ok_or_else(|| absent(directory));
        }
        let cached = cache.map(|cache| self.locate(cache)).transpose()?.flatten();
        let embedded = embedded.filter(|_| self.set == Set::Mnist);
        match (cached, embedded, cache) {
            (Some(place), _, _) => Ok(place),
            (None, Some(embedded), _) => Ok(Place::Embedded(embedded)),
            (None, None, Some(cache)) => Err(absent(cache)),
            (None, None, None) => Err(forms::absent(self.set, &wanted(), &[])),
        }
    }

    /// See [`Source::load`](crate::Source::load).
    pub(crate) fn load(
        &self,
        place: Place,
        source: String,
        normalization: Normalization,
    ) -> Result<Loaded> {
        let files = place.files();
        let [train, test] = self.read(&place)?;
        let classes = self.classes.unwrap_or_else(|| {
            let labels = train.labels.iter().chain(&test.labels);
            labels.max().map_or(0, |&label| usize::from(label) + 1)
        });
        let (train_known, train) = self.recognise(0, train, classes, &normalization)?;
        let (test_known, test) = self.recognise(1, test, classes, &normalization)?;
        if train.example_shape() != test.example_shape() {
            let expected = format!("{:?}, as in {}", train.example_shape(), train.name());
            let got = format!("{:?}", test.example_shape());
            return Err(test.field("shape of an example", expected, got));
        }
        let one = match (&train_known, &test_known) {
            (Some(train), Some(test)) if train.set == test.set => Some(train.set),
            _ => None,
        };
        if let Some(found) = one.filter(|&found| self.set != Set::Idx && found != self.set) {
            return Err(Error::OtherSet {
                place: source,
                found,
                asked: self.set,
            });
        }
        let extents = [&train_known, &test_known].map(|known| known.as_ref().map(|k| k.extent));
        let completeness = match extents.map(|extent| extent.filter(|_| one.is_some())) {
            [Some(Extent::Whole), Some(Extent::Whole)] => Completeness::Canonical,
            [Some(Extent::Part), _] | [_, Some(Extent::Part)] => Completeness::Partial,
            [Some(_), Some(_)] => Completeness::Reordered,
            _ if [train.len(), test.len()] == self.examples => Completeness::Other,
            _ => Completeness::Partial,
        };
        Ok(Loaded {
            set: one.unwrap_or(self.set),
            train,
            test,
            classes: None,
            contents: [train_known, test_known].map(|known| known.map(|known| known.content)),
            completeness,
            source,
            files,
        })
    }

    /// A split as a data set, and what it is known as.
    fn recognise(
        &self,
        part: usize,
        split: Split,
        classes: usize,
        normalization: &Normalization,
    ) -> Result<(Option<Recognised>, Dataset)> {
        let Split {
            example_shape,
            pixels,
            labels,
            labels_file,
            packed,
        } = split;
        crate::idx::check_labels(&labels_file, &labels, classes)?;
        let name = format!("{}-{}", self.set, ["train", "test"][part]);
        let normalization = normalization.clone();
        let dataset =
            Dataset::from_bytes(&name, example_shape, pixels, labels, classes, normalization)?;
        Ok((known::recognise(part, &dataset, packed.as_ref())?, dataset))
    }

    /// The published files and where to get them, with sizes and SHA-256 as in TensorFlow Datasets; none for files that are
    /// anybody's.
    #[cfg(feature = "fetch")]
    pub(crate) fn manifest(&self) -> Option<crate::fetch::Manifest> {
        use crate::fetch::{Manifest, RemoteFile};

        let (files, mirrors) = known::published(self.set)?;
        let names = self.file_names().map(|name| format!("{name}.gz"));
        let archive = self.archive.map(str::to_owned);
        let names = match files.len() {
            1 => archive.into_iter().collect(),
            _ => Vec::from(names),
        };
        let file = |(name, &(bytes, sha256)): (String, &(u64, &str))| RemoteFile {
            name,
            bytes,
            sha256: sha256.to_owned(),
        };
        Some(Manifest {
            files: names.into_iter().zip(files).map(file).collect(),
            mirrors: mirrors.iter().map(|&mirror| mirror.to_owned()).collect(),
        })
    }
}

//! Data sets by name: where their files lie, what reads them, and what normalises them by default.

use std::fmt;
use std::path::Path;

use crate::cifar::{self, CifarSet};
use crate::error::Result;
use crate::idx_set::{self, EmbeddedMnist, IdxSet};
use crate::loaded::Loaded;
use crate::normalization::Normalization;

/// A published data set, or [`Set::Idx`], whatever images lie in IDX files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Set {
    /// Handwritten digits (LeCun, Cortes and Burges).
    Mnist,
    /// Pictures of clothes (Xiao, Rasul and Vollgraf 2017).
    FashionMnist,
    /// Cursive Japanese characters (Clanuwat et al. 2018).
    Kmnist,
    /// Digits and letters (Cohen et al. 2017), as many of each of 47 classes.
    EmnistBalanced,
    /// The same in 62 classes.
    EmnistByclass,
    /// The same in 47 classes.
    EmnistBymerge,
    /// Its digits.
    EmnistDigits,
    /// Its letters, labelled from 1 to 26: class 0 has no example, as in torchvision.
    EmnistLetters,
    /// Its digits in the numbers of MNIST.
    EmnistMnist,
    /// Images in IDX files under the names of MNIST's, of as many classes as their labels have.
    Idx,
    /// Natural images in ten classes (Krizhevsky 2009).
    Cifar10,
    /// Natural images in 100 classes (Krizhevsky 2009); the labels are the fine ones.
    Cifar100,
}

/// What reads a set.
enum Form {
    Idx(&'static IdxSet),
    Cifar(&'static CifarSet),
}

impl Set {
    /// All there are.
    pub const ALL: [Self; 12] = [
        Self::Mnist,
        Self::FashionMnist,
        Self::Kmnist,
        Self::EmnistBalanced,
        Self::EmnistByclass,
        Self::EmnistBymerge,
        Self::EmnistDigits,
        Self::EmnistLetters,
        Self::EmnistMnist,
        Self::Idx,
        Self::Cifar10,
        Self::Cifar100,
    ];

    /// The set of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|set| set.name() == name)
    }

    /// As specs, records and messages call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Mnist => "mnist",
            Self::FashionMnist => "fashion-mnist",
            Self::Kmnist => "kmnist",
            Self::EmnistBalanced => "emnist-balanced",
            Self::EmnistByclass => "emnist-byclass",
            Self::EmnistBymerge => "emnist-bymerge",
            Self::EmnistDigits => "emnist-digits",
            Self::EmnistLetters => "emnist-letters",
            Self::EmnistMnist => "emnist-mnist",
            Self::Idx => "idx",
            Self::Cifar10 => "cifar-10",
            Self::Cifar100 => "cifar-100",
        }
    }

    /// As publications call it.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Mnist => "MNIST",
            Self::FashionMnist => "Fashion-MNIST",
            Self::Kmnist => "KMNIST",
            Self::EmnistBalanced => "EMNIST Balanced",
            Self::EmnistByclass => "EMNIST ByClass",
            Self::EmnistBymerge => "EMNIST ByMerge",
            Self::EmnistDigits => "EMNIST Digits",
            Self::EmnistLetters => "EMNIST Letters",
            Self::EmnistMnist => "EMNIST MNIST",
            Self::Idx => "IDX images",
            Self::Cifar10 => "CIFAR-10",
            Self::Cifar100 => "CIFAR-100",
        }
    }

    /// The directory in a cache that its files have to themselves; the sets of EMNIST, which come in one archive, share one.
    #[must_use]
    pub fn directory(self) -> &'static str {
        match self.name().split_once('-') {
            Some(("emnist", _)) => "emnist",
            _ => self.name(),
        }
    }

    /// What the examples are called that are in the form of this set and of no digest known here.
    pub(crate) fn likeness(self) -> String {
        match self.form() {
            Form::Idx(_) => "idx images (unknown digest)".to_owned(),
            Form::Cifar(_) => format!("{self}-like (unknown digest)"),
        }
    }

    /// The constants of this project for it: [`Normalization::mnist`] for grey images, [`Normalization::cifar`] for colours.
    #[must_use]
    pub fn normalization(self) -> Normalization {
        match self.form() {
            Form::Idx(_) => Normalization::mnist(),
            Form::Cifar(_) => Normalization::cifar(),
        }
    }

    /// Where to read it: the `directory` asked for, else the `cache` directory, else, for MNIST, the `embedded` files. A
    /// directory holds the files or the archive of the set, or a subdirectory that the set or torchvision has to itself does;
    /// an archive may be named instead. Where an archive and its files are there, the archive is taken: it has checksums.
    ///
    /// # Errors
    /// When what counts does not exist, may not be read, lacks a file or is another data set.
    pub fn find(
        self,
        directory: Option<&Path>,
        cache: Option<&Path>,
        embedded: Option<EmbeddedMnist>,
    ) -> Result<Source> {
        let place = match self.form() {
            Form::Idx(set) => Place::Idx(self, set.find(directory, cache, embedded)?),
            Form::Cifar(set) => Place::Cifar(self, set.find(directory, cache)?),
        };
        Ok(Source(place))
    }

    /// Whether the files of this set are at `path` or below it, by their names.
    pub(crate) fn is_at(self, path: &Path) -> bool {
        match self.form() {
            Form::Idx(set) => matches!(set.locate(path), Ok(Some(_))),
            Form::Cifar(set) => matches!(set.locate(path), Ok(Some(_))),
        }
    }

    /// Whether `path` has the name of a file that a whole data set is packed in.
    #[must_use]
    pub fn is_packed(path: &Path) -> bool {
        let end = path.extension().and_then(|end| end.to_str());
        end.is_some_and(|end| ["gz", "tgz", "tar", "zip"].contains(&end))
            || path.ends_with(idx_set::KERAS)
    }

    /// The published files and where to get them; none: IDX images are anybody's.
    #[cfg(feature = "fetch")]
    #[must_use]
    pub fn manifest(self) -> Option<crate::fetch::Manifest> {
        match self.form() {
            Form::Idx(set) => set.manifest(),
            Form::Cifar(set) => Some(set.manifest()),
        }
    }

    fn form(self) -> Form {
        match self {
            Self::Cifar10 | Self::Cifar100 => Form::Cifar(cifar::of(self)),
            _ => Form::Idx(idx_set::of(self)),
        }
    }
}

impl fmt::Display for Set {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// Where a set is read from; `Display` is what a record says about it.
#[derive(Debug, Clone)]
pub struct Source(Place);

#[derive(Debug, Clone)]
enum Place {
    Idx(Set, idx_set::Place),
    Cifar(Set, cifar::Place),
}

impl Source {
    /// Reads both splits.
    ///
    /// # Errors
    /// When a file is unreadable, damaged, too long, not what its name says, or holds labels that are none; when the files do
    /// not belong together; when the examples are those of another set.
    pub fn load(self, normalization: Normalization) -> Result<Loaded> {
        let source = self.to_string();
        match self.0 {
            Place::Idx(set, place) => idx_set::of(set).load(place, source, normalization),
            Place::Cifar(set, place) => cifar::of(set).load(place, source, normalization),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::Idx(_, place) => place.fmt(formatter),
            Place::Cifar(_, place) => place.fmt(formatter),
        }
    }
}

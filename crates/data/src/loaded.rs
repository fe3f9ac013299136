//! A data set as its files were read, and whether it is the one that they are named after.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::dataset::Dataset;
use crate::error::{Error, Result};
use crate::set::Set;

/// How much of a published data set was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completeness {
    /// Both splits are exactly the published ones, complete and in order, however compressed.
    Canonical,
    /// Both splits have exactly the published examples, but not in their order.
    Reordered,
    /// Both splits have as many examples of every class as the published ones, but not the same bytes in
    /// the same order; whether they are the same examples is not known here.
    Complete,
    /// Both splits have as many examples as the published ones, but they are others, as those of data sets made to
    /// take their place are.
    Other,
    /// The files are valid, but hold something less or else.
    Partial,
}

impl fmt::Display for Completeness {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Canonical => "complete and in order",
            Self::Reordered => "the published examples in another order",
            Self::Complete => {
                "complete by the counts of its classes, but not the published bytes in their order"
            }
            Self::Other => "this is another data set, of as many examples",
            Self::Partial => "valid, but not the complete data set",
        })
    }
}

/// The names of classes, and which superclass each is part of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Classes {
    /// Names of the labels, in their order.
    pub names: Vec<String>,
    /// Names of the superclasses, in their order.
    pub superclass_names: Vec<String>,
    /// Superclass of each label, as the examples have it; none: the class has no example.
    pub superclasses: Vec<Option<u8>>,
}

/// Both splits of a data set, and where they came from.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The data set that the examples are of, or else the one asked for.
    pub set: Set,
    /// Training examples.
    pub train: Dataset,
    /// Test examples.
    pub test: Dataset,
    /// Names of the classes, where the files tell them.
    pub classes: Option<Classes>,
    /// What the training and the test split are, by their digest; none: nothing that is known here.
    pub contents: [Option<String>; 2],
    /// How much of the published data set this is.
    pub completeness: Completeness,
    /// Where it was read, as a record says it.
    pub source: String,
    /// Files read.
    pub files: Vec<PathBuf>,
}

impl Loaded {
    /// The name of the set where both splits are known to be of it; else what they are by their form, for other bytes under
    /// the names of its files may be anything.
    pub fn name(&self) -> String {
        match (&self.contents, self.completeness) {
            ([Some(_), Some(_)], Completeness::Reordered) => {
                format!("{} (in another order)", self.set)
            }
            ([Some(_), Some(_)], _) => self.set.to_string(),
            _ => self.set.likeness(),
        }
    }

    /// Whether its examples are known to be of the set, in its order.
    pub fn is_published(&self) -> bool {
        self.name() == self.set.name()
    }

    /// One digest for both splits: SHA-256 in hexadecimal of the training digest followed by the test
    /// digest, 128 hexadecimal digits.
    ///
    /// # Errors
    /// As [`Dataset::digest`].
    pub fn digest(&self) -> Result<String> {
        let both = Sha256::new()
            .chain_update(self.train.digest()?)
            .chain_update(self.test.digest()?);
        Ok(format!("{:x}", both.finalize()))
    }
}

/// Size in bytes of a file and its SHA-256 in hexadecimal.
///
/// # Errors
/// When the file cannot be read.
pub fn file_digest(path: &Path) -> Result<(u64, String)> {
    let mut hasher = Sha256::new();
    let bytes = File::open(path)
        .and_then(|mut file| io::copy(&mut file, &mut hasher))
        .map_err(Error::io("read", path))?;
    Ok((bytes, format!("{:x}", hasher.finalize())))
}

/// Whether an error means that nothing is there, as opposed to what may not be looked at.
pub(crate) fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// Whether `path` is a file; what may not be looked at is an error.
pub(crate) fn is_file(path: &Path) -> Result<bool> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(metadata.is_file()),
        Err(error) if is_absence(&error) => Ok(false),
        Err(error) => Err(Error::io("read", path)(error)),
    }
}

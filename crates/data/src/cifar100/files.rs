//! Finding CIFAR-100, and reading the four files of its directory.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use super::python;
use super::records::{Named, Records, read_names};
use super::{
    ARCHIVE_NAME, CLASSES, DIRECTORY_NAME, EXAMPLES_PER_CLASS, FILE_NAMES, SUPERCLASSES, Source,
};
use crate::error::{Error, Result};
use crate::forms;
use crate::loaded::is_file;

/// What the four files hold.
pub(super) struct Content {
    pub(super) train: Records,
    pub(super) test: Records,
    /// Names of the fine labels.
    pub(super) names: Vec<String>,
    /// Names of the coarse labels.
    pub(super) superclass_names: Vec<String>,
}

/// One of the four files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Member {
    Train,
    Test,
    Names,
    SuperclassNames,
}

impl Member {
    /// In the order of [`FILE_NAMES`].
    pub(super) const ALL: [Self; 4] = [Self::Train, Self::Test, Self::Names, Self::SuperclassNames];

    pub(super) fn name(self) -> &'static str {
        FILE_NAMES[self as usize]
    }
}

/// What has been read of the four files so far.
#[derive(Default)]
pub(super) struct Parts {
    train: Option<Records>,
    test: Option<Records>,
    names: Option<Vec<String>>,
    superclass_names: Option<Vec<String>>,
}

impl Parts {
    /// Whether this file has been read.
    pub(super) fn has(&self, member: Member) -> bool {
        match member {
            Member::Train => self.train.is_some(),
            Member::Test => self.test.is_some(),
            Member::Names => self.names.is_some(),
            Member::SuperclassNames => self.superclass_names.is_some(),
        }
    }

    /// Read this file.
    pub(super) fn read<R: Read>(&mut self, member: Member, named: Named<'_, R>) -> Result<()> {
        let [train, test] = EXAMPLES_PER_CLASS.map(|examples| examples * CLASSES);
        match member {
            Member::Train => self.train = Some(Records::read(named, train)?),
            Member::Test => self.test = Some(Records::read(named, test)?),
            Member::Names => self.names = Some(read_names(named, CLASSES)?),
            Member::SuperclassNames => {
                self.superclass_names = Some(read_names(named, SUPERCLASSES)?);
            }
        }
        Ok(())
    }

    /// All four, or the first that is `missing`.
    pub(super) fn finish(self, missing: impl Fn(Member) -> Error) -> Result<Content> {
        Ok(Content {
            train: self.train.ok_or_else(|| missing(Member::Train))?,
            test: self.test.ok_or_else(|| missing(Member::Test))?,
            names: self.names.ok_or_else(|| missing(Member::Names))?,
            superclass_names: self
                .superclass_names
                .ok_or_else(|| missing(Member::SuperclassNames))?,
        })
    }
}

/// Where the data may be if `path` is named: it is a file, or a directory that holds the archive or the
/// unpacked directory or is that, or whose subdirectory `cifar-100` does or is.
pub(super) fn places(path: &Path) -> Vec<PathBuf> {
    vec![path.to_owned(), path.join("cifar-100")]
}

/// The archive or the unpacked directory in the first of the `places` that has one.
pub(super) fn locate(places: &[PathBuf]) -> Result<Source> {
    for place in places {
        for archive in [place, &place.join(ARCHIVE_NAME)] {
            if is_file(archive)? && forms::other(archive)?.is_none() {
                return Ok(Source::Archive(archive.clone()));
            }
        }
        for unpacked in [&place.join(DIRECTORY_NAME), place] {
            let mut missing = Vec::new();
            for name in FILE_NAMES {
                if !is_file(&unpacked.join(name))? {
                    missing.push(name);
                }
            }
            match missing.first() {
                None => return Ok(Source::Directory(unpacked.clone())),
                // One of the four is enough to be taken for it, so that an error can name what is missing.
                Some(name) if missing.len() < FILE_NAMES.len() => {
                    return Err(absent(name, unpacked));
                }
                Some(_) => {}
            }
        }
        let whole = |directory: &Path| -> Result<bool> {
            let mut files = python::FILE_NAMES
                .iter()
                .map(|name| is_file(&directory.join(name)));
            files.try_fold(true, |all, one| Ok(all && one?))
        };
        for python in [&place.join(python::DIRECTORY_NAME), place] {
            if whole(python)? {
                return Ok(Source::Python(python.clone()));
            }
        }
    }
    Err(forms::absent(
        &format!(
            "{ARCHIVE_NAME}, unpacked {DIRECTORY_NAME} or {}",
            python::DIRECTORY_NAME
        ),
        places,
    ))
}

/// Read the four files of the unpacked `directory`.
pub(super) fn read(directory: &Path) -> Result<Content> {
    let mut parts = Parts::default();
    for member in Member::ALL {
        let path = directory.join(member.name());
        let refused = Error::io("read", &path);
        let stream = File::open(&path).map_err(&refused)?;
        let named = Named {
            file: path.display().to_string(),
            stream: BufReader::with_capacity(1 << 16, stream),
            damaged: &refused,
        };
        parts.read(member, named)?;
    }
    parts.finish(|member| absent(member.name(), directory))
}

pub(super) fn absent(name: &str, directory: &Path) -> Error {
    Error::Absent {
        what: name.to_owned(),
        places: vec![directory.to_owned()],
    }
}

//! Finding CIFAR-100, and reading the four files of its directory.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use super::records::{Named, Records, read_names};
use super::{
    ARCHIVE_NAME, CLASSES, DIRECTORY_NAME, EXAMPLES_PER_CLASS, FILE_NAMES, SUPERCLASSES, Source,
};
use crate::error::{Error, Result};

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

/// The archive or the unpacked directory that `path` is or holds, itself or in its subdirectory
/// `cifar-100`.
pub(super) fn locate(path: &Path) -> Result<Source> {
    if path.is_file() {
        return Ok(Source::Archive(path.to_owned()));
    }
    for directory in [path, &path.join("cifar-100")] {
        let archive = directory.join(ARCHIVE_NAME);
        if archive.is_file() {
            return Ok(Source::Archive(archive));
        }
        for unpacked in [&directory.join(DIRECTORY_NAME), directory] {
            let holds = |name: &str| unpacked.join(name).is_file();
            // One of the four is enough to be taken for it, so that an error can name what is missing.
            if FILE_NAMES.into_iter().any(holds) {
                return match FILE_NAMES.into_iter().find(|name| !holds(name)) {
                    None => Ok(Source::Directory(unpacked.to_owned())),
                    Some(name) => Err(missing(unpacked, name)),
                };
            }
        }
    }
    Err(Error::Absent {
        directory: path.to_owned(),
        archive: ARCHIVE_NAME,
        unpacked: DIRECTORY_NAME,
    })
}

/// Read the four files of the unpacked `directory`.
pub(super) fn read(directory: &Path) -> Result<Content> {
    let mut parts = Parts::default();
    for member in Member::ALL {
        let path = directory.join(member.name());
        let refused = |source: io::Error| Error::Io {
            action: "read",
            path: path.clone(),
            source,
        };
        let stream = File::open(&path).map_err(refused)?;
        let named = Named {
            file: path.display().to_string(),
            stream: BufReader::with_capacity(1 << 16, stream),
            damaged: &refused,
        };
        parts.read(member, named)?;
    }
    parts.finish(|member| missing(directory, member.name()))
}

fn missing(directory: &Path, name: &'static str) -> Error {
    Error::MissingMember {
        place: directory.display().to_string(),
        name,
    }
}

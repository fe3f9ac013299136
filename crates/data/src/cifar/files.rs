//! Finding the files of a set, and reading those of its directory.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use super::python;
use super::records::{Named, Records, read_names};
use super::{CifarSet, HUNDRED, Place, TEN, Version};
use crate::error::{Error, Result};
use crate::forms;
use crate::loaded::is_file;

/// What the files hold.
pub(super) struct Content {
    /// File by file, the test examples last.
    pub(super) records: Vec<Records>,
    /// Names of the classes and of the superclasses.
    pub(super) names: [Vec<String>; 2],
}

/// What has been read so far of the files of a version.
pub(super) struct Parts {
    set: &'static CifarSet,
    pub(super) version: &'static Version,
    records: Vec<Option<Records>>,
    names: [Option<Vec<String>>; 2],
}

impl Parts {
    pub(super) fn new(set: &'static CifarSet, version: &'static Version) -> Self {
        Self {
            set,
            version,
            records: (0..set.files_of_records()).map(|_| None).collect(),
            names: [None, None],
        }
    }

    /// Whether the version is the one that keeps pickles.
    fn is_python(&self) -> bool {
        self.version.directory == self.set.versions[1].directory
    }

    /// Whether the file at `place` of the version's members has been read.
    pub(super) fn has(&self, place: usize) -> bool {
        match self.records.get(place) {
            Some(records) => records.is_some(),
            None if self.is_python() => self.names[0].is_some(),
            None => self.names[place - self.records.len()].is_some(),
        }
    }

    /// Read this file.
    pub(super) fn read<R: Read>(&mut self, place: usize, named: Named<'_, R>) -> Result<()> {
        let set = self.set;
        if let Some(records) = self.records.get_mut(place) {
            *records = Some(if self.version.directory == set.versions[1].directory {
                python::read_records(set, named, set.limit(place))?
            } else {
                Records::read(set, named, set.limit(place))?
            });
        } else if self.is_python() {
            self.names = python::read_names(set, named)?.map(Some);
        } else {
            let kind = place - self.records.len();
            self.names[kind] = Some(read_names(named, set.classes[kind])?);
        }
        Ok(())
    }

    /// All of them, or the first that is `missing`.
    pub(super) fn finish(self, missing: impl Fn(&str) -> Error) -> Result<Content> {
        let members = self.version.members;
        if let Some(place) = (0..members.len()).find(|&place| !self.has(place)) {
            return Err(missing(members[place]));
        }
        Ok(Content {
            records: self.records.into_iter().flatten().collect(),
            names: self.names.map(Option::unwrap_or_default),
        })
    }
}

/// Where the data may be if `path` is named: it is a file, or a directory that holds an archive or an
/// unpacked directory or is that, or whose subdirectory of the set's name does or is.
fn places(set: &CifarSet, path: &Path) -> [PathBuf; 2] {
    [path.to_owned(), path.join(set.set.directory())]
}

impl CifarSet {
    /// An archive or an unpacked directory, of the binary or else of the Python version.
    pub(crate) fn locate(&'static self, path: &Path) -> Result<Option<Place>> {
        for place in places(self, path) {
            let is_of = |set: &CifarSet| set.versions.iter().any(|it| place.ends_with(it.archive));
            let is_other = [&TEN, &HUNDRED]
                .into_iter()
                .any(|set| set.set != self.set && is_of(set));
            if is_file(&place)? && !is_other && forms::other(&place)?.is_none() {
                return Ok(Some(Place::Archive(place)));
            }
            for version in &self.versions {
                let archive = place.join(version.archive);
                if is_file(&archive)? {
                    return Ok(Some(Place::Archive(archive)));
                }
            }
            for version in &self.versions {
                for unpacked in [&place.join(version.directory), &place] {
                    let mut missing = Vec::new();
                    for name in version.members {
                        if !is_file(&unpacked.join(name))? {
                            missing.push(*name);
                        }
                    }
                    // One of the files is enough to be taken for it, so that an error can name what is missing; but for
                    // names as common as those of the Python version of CIFAR-100.
                    let is_told = missing.len() < version.members.len()
                        && (unpacked.ends_with(version.directory)
                            || version.members[0].contains('.'));
                    match missing.first() {
                        None => return Ok(Some(Place::Directory(unpacked.clone(), version))),
                        Some(name) if is_told => return Err(missing_file(name, unpacked)),
                        Some(_) => {}
                    }
                }
            }
        }
        Ok(None)
    }

    /// The error for a set that is not at `place`.
    pub(super) fn absent(&self, place: Option<&Path>) -> Error {
        let [binary, python] = &self.versions;
        let wanted = format!("{}, {} or what is in them", binary.archive, python.archive);
        let places = place.map(|place| places(self, place));
        forms::absent(
            self.set,
            &wanted,
            places.as_ref().map_or(&[], |places| places),
        )
    }
}

/// Read the files of the unpacked `directory`.
pub(super) fn read(
    set: &'static CifarSet,
    version: &'static Version,
    directory: &Path,
) -> Result<Content> {
    let mut parts = Parts::new(set, version);
    for (place, name) in version.members.iter().enumerate() {
        let path = directory.join(name);
        let refused = Error::io("read", &path);
        let stream = File::open(&path).map_err(&refused)?;
        let named = Named {
            file: path.display().to_string(),
            stream: BufReader::with_capacity(1 << 16, stream),
            damaged: &refused,
        };
        parts.read(place, named)?;
    }
    parts.finish(|name| missing_file(name, directory))
}

fn missing_file(name: &str, directory: &Path) -> Error {
    Error::Absent {
        what: name.to_owned(),
        places: vec![directory.to_owned()],
    }
}

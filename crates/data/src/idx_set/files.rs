//! Finding the four files of a set, wherever their distributors, torchvision and Keras put them, and reading them.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use flatness_formats::{Archive, npy};
use md5::{Digest, Md5};

use super::{IdxSet, KERAS, Place};
use crate::error::{Error, Result};
use crate::idx;
use crate::loaded::{is_absence, is_file};

/// A file larger than this cannot be a valid one: the data, the header and, for gzip, its framing.
const MAX_FILE_BYTES: u64 = idx::MAX_BYTES + (1 << 20);

/// Images and labels as the files have them.
pub(super) struct Split {
    /// (C, H, W).
    pub(super) example_shape: [usize; 3],
    /// (N, C, H, W).
    pub(super) pixels: Vec<u8>,
    /// (N).
    pub(super) labels: Vec<u8>,
    /// The file of the labels, as errors name it.
    pub(super) labels_file: String,
    /// MD5 of the gzip files of images and labels.
    pub(super) packed: Option<[String; 2]>,
}

impl IdxSet {
    /// Where the files of `directory` may lie: there, as `flatness data fetch` puts them, or as torchvision does
    /// below its root or below the directory that it makes there.
    pub(super) fn places(&self, directory: &Path) -> [PathBuf; 5] {
        let below = |place: &str| directory.join(place);
        let [own, torchvision, raw] = [self.set.directory(), self.torchvision, "raw"].map(below);
        let whole = torchvision.join("raw");
        [directory.to_owned(), own, torchvision, whole, raw]
    }

    /// The archive or the four files, from the first of the places that holds all of them; `None` where no place
    /// holds any.
    pub(crate) fn locate(&self, directory: &Path) -> Result<Option<Place>> {
        if self.archive.is_some_and(|name| directory.ends_with(name)) && is_file(directory)? {
            return Ok(Some(Place::Archive(directory.to_owned())));
        }
        let names = self.file_names();
        let mut incomplete = None;
        for place in self.places(directory) {
            let found = files_in(&place, &names)?;
            if let Some(archive) = self.archive.map(|name| place.join(name))
                && is_file(&archive)?
            {
                return Ok(Some(Place::Archive(archive)));
            }
            let missing = found.iter().position(Option::is_none);
            match (found, missing) {
                ([Some(a), Some(b), Some(c), Some(d)], _) => {
                    return Ok(Some(Place::Files(directory.to_owned(), [a, b, c, d])));
                }
                (found, Some(missing)) if found.iter().any(Option::is_some) => {
                    incomplete.get_or_insert((place, missing));
                }
                _ => {}
            }
        }
        match incomplete {
            None => Ok(None),
            Some((place, missing)) => Err(Error::Absent {
                what: format!("{} (raw or .gz) beside the other files", names[missing]),
                places: vec![place],
            }),
        }
    }

    /// Both splits.
    pub(super) fn read(&self, place: &Place) -> Result<[Split; 2]> {
        match place {
            Place::Files(_, paths) => of_files(|file| {
                let bytes = read(&paths[file])?;
                Ok((paths[file].display().to_string(), Cow::Owned(bytes)))
            }),
            Place::Archive(path) if path.ends_with(KERAS) => of_keras(path),
            Place::Archive(path) => {
                let bytes = read(path)?;
                let damaged = |error| Error::damaged(&path.display().to_string(), "archive", error);
                let mut archive = Archive::open(&bytes).map_err(damaged)?;
                let names = self.file_names();
                of_files(|file| {
                    let name = format!("gzip/{}.gz", names[file]);
                    let member = archive.member(&name).map_err(damaged)?;
                    let content = member.read(&bytes).map_err(damaged)?;
                    Ok((format!("{}: {name}", path.display()), content))
                })
            }
            Place::Embedded(embedded) => of_files(|file| {
                let name = [
                    "training images",
                    "training labels",
                    "test images",
                    "test labels",
                ][file];
                Ok((
                    format!("embedded {name}"),
                    Cow::Borrowed(embedded.files[file]),
                ))
            }),
        }
    }
}

/// The files that are in `place` itself. Where one is there both compressed and raw, the compressed one is
/// taken: it carries a checksum.
fn files_in(place: &Path, names: &[String; 4]) -> Result<[Option<PathBuf>; 4]> {
    let mut found = [const { None }; 4];
    let refused = Error::io("read", place);
    let entries = match fs::read_dir(place) {
        Ok(entries) => entries,
        Err(error) if is_absence(&error) => return Ok(found),
        Err(error) => return Err(refused(error)),
    };
    let there = entries.map(|entry| Ok(entry?.file_name()));
    let mut there = there.collect::<io::Result<Vec<_>>>().map_err(&refused)?;
    // What ends in .gz comes behind what does not.
    there.sort();
    for name in there {
        let Some(file) = file_named(&name, names) else {
            continue;
        };
        // Kaggle's archives unpack into a directory of the file's name.
        for path in [place.join(&name), place.join(&name).join(&name)] {
            let is_empty = || fs::metadata(&path).is_ok_and(|metadata| metadata.len() == 0);
            if is_file(&path)? && (found[file].is_none() || !is_empty()) {
                found[file] = Some(path);
            }
        }
    }
    Ok(found)
}

/// Which of the four a file is by its name: capitals, `.idx3-ubyte` as on Kaggle, and `.idx` or `.gz` behind it
/// do not matter.
fn file_named(name: &OsStr, names: &[String; 4]) -> Option<usize> {
    let name = name.to_str()?.to_ascii_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    let name = name.strip_suffix(".idx").unwrap_or(name).replace('.', "-");
    names.iter().position(|canonical| *canonical == name)
}

/// The bytes of the file at `path`.
fn read(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let size = File::open(path)
        .and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes))
        .map_err(Error::io("read", path))?;
    if size as u64 > MAX_FILE_BYTES {
        let (file, expected) = (path.display(), format!("at most {MAX_FILE_BYTES} bytes"));
        return Err(Error::content(&file.to_string(), "size", expected, "more"));
    }
    Ok(bytes)
}

/// Both splits of four IDX files, each a name for errors and its bytes.
fn of_files<'b>(
    mut file: impl FnMut(usize) -> Result<(String, Cow<'b, [u8]>)>,
) -> Result<[Split; 2]> {
    let mut split = |part: usize| -> Result<Split> {
        let ((images_file, images), (labels_file, labels)) = (file(2 * part)?, file(2 * part + 1)?);
        let are_packed = [&images, &labels].map(|bytes| idx::is_gzip(bytes));
        let packed = (are_packed == [true; 2])
            .then(|| [&images, &labels].map(|bytes| format!("{:x}", Md5::digest(bytes))));
        let images = idx::read_images(&images_file, &images)?;
        let labels = idx::read_labels(&labels_file, &labels, 256)?;
        let shape = [1, images.rows, images.columns];
        let split = Split::new(shape, images.pixels, &images_file, labels, labels_file)?;
        Ok(Split { packed, ..split })
    };
    Ok([split(0)?, split(1)?])
}

/// Both splits of the file that Keras keeps MNIST in: arrays of bytes (N, H, W) and (N).
fn of_keras(path: &Path) -> Result<[Split; 2]> {
    let file = path.display().to_string();
    let bytes = read(path)?;
    let damaged = |error| Error::damaged(&file, "archive", error);
    let mut archive = Archive::open(&bytes).map_err(damaged)?;
    let mut array = |name: String, axes: usize| {
        let member = archive.member(&format!("{name}.npy")).map_err(damaged)?;
        let content = member.read(&bytes).map_err(damaged)?;
        let array = npy::parse(&content).map_err(damaged)?;
        if array.elements != "u1" || array.shape.len() != axes || array.shape.contains(&0) {
            let expected = format!("bytes (uint8) in {axes} axes");
            let got = format!("{} of shape {:?}", array.elements, array.shape);
            return Err(Error::content(&file, name, expected, got));
        }
        Ok((array.shape, array.bytes.to_vec()))
    };
    let mut split = |part: &str| {
        let (shape, pixels) = array(format!("x_{part}"), 3)?;
        let (_, labels) = array(format!("y_{part}"), 1)?;
        let example_shape = [1, shape[1], shape[2]];
        Split::new(example_shape, pixels, &file, labels, file.clone())
    };
    Ok([split("train")?, split("test")?])
}

impl Split {
    fn new(
        example_shape: [usize; 3],
        pixels: Vec<u8>,
        images_file: &str,
        labels: Vec<u8>,
        labels_file: String,
    ) -> Result<Self> {
        let count = pixels.len() / example_shape.iter().product::<usize>();
        if count != labels.len() {
            let expected = format!("{count}, the images of {images_file}");
            let field = "number of labels";
            return Err(Error::content(&labels_file, field, expected, labels.len()));
        }
        Ok(Self {
            example_shape,
            pixels,
            labels,
            labels_file,
            packed: None,
        })
    }
}

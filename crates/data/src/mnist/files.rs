//! Finding the four files of MNIST, wherever their distributors and torchvision put them.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::FILE_NAMES;
use crate::error::{Error, Result};
use crate::idx;
use crate::loaded::{is_absence, is_file};

/// A file larger than this cannot be a valid one: the data, the header and, for gzip, its framing.
const MAX_FILE_BYTES: u64 = idx::MAX_BYTES + (1 << 20);

/// Where the files of `directory` may lie: there, as `flatness data fetch` puts them, or as torchvision does
/// below its root or below the directory that it makes there.
pub(super) fn places(directory: &Path) -> [PathBuf; 5] {
    let below = |place| directory.join(place);
    let [mnist, capitals, raw] = ["mnist", "MNIST", "raw"].map(below);
    let whole = below("MNIST/raw");
    [directory.to_owned(), mnist, capitals, whole, raw]
}

/// The four files, in the order of [`FILE_NAMES`], from the first of the places that holds all of them;
/// `None` where no place holds any.
pub(super) fn locate(directory: &Path) -> Result<Option<[PathBuf; 4]>> {
    let mut incomplete = None;
    for place in places(directory) {
        let found = files_in(&place)?;
        let missing = found.iter().position(Option::is_none);
        match (found, missing) {
            ([Some(a), Some(b), Some(c), Some(d)], _) => return Ok(Some([a, b, c, d])),
            (found, Some(missing)) if found.iter().any(Option::is_some) => {
                incomplete.get_or_insert((place, FILE_NAMES[missing]));
            }
            _ => {}
        }
    }
    match incomplete {
        None => Ok(None),
        Some((place, name)) => Err(Error::Absent {
            what: format!("{name} (raw or .gz) beside the other files"),
            places: vec![place],
        }),
    }
}

/// The files that are in `place` itself. Where one is there both compressed and raw, the compressed one is
/// taken: it carries a checksum.
fn files_in(place: &Path) -> Result<[Option<PathBuf>; 4]> {
    let mut found = [const { None }; 4];
    let refused = Error::io("read", place);
    let entries = match fs::read_dir(place) {
        Ok(entries) => entries,
        Err(error) if is_absence(&error) => return Ok(found),
        Err(error) => return Err(refused(error)),
    };
    let names = entries.map(|entry| Ok(entry?.file_name()));
    let mut names = names.collect::<io::Result<Vec<_>>>().map_err(&refused)?;
    // What ends in .gz comes behind what does not.
    names.sort();
    for name in names {
        let Some(file) = file_named(&name) else {
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
fn file_named(name: &OsStr) -> Option<usize> {
    let name = name.to_str()?.to_ascii_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    let name = name.strip_suffix(".idx").unwrap_or(name).replace('.', "-");
    FILE_NAMES.iter().position(|&canonical| canonical == name)
}

/// The bytes of the file at `path`.
pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
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

//! The files of a checkpoint: one, several with an index, or those of a directory.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use flatness_formats::magic;

use super::entry::{Storage, View};
use super::{Checkpoint, admit, of};
use crate::Error;

/// Ends of the names of an index, of `save_pretrained` for one.
const INDEX: &str = ".index.json";

/// Ends of the names of checkpoints.
const ENDS: [&str; 6] = [".safetensors", ".pth", ".pt", ".bin", ".ckpt", ".pth.tar"];

/// Names that count before others in a directory.
const FIRST: [&str; 2] = ["model.safetensors", "pytorch_model.bin"];

pub(super) fn read(path: &Path) -> Result<Checkpoint, Error> {
    let refused = |source: io::Error| Error::Read {
        path: path.to_owned(),
        source,
    };
    if fs::metadata(path).map_err(refused)?.is_dir() {
        return read(&only(path)?);
    }
    let origin = path.display().to_string();
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // Whatever cannot be a checkpoint is not read to its end.
    let mut file = File::open(path).map_err(refused)?;
    let mut bytes = Vec::new();
    let head = file
        .by_ref()
        .take(magic::HEAD as u64)
        .read_to_end(&mut bytes);
    head.map_err(refused)?;
    if !name.ends_with(INDEX) {
        admit(&bytes, &origin)?;
    }
    file.read_to_end(&mut bytes).map_err(refused)?;
    match name.ends_with(INDEX) {
        true => indexed(path, &bytes),
        false => of(bytes, &origin),
    }
}

/// The one checkpoint that a directory holds.
fn only(directory: &Path) -> Result<PathBuf, Error> {
    let refused = |source: io::Error| Error::Read {
        path: directory.to_owned(),
        source,
    };
    let entries = fs::read_dir(directory).map_err(refused)?;
    let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let mut names = names
        .collect::<io::Result<Vec<String>>>()
        .map_err(refused)?;
    names.sort_unstable();
    let ending = |ends: &[&str]| -> Vec<&String> {
        let is = |name: &&String| ends.iter().any(|end| name.ends_with(end));
        names.iter().filter(is).collect()
    };
    let first = FIRST
        .iter()
        .find(|first| names.iter().any(|name| name == *first));
    let name = match (first, &ending(&[INDEX])[..], &ending(&ENDS)[..]) {
        (Some(name), ..) => *name,
        (None, [index], _) => index,
        (None, [], [name]) => name,
        (None, _, several) => {
            return Err(Error::Directory {
                path: directory.to_owned(),
                count: several.len(),
            });
        }
    };
    Ok(directory.join(name))
}

/// The files that an index names, beside it, as one checkpoint.
fn indexed(path: &Path, index: &[u8]) -> Result<Checkpoint, Error> {
    let refused = |reason: String| Error::Index {
        path: path.to_owned(),
        reason,
    };
    let index: serde_json::Value =
        serde_json::from_slice(index).map_err(|error| refused(error.to_string()))?;
    let names = index["weight_map"].as_object();
    let names = names.ok_or_else(|| refused("it has no weight_map".to_owned()))?;
    let files: BTreeSet<&str> = names.values().filter_map(|name| name.as_str()).collect();
    let directory = path.parent().unwrap_or(Path::new(""));
    let mut whole = Checkpoint {
        files: Vec::new(),
        storages: Vec::new(),
        entries: Vec::new(),
        model: None,
    };
    for name in files {
        // A path would lead out of the directory, and an index to itself.
        let is_plain = Path::new(name)
            .file_name()
            .is_some_and(|plain| plain == name);
        if !is_plain || name.ends_with(INDEX) {
            return Err(refused(format!(
                "{name:?} is not the name of a file beside it"
            )));
        }
        let part = read(&directory.join(name))?;
        let (files, storages) = (whole.files.len(), whole.storages.len());
        whole.files.extend(part.files);
        whole
            .storages
            .extend(part.storages.into_iter().map(|storage| Storage {
                file: storage.file + files,
                ..storage
            }));
        for mut entry in part.entries {
            if let View::Strided { storage, .. } = &mut entry.view {
                *storage += storages;
            }
            whole.entries.push(entry);
        }
        whole.model = whole.model.or(part.model);
    }
    Ok(whole)
}

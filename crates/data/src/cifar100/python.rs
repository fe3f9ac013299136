//! The Python version of CIFAR-100: pickles of dicts, made the records and names of the binary version.
//!
//! ```text
//! train, test   data: bytes (N, 3072)   coarse_labels, fine_labels: lists of N
//! meta          coarse_label_names, fine_label_names: lists of texts
//! ```
//!
//! The elements are those of the binary version, in its order, so that its digests hold for them.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use flatness_formats::{Id, Pickle};

use super::files::{Content, Member, Parts, absent};
use super::records::{Named, PIXELS, RECORD_BYTES};
use crate::error::{Error, Result};

/// Canonical name of the directory.
pub(super) const DIRECTORY_NAME: &str = "cifar-100-python";

/// Canonical file names in it.
pub(super) const FILE_NAMES: [&str; 3] = ["train", "test", "meta"];

/// Most bytes of a file: the larger one of records, and as much again for what else is in it.
const MAX_FILE_BYTES: u64 = 2 * 50_000 * RECORD_BYTES as u64;

/// Read the three files of the unpacked `directory`.
pub(super) fn read(directory: &Path) -> Result<Content> {
    let mut parts = Parts::default();
    let [train, test, meta] = FILE_NAMES;
    let names = ["fine_label_names", "coarse_label_names"];
    for (name, members) in [
        (train, &[Member::Train][..]),
        (test, &[Member::Test]),
        (meta, &[Member::Names, Member::SuperclassNames]),
    ] {
        let path = directory.join(name);
        let file = path.display().to_string();
        let refused = Error::io("read", &path);
        let mut bytes = Vec::new();
        let stream = File::open(&path).map_err(&refused)?;
        stream
            .take(MAX_FILE_BYTES)
            .read_to_end(&mut bytes)
            .map_err(&refused)?;
        let pickle = Pickle::parse(&bytes);
        let (pickle, _) = pickle.map_err(|error| Error::damaged(&file, "pickle", error))?;
        for &member in members {
            let content = match member {
                Member::Names => lines(&pickle, names[0]),
                Member::SuperclassNames => lines(&pickle, names[1]),
                Member::Train | Member::Test => records(&pickle),
            };
            let content = content.ok_or_else(|| {
                let expected = "a dict of CIFAR-100's Python version";
                Error::content(&file, "content", expected, "another object")
            })?;
            let named = Named {
                file: file.clone(),
                stream: &content[..],
                damaged: &refused,
            };
            parts.read(member, named)?;
        }
    }
    parts.finish(|member| absent(member.name(), directory))
}

/// The value of the dict under `key`.
fn value(pickle: &Pickle, key: &str) -> Option<Id> {
    let items = pickle.items(pickle.root()).into_iter();
    let is_key = |id: Id| {
        pickle
            .bytes(id)
            .is_some_and(|bytes| *bytes == *key.as_bytes())
    };
    items
        .filter(|&(id, _)| is_key(id))
        .map(|(_, value)| value)
        .next_back()
}

/// The records of the binary version.
fn records(pickle: &Pickle) -> Option<Vec<u8>> {
    let labels = |key: &str| {
        let labels = pickle.elements(value(pickle, key)?)?.iter();
        let labels = labels.map(|&label| u8::try_from(pickle.size(label)?).ok());
        labels.collect::<Option<Vec<u8>>>()
    };
    let (coarse, fine) = (labels("coarse_labels")?, labels("fine_labels")?);
    let (shape, pixels) = pickle.array(value(pickle, "data")?)?;
    let (images, rest) = pixels.as_chunks::<PIXELS>();
    let lengths = [coarse.len(), fine.len(), images.len()];
    if shape != [fine.len(), PIXELS] || lengths != [fine.len(); 3] || !rest.is_empty() {
        return None;
    }
    let mut records = Vec::with_capacity(fine.len() * RECORD_BYTES);
    for ((coarse, fine), image) in coarse.into_iter().zip(fine).zip(images) {
        records.extend([coarse, fine]);
        records.extend_from_slice(image);
    }
    Some(records)
}

/// A list of texts, one a line.
fn lines(pickle: &Pickle, key: &str) -> Option<Vec<u8>> {
    let names = pickle.elements(value(pickle, key)?)?.iter();
    let names = names
        .map(|&name| pickle.bytes(name))
        .collect::<Option<Vec<_>>>()?;
    Some(names.join(&b'\n'))
}

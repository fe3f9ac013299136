//! The Python versions: pickles of dicts, made the records and names of the binary ones.
//!
//! ```text
//! records   data: bytes (N, 3072)   labels: list of N; of CIFAR-100 coarse_labels, fine_labels
//! names     label_names: list of texts; of CIFAR-100 fine_label_names, coarse_label_names
//! ```
//!
//! The elements are those of the binary version, in its order, so that its digests hold for them.

use std::io::Read;

use flatness_formats::{Id, Pickle};

use super::CifarSet;
use super::records::{self, Named, PIXELS, Records};
use crate::error::{Error, Result};

/// Most bytes of a pickle besides its records.
const MARGIN: usize = 1 << 20;

/// At most `limit` records of a pickle.
pub(super) fn read_records<R: Read>(
    set: &CifarSet,
    named: Named<'_, R>,
    limit: usize,
) -> Result<Records> {
    let keys: &[&str] = match set.classes[1] {
        0 => &["labels"],
        _ => &["coarse_labels", "fine_labels"],
    };
    // Python 3 writes bytes for Python 2 as letters, of which half take two bytes.
    let most = 2 * limit * set.record_bytes() + MARGIN;
    let (file, pickle) = unpickle(named, most)?;
    let content = records(&pickle, keys).ok_or_else(|| other_object(set, &file))?;
    Records::read(set, slice(&file, &content), limit)
}

/// The names of the classes and of the superclasses of a pickle.
pub(super) fn read_names<R: Read>(set: &CifarSet, named: Named<'_, R>) -> Result<[Vec<String>; 2]> {
    let keys: &[&str] = match set.classes[1] {
        0 => &["label_names"],
        _ => &["fine_label_names", "coarse_label_names"],
    };
    let (file, pickle) = unpickle(named, MARGIN)?;
    let mut names = [Vec::new(), Vec::new()];
    for ((names, count), key) in names.iter_mut().zip(set.classes).zip(keys) {
        let content = lines(&pickle, key).ok_or_else(|| other_object(set, &file))?;
        *names = records::read_names(slice(&file, &content), count)?;
    }
    Ok(names)
}

/// The pickle that a file of at most so many bytes is, and its name.
fn unpickle<R: Read>(named: Named<'_, R>, most: usize) -> Result<(String, Pickle)> {
    let Named {
        file,
        stream,
        damaged,
    } = named;
    let mut bytes = Vec::new();
    let mut stream = stream.take(most as u64 + 1);
    stream.read_to_end(&mut bytes).map_err(damaged)?;
    if bytes.len() > most {
        let expected = format!("at most {most} bytes");
        return Err(Error::content(&file, "content", expected, "more"));
    }
    let pickle = Pickle::parse(&bytes);
    let (pickle, _) = pickle.map_err(|error| Error::damaged(&file, "pickle", error))?;
    Ok((file, pickle))
}

/// What was made of the pickle in `file`. Reading it cannot fail.
fn slice<'b>(file: &str, stream: &'b [u8]) -> Named<'b, &'b [u8]> {
    Named {
        file: file.to_owned(),
        stream,
        damaged: &|error| Error::damaged("a slice", "pickle", error),
    }
}

fn other_object(set: &CifarSet, file: &str) -> Error {
    let expected = format!("a dict of the Python version of {}", set.set.title());
    Error::content(file, "content", expected, "another object")
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

/// The records of the binary version, whose labels are under `keys`.
fn records(pickle: &Pickle, keys: &[&str]) -> Option<Vec<u8>> {
    let labels = keys.iter().map(|key| {
        let labels = pickle.elements(value(pickle, key)?)?.iter();
        let labels = labels.map(|&label| u8::try_from(pickle.size(label)?).ok());
        labels.collect::<Option<Vec<u8>>>()
    });
    let labels = labels.collect::<Option<Vec<_>>>()?;
    let pixels = pickle.array(value(pickle, "data")?)?;
    let bytes = pickle.bytes(pixels.bytes)?;
    let (images, rest) = bytes.as_chunks::<PIXELS>();
    let are_bytes = pixels.elements == "u1" && !pixels.is_column_major;
    let is_whole = pixels.shape == [images.len(), PIXELS] && rest.is_empty();
    let is_of_all = |labels: &Vec<u8>| labels.len() == images.len();
    if !are_bytes || !is_whole || !labels.iter().all(is_of_all) {
        return None;
    }
    let mut records = Vec::with_capacity(images.len() * (labels.len() + PIXELS));
    for (index, image) in images.iter().enumerate() {
        records.extend(labels.iter().map(|labels| labels[index]));
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

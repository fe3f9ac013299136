//! The four files of an MNIST directory: finding, reading and decoding them.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::{CLASSES, FILE_NAMES, normalization};
use crate::dataset::Dataset;
use crate::error::{Error, Result};
use crate::idx;

/// A file larger than this cannot be a valid one: the data, the header and, for gzip, its framing.
const MAX_FILE_BYTES: u64 = idx::MAX_BYTES + (1 << 20);

/// Paths of the four files of a complete directory, in the order of [`FILE_NAMES`].
pub(crate) struct Files {
    paths: [PathBuf; 4],
}

/// A file in memory.
pub(crate) struct LoadedFile {
    pub(crate) path: PathBuf,
    /// The path, as errors name it.
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
}

impl Files {
    /// Find the four files in `directory`, or else in its subdirectory `mnist`. Where a file is there
    /// both compressed and raw, the compressed one is taken: it carries a checksum.
    pub(crate) fn locate(directory: &Path) -> Result<Self> {
        if !directory.is_dir() {
            return Err(Error::NotADirectory {
                path: directory.to_owned(),
            });
        }
        let subdirectory = directory.join("mnist");
        Self::locate_in(directory).or_else(|missing| {
            match Self::locate_in(&subdirectory) {
                Ok(files) => Ok(files),
                // Name the file that is missing where some are already.
                Err(below) if holds_any(&subdirectory) && !holds_any(directory) => Err(below),
                Err(_) => Err(missing),
            }
        })
    }

    fn locate_in(directory: &Path) -> Result<Self> {
        let [a, b, c, d] = FILE_NAMES.map(|name| {
            locate_file(directory, name).ok_or_else(|| Error::MissingFile {
                directory: directory.to_owned(),
                name,
            })
        });
        Ok(Self {
            paths: [a?, b?, c?, d?],
        })
    }

    /// Read all four.
    pub(crate) fn read(self) -> Result<[LoadedFile; 4]> {
        let [a, b, c, d] = self.paths.map(LoadedFile::read);
        Ok([a?, b?, c?, d?])
    }
}

impl LoadedFile {
    fn read(path: PathBuf) -> Result<Self> {
        let mut bytes = Vec::new();
        let outcome = File::open(&path)
            .and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes))
            .and_then(|_| {
                if bytes.len() as u64 > MAX_FILE_BYTES {
                    let reason = format!("it has more than {MAX_FILE_BYTES} bytes");
                    return Err(io::Error::new(io::ErrorKind::FileTooLarge, reason));
                }
                Ok(())
            });
        match outcome {
            Ok(()) => Ok(Self {
                name: path.display().to_string(),
                path,
                bytes,
            }),
            Err(source) => Err(Error::Io {
                action: "read",
                path,
                source,
            }),
        }
    }
}

fn locate_file(directory: &Path, name: &str) -> Option<PathBuf> {
    let candidates = [directory.join(format!("{name}.gz")), directory.join(name)];
    candidates.into_iter().find(|path| path.is_file())
}

fn holds_any(directory: &Path) -> bool {
    FILE_NAMES
        .iter()
        .any(|name| locate_file(directory, name).is_some())
}

/// Both splits from the named contents of the four files, in the order of [`FILE_NAMES`].
pub(crate) fn decode(files: [(&str, &[u8]); 4]) -> Result<(Dataset, Dataset)> {
    let [train_images, train_labels, test_images, test_labels] = files;
    let train = decode_split("mnist-train", train_images, train_labels)?;
    let test = decode_split("mnist-test", test_images, test_labels)?;
    if train.example_shape() != test.example_shape() {
        return Err(Error::SplitShapes {
            train: train.example_shape(),
            test: test.example_shape(),
        });
    }
    Ok((train, test))
}

fn decode_split(
    name: &str,
    (images_file, images): (&str, &[u8]),
    (labels_file, labels): (&str, &[u8]),
) -> Result<Dataset> {
    let images = idx::read_images(images_file, images)?;
    let labels = idx::read_labels(labels_file, labels, CLASSES)?;
    if images.count != labels.len() {
        return Err(Error::CountMismatch {
            images_file: images_file.to_owned(),
            images: images.count,
            labels_file: labels_file.to_owned(),
            labels: labels.len(),
        });
    }
    let example_shape = [1, images.rows, images.columns];
    Dataset::from_bytes(
        name,
        example_shape,
        images.pixels,
        labels,
        CLASSES,
        normalization()?,
    )
}

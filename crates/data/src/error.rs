//! What can be wrong with data on its way in: each variant keeps the numbers, each message is one
//! sentence that ends with what to do.

use std::io;
use std::path::PathBuf;

use crate::idx::Kind;

/// Everything that reading, downloading or batching data can fail with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused an operation on a file.
    #[error("cannot {action} {path}: {source}; check the path, its permissions and the free space")]
    Io {
        /// What was tried, as a verb: `read`, `write`, `lock`.
        action: &'static str,
        /// File or directory it was tried on.
        path: PathBuf,
        /// Reason given by the operating system.
        source: io::Error,
    },
    /// A data directory that was asked for does not exist.
    #[error("{path} is not a directory; name one that holds the data files")]
    NotADirectory {
        /// Path that was asked for.
        path: PathBuf,
    },
    /// A data directory lacks a file.
    #[error("{directory} holds neither {name} nor {name}.gz; add it, or fetch the whole data set")]
    MissingFile {
        /// Directory searched.
        directory: PathBuf,
        /// Canonical name of the file, without `.gz`.
        name: &'static str,
    },
    /// There is neither a directory asked for nor a cache directory to look into.
    #[error("there is no directory to read {set} from; name one that holds it")]
    NoDirectory {
        /// Name of the data set.
        set: &'static str,
    },
    /// A data set that is one archive is in a directory neither packed nor unpacked.
    #[error(
        "{directory} holds neither {archive} nor the directory {unpacked} unpacked from it; \
         put the archive there, or fetch the data set"
    )]
    Absent {
        /// Directory searched.
        directory: PathBuf,
        /// Canonical name of the archive.
        archive: &'static str,
        /// Canonical name of the unpacked directory.
        unpacked: &'static str,
    },
    /// An archive, or the directory unpacked from one, lacks a file.
    #[error("{place} lacks {name}; add it, or fetch the whole data set")]
    MissingMember {
        /// Archive or directory.
        place: String,
        /// Canonical name of the file.
        name: &'static str,
    },
    /// An archive holds a file twice.
    #[error("{file} is there twice; the archive is not the published one, fetch it again")]
    Duplicate {
        /// Archive and member.
        file: String,
    },
    /// A member of an archive is a link, a directory or a device.
    #[error("{file} is not a plain file; the archive is not the published one, fetch it again")]
    NotAFile {
        /// Archive and member.
        file: String,
    },
    /// An archive breaks off, fails a checksum, cannot be decoded or does not end.
    #[error("{archive}: the archive is damaged ({reason}); fetch it again")]
    Archive {
        /// Archive.
        archive: String,
        /// What the decoder found.
        reason: String,
    },
    /// A file of records is empty, too long, or ends inside a record.
    #[error(
        "{file}: expected from 1 to {limit} records of {record} bytes, got {got}; \
         the file is damaged or another one, fetch it again"
    )]
    Records {
        /// File, or archive and member.
        file: String,
        /// Bytes of a record.
        record: usize,
        /// Most records accepted.
        limit: usize,
        /// Records found, in words.
        got: String,
    },
    /// A file of names does not hold one name per class.
    #[error("{file}: expected {expected} names, one per line, got {got}; fetch the file again")]
    Names {
        /// File, or archive and member.
        file: String,
        /// Number of names.
        expected: usize,
        /// What was found, in words.
        got: String,
    },
    /// Two examples of a class lie in different superclasses.
    #[error(
        "{file}: record {index} puts class {class} into superclass {got}, an earlier one into \
         {expected}; these are not the labels of this data set, fetch them again"
    )]
    Superclass {
        /// File, or archive and member.
        file: String,
        /// Position of the record, from 0.
        index: usize,
        /// Fine label.
        class: u8,
        /// Coarse label of earlier examples of the class.
        expected: u8,
        /// Coarse label found.
        got: u8,
    },
    /// A gzip stream breaks off, fails its checksum or cannot be decoded.
    #[error("{file}: the gzip stream is damaged ({reason}); fetch the file again")]
    Gzip {
        /// File, or name of the bytes.
        file: String,
        /// What the decoder found.
        reason: String,
    },
    /// The content ends inside the header.
    #[error(
        "{file}: the header of IDX {kind} has {expected} bytes, got {got}; fetch the file again"
    )]
    ShortHeader {
        /// File, or name of the bytes.
        file: String,
        /// Kind of file expected.
        kind: Kind,
        /// Bytes that the header has.
        expected: usize,
        /// Bytes found.
        got: usize,
    },
    /// The first four bytes are not those of the expected kind of file.
    #[error(
        "{file}: magic number of IDX {kind} expected {:#010x}, got {got:#010x}; \
         this is another kind of file, fetch it again", .kind.magic()
    )]
    Magic {
        /// File, or name of the bytes.
        file: String,
        /// Kind of file expected.
        kind: Kind,
        /// Big-endian number found.
        got: u32,
    },
    /// An images file stands where a labels file belongs, or the other way round.
    #[error(
        "{file}: expected IDX {expected}, got IDX {got}; \
         the images file and the labels file are swapped, exchange them"
    )]
    Swapped {
        /// File, or name of the bytes.
        file: String,
        /// Kind of file expected.
        expected: Kind,
        /// Kind of file found.
        got: Kind,
    },
    /// A dimension in the header is zero.
    #[error("{file}: {field} in the header must be at least 1, got 0; fetch the file again")]
    ZeroDimension {
        /// File, or name of the bytes.
        file: String,
        /// Dimension: `count`, `rows` or `columns`.
        field: &'static str,
    },
    /// The header declares more data than this reader accepts.
    #[error(
        "{file}: the product of the dimensions {dimensions:?} in the header must be \
         at most {limit}; fetch the file again"
    )]
    TooLarge {
        /// File, or name of the bytes.
        file: String,
        /// Dimensions that the header declares; their product is the number of bytes.
        dimensions: Vec<u32>,
        /// Largest number of bytes accepted.
        limit: u64,
    },
    /// The data ends before the header's dimensions are filled.
    #[error(
        "{file}: the header declares {expected} bytes of data, got {got}; \
         the file is truncated, fetch it again"
    )]
    Truncated {
        /// File, or name of the bytes.
        file: String,
        /// Bytes after the header that its dimensions ask for.
        expected: u64,
        /// Bytes found after the header.
        got: u64,
    },
    /// The data goes on after the header's dimensions are filled.
    #[error(
        "{file}: the header declares {expected} bytes of data, got more; \
         the file is too long for its header, fetch it again"
    )]
    Overlong {
        /// File, or name of the bytes.
        file: String,
        /// Bytes after the header that its dimensions ask for.
        expected: u64,
    },
    /// A label is not the number of a class.
    #[error(
        "{file}: label {index} must be below {classes}, got {got}; \
         these are not the labels of this data set, fetch them again"
    )]
    Label {
        /// File or data set.
        file: String,
        /// Position of the label, from 0.
        index: usize,
        /// Number of classes.
        classes: usize,
        /// Label found.
        got: u8,
    },
    /// An images file and a labels file do not belong together.
    #[error(
        "{images_file} holds {images} images and {labels_file} holds {labels} labels; \
         take both from the same split"
    )]
    CountMismatch {
        /// Images file.
        images_file: String,
        /// Number of images in it.
        images: usize,
        /// Labels file.
        labels_file: String,
        /// Number of labels in it.
        labels: usize,
    },
    /// The training and the test images have different shapes.
    #[error(
        "training images have shape {train:?} and test images {test:?} \
         (channels, height, width); take both from the same data set"
    )]
    SplitShapes {
        /// (C, H, W) of the training images.
        train: [usize; 3],
        /// (C, H, W) of the test images.
        test: [usize; 3],
    },
    /// A data set or a batch is asked for with a value outside its range.
    #[error("{name}: {field} must be {expected}, got {got}")]
    Field {
        /// Data set.
        name: String,
        /// Field or argument.
        field: &'static str,
        /// Range it must lie in.
        expected: String,
        /// Value found.
        got: String,
    },
    /// No mirror delivered a file.
    #[error(
        "could not download {file}: {}; check the network connection and try again, \
         or put the file into {directory} by hand", list(.attempts)
    )]
    Download {
        /// File name.
        file: String,
        /// Directory it was meant for.
        directory: PathBuf,
        /// One entry per request, in the order tried.
        attempts: Vec<Attempt>,
    },
    /// Another process downloads into the same directory.
    #[error(
        "another process is downloading into {directory}; wait until it has ended, then try again"
    )]
    Busy {
        /// Directory to download into.
        directory: PathBuf,
    },
    /// The proxy of a download is not a proxy address.
    #[error("{got} is not the address of a proxy; write it as http://host:port")]
    Proxy {
        /// Address found.
        got: String,
    },
    /// A tensor operation failed.
    #[error("tensor operation on a data set failed: {0}")]
    Tensor(#[from] candle_core::Error),
}

/// One request that did not deliver a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Address asked.
    pub url: String,
    /// Why it did not deliver.
    pub reason: String,
}

fn list(attempts: &[Attempt]) -> String {
    if attempts.is_empty() {
        return "its manifest names no mirror".to_owned();
    }
    let attempts: Vec<String> = attempts
        .iter()
        .map(|attempt| format!("{} ({})", attempt.url, attempt.reason))
        .collect();
    attempts.join(", ")
}

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

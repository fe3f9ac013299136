//! What can be wrong with data on its way in: each variant keeps the numbers, each message is one
//! sentence that ends with what to do.

use std::io;
use std::path::{Path, PathBuf};

use crate::set::Set;

/// Everything that reading, downloading or batching data can fail with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused an operation on a file.
    #[error("cannot {action} {path}: {source}; check the path, its permissions and the free space")]
    Io {
        /// What was tried, as a verb: `read`, `write`.
        action: &'static str,
        /// File or directory it was tried on.
        path: PathBuf,
        /// Reason given by the operating system.
        source: io::Error,
    },
    /// What was looked for is in none of the places.
    #[error("found no {what} in {}; name the directory that holds it, or fetch the data set", list(.places))]
    Absent {
        /// File or data set.
        what: String,
        /// Every place tried.
        places: Vec<PathBuf>,
    },
    /// The data set, or another, in a form that is not read.
    #[error("{path} is {form}; {wanted} is read, which fetching the data set gets")]
    Form {
        /// What was found.
        path: PathBuf,
        /// What it is.
        form: &'static str,
        /// What was looked for.
        wanted: String,
    },
    /// A file where a directory is looked for.
    #[error("{0} is a file; name the directory that holds it and the others")]
    File(PathBuf),
    /// Another data set than the one asked for.
    #[error(
        "{place} holds {found}, not {asked}; ask for {found}, or name a directory that holds {asked}"
    )]
    OtherSet {
        /// Path, or what is read there.
        place: String,
        /// What is there.
        found: Set,
        /// What was looked for.
        asked: Set,
    },
    /// A packed file breaks off, fails a checksum, cannot be decoded, does not end, or holds another list
    /// of files.
    #[error("{file}: the {packing} is damaged ({reason}); fetch it again")]
    Damaged {
        /// File, or name of the bytes.
        file: String,
        /// `gzip stream` or `archive`.
        packing: &'static str,
        /// What the decoder found.
        reason: String,
    },
    /// A file has other content than one of its name must have.
    #[error("{file}: {field} must be {expected}, got {got}; this is another file, fetch it again")]
    Content {
        /// File, archive and member, or name of the bytes.
        file: String,
        /// What of the content.
        field: String,
        /// What it must be.
        expected: String,
        /// What was found.
        got: String,
    },
    /// A file of tensors that cannot be taken.
    #[error("{path} {reason}")]
    Tensors {
        /// File.
        path: PathBuf,
        /// What is wrong with it and what to do, as a predicate.
        reason: String,
    },
    /// A label is not the number of a class.
    #[error(
        "{file}: label {index} must be in 0..{classes}, got {got}, which numbers no class of this data set"
    )]
    Label {
        /// File or data set.
        file: String,
        /// Position of the label, from 0.
        index: usize,
        /// Number of classes.
        classes: usize,
        /// Label found.
        got: i64,
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
         or put the file into {directory} by hand", tried(.attempts)
    )]
    Download {
        /// File name.
        file: String,
        /// Directory it was meant for.
        directory: PathBuf,
        /// Address and reason of each request, in the order tried.
        attempts: Vec<String>,
    },
    /// The proxy of a download is not one that this crate can use.
    #[error(
        "the proxy {got} cannot be used: only http://host:port and https://host:port can; name such a one"
    )]
    Proxy {
        /// Its kind and host, without user and password.
        got: String,
    },
    /// A tensor operation failed.
    #[error("tensor operation on a data set failed: {0}")]
    Tensor(#[from] candle_core::Error),
}

impl Error {
    pub(crate) fn field(
        name: &str,
        field: &'static str,
        expected: impl Into<String>,
        got: impl ToString,
    ) -> Self {
        Self::Field {
            name: name.to_owned(),
            field,
            expected: expected.into(),
            got: got.to_string(),
        }
    }

    pub(crate) fn content(
        file: &str,
        field: impl Into<String>,
        expected: impl Into<String>,
        got: impl ToString,
    ) -> Self {
        Self::Content {
            file: file.to_owned(),
            field: field.into(),
            expected: expected.into(),
            got: got.to_string(),
        }
    }

    pub(crate) fn damaged(file: &str, packing: &'static str, reason: impl ToString) -> Self {
        Self::Damaged {
            file: file.to_owned(),
            packing,
            reason: reason.to_string(),
        }
    }

    /// For `map_err`: the reason why `path` could not be dealt with.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl Fn(io::Error) -> Self {
        move |source| Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }
}

fn list(places: &[PathBuf]) -> String {
    if places.is_empty() {
        return "any directory, for none was named and the system has no cache directory"
            .to_owned();
    }
    let places = places.iter().map(|place| place.display().to_string());
    places.collect::<Vec<_>>().join(", ")
}

fn tried(attempts: &[String]) -> String {
    match attempts {
        [] => "its manifest names no mirror".to_owned(),
        _ => attempts.join(", "),
    }
}

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

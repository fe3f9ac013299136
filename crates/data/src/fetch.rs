//! Download of files whose sizes and digests are known beforehand.
//!
//! Each file comes from the first mirror that delivers exactly its bytes: no more of a body is read than
//! the manifest allows, MD5 and SHA-256 are computed while it arrives, and only a verified file, synced to
//! disk, is renamed to its name. Whatever interrupts a download, no name of the manifest names less than a
//! complete file; what has arrived stays as `.NAME.part`, and the next download continues it.
//!
//! One process at a time downloads into a directory, which the lock on its empty file `.fetch.lock` sees
//! to. That file stays: were it removed, a process that has just opened it and one that makes it anew would
//! both hold a lock.

mod digests;
mod download;
mod part;

use std::fs::{self, File, TryLockError};
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use ureq::{Agent, Proxy};

use crate::error::{Attempt, Error, Result};

use digests::Digests;

/// Name of the file in a directory whose lock the one process has that downloads into it.
const LOCK_NAME: &str = ".fetch.lock";

/// Files of a data set and where to get them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Files, in the order in which they are fetched.
    pub files: Vec<RemoteFile>,
    /// Addresses ending in `/`, to which a file name is appended; tried in this order.
    pub mirrors: Vec<String>,
}

/// One file that is known down to its digests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteFile {
    /// Plain file name, on the mirrors and in the directory.
    pub name: String,
    /// Exact size in bytes.
    pub bytes: u64,
    /// MD5 in lower-case hexadecimal.
    pub md5: String,
    /// SHA-256 in lower-case hexadecimal.
    pub sha256: String,
}

/// How long to wait, and the way out to the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// Longest time to establish a connection.
    pub connect_timeout: Duration,
    /// Longest silence while waiting for bytes.
    pub read_timeout: Duration,
    /// Longest time for one file from one mirror, which ends a trickle that is never silent.
    pub file_timeout: Duration,
    /// Largest number of redirects followed per file.
    pub redirects: u32,
    /// Address of a proxy, such as `http://host:port`; none: connect directly.
    pub proxy: Option<String>,
}

impl Connection {
    /// 15 s to connect, 30 s of silence, 30 minutes per file (170 MB at 100 kB/s), 5 redirects.
    pub fn patient(proxy: Option<String>) -> Self {
        Self {
            connect_timeout: Duration::from_secs(15),
            read_timeout: Duration::from_secs(30),
            file_timeout: Duration::from_secs(30 * 60),
            redirects: 5,
            proxy,
        }
    }

    fn agent(&self) -> Result<Agent> {
        let parse = |address: &String| {
            Proxy::new(address).map_err(|_| Error::Proxy {
                got: address.clone(),
            })
        };
        let proxy = self.proxy.as_ref().map(parse).transpose()?;
        let config = Agent::config_builder()
            // Set in any case: the library's default reads the environment.
            .proxy(proxy)
            .timeout_resolve(Some(self.connect_timeout))
            .timeout_connect(Some(self.connect_timeout))
            .timeout_per_read(Some(self.read_timeout))
            .timeout_per_write(Some(self.read_timeout))
            .timeout_global(Some(self.file_timeout))
            .max_redirects(self.redirects)
            // A transfer encoding would change the bytes that the digests are of.
            .accept_encoding("identity")
            .user_agent(concat!("flatness-data/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(config.into())
    }
}

/// What a download tells its caller while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress<'a> {
    /// The file is in the directory already, size and digests verified; nothing is fetched.
    Present {
        /// The file.
        file: &'a RemoteFile,
    },
    /// A mirror is asked for the file.
    Asking {
        /// The file.
        file: &'a RemoteFile,
        /// Full address.
        url: &'a str,
    },
    /// The mirror delivers the rest of a file whose beginning arrived earlier.
    Continuing {
        /// The file.
        file: &'a RemoteFile,
        /// Bytes that are there already, out of [`RemoteFile::bytes`].
        bytes: u64,
    },
    /// More of the file has arrived.
    Received {
        /// The file.
        file: &'a RemoteFile,
        /// Bytes so far, out of [`RemoteFile::bytes`].
        bytes: u64,
    },
    /// The mirror did not deliver; the next one is asked, or the same one for the whole file where the
    /// beginning that arrived earlier may be at fault.
    Failed {
        /// The file.
        file: &'a RemoteFile,
        /// Address and reason.
        attempt: &'a Attempt,
    },
    /// The file is verified and in place.
    Stored {
        /// The file.
        file: &'a RemoteFile,
    },
}

/// Put every file of `manifest` into `directory`, which is made if need be. A file of that name with
/// other contents is replaced; one with the right contents is left alone.
///
/// # Errors
/// When no mirror delivers a file, the directory cannot be written, another process downloads into it, or
/// the proxy is no address. Files stored before the error stay, and so does what has arrived of the next
/// one, so that asking again continues.
pub fn fetch(
    manifest: &Manifest,
    directory: &Path,
    connection: &Connection,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<()> {
    let agent = connection.agent()?;
    fs::create_dir_all(directory).map_err(|error| write_error(directory, error))?;
    // Taken for the first file that is missing: a complete directory may be read-only.
    let mut held = None;
    for file in &manifest.files {
        if is_present(&directory.join(&file.name), file)? {
            progress(Progress::Present { file });
            continue;
        }
        if held.is_none() {
            held = Some(lock(directory)?);
        }
        download::fetch_file(file, &manifest.mirrors, directory, &agent, progress)?;
    }
    Ok(())
}

/// Keep other processes from downloading into `directory` until the returned file is closed, which the
/// end of this process does as well.
fn lock(directory: &Path) -> Result<File> {
    let path = directory.join(LOCK_NAME);
    let mut options = File::options();
    let file = options
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(|error| write_error(&path, error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Busy {
            directory: directory.to_owned(),
        }),
        Err(TryLockError::Error(source)) => Err(Error::Io {
            action: "lock",
            path,
            source,
        }),
    }
}

/// Whether `path` already holds exactly `file`.
fn is_present(path: &Path, file: &RemoteFile) -> Result<bool> {
    let read_error = |source| Error::Io {
        action: "read",
        path: path.to_owned(),
        source,
    };
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() && metadata.len() == file.bytes => {}
        Ok(_) => return Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(read_error(error)),
    }
    let mut digests = Digests::new();
    let mut stream = File::open(path).map_err(read_error)?.take(file.bytes);
    io::copy(&mut stream, &mut digests).map_err(read_error)?;
    Ok(digests.verify(file).is_ok())
}

fn write_error(path: &Path, source: io::Error) -> Error {
    Error::Io {
        action: "write",
        path: path.to_owned(),
        source,
    }
}

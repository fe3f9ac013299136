//! Download of files whose sizes and digests are known beforehand.
//!
//! Each file comes from the first mirror that delivers exactly its bytes: no more of a body is read than
//! the manifest allows, MD5 and SHA-256 are computed while it arrives, and only a verified file, synced to
//! disk, is renamed to its name. Whatever interrupts a download, the directory holds complete files only.

mod digests;

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Duration;

use tempfile::NamedTempFile;
use ureq::{Agent, Proxy};

use crate::error::{Attempt, Error, Result};

use digests::Digests;

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
    /// More of the file has arrived.
    Received {
        /// The file.
        file: &'a RemoteFile,
        /// Bytes so far, out of [`RemoteFile::bytes`].
        bytes: u64,
    },
    /// The mirror did not deliver; the next one is asked.
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
/// When no mirror delivers a file, the directory cannot be written, or the proxy is no address. Files
/// stored before the error stay, so that asking again continues.
pub fn fetch(
    manifest: &Manifest,
    directory: &Path,
    connection: &Connection,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<()> {
    let agent = connection.agent()?;
    fs::create_dir_all(directory).map_err(|error| write_error(directory, error))?;
    for file in &manifest.files {
        if is_present(&directory.join(&file.name), file)? {
            progress(Progress::Present { file });
        } else {
            fetch_file(file, &manifest.mirrors, directory, &agent, progress)?;
        }
    }
    Ok(())
}

fn fetch_file(
    file: &RemoteFile,
    mirrors: &[String],
    directory: &Path,
    agent: &Agent,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<()> {
    let mut attempts = Vec::new();
    for mirror in mirrors {
        let url = format!("{mirror}{}", file.name);
        progress(Progress::Asking { file, url: &url });
        match download(file, &url, directory, agent, progress) {
            Ok(()) => {
                progress(Progress::Stored { file });
                return Ok(());
            }
            Err(Failure::Disk(error)) => return Err(error),
            Err(Failure::Mirror(reason)) => {
                let attempt = Attempt { url, reason };
                progress(Progress::Failed {
                    file,
                    attempt: &attempt,
                });
                attempts.push(attempt);
            }
        }
    }
    Err(Error::Download {
        file: file.name.clone(),
        directory: directory.to_owned(),
        attempts,
    })
}

/// Why one mirror's delivery did not end up in place.
enum Failure {
    /// The next mirror may do better.
    Mirror(String),
    /// No mirror can help.
    Disk(Error),
}

impl From<ureq::Error> for Failure {
    fn from(error: ureq::Error) -> Self {
        Self::Mirror(error.to_string())
    }
}

fn download(
    file: &RemoteFile,
    url: &str,
    directory: &Path,
    agent: &Agent,
    progress: &mut dyn FnMut(Progress<'_>),
) -> std::result::Result<(), Failure> {
    let mut response = agent.get(url).call()?;
    let announced = response.body().content_length();
    if let Some(announced) = announced.filter(|&announced| announced != file.bytes) {
        return Err(Failure::Mirror(format!(
            "size expected {}, got {announced}",
            file.bytes
        )));
    }
    let mut body = response.body_mut().as_reader().take(file.bytes + 1);

    let disk = |error| Failure::Disk(write_error(&directory.join(&file.name), error));
    let mut partial = create_partial(file, directory).map_err(disk)?;
    let mut digests = Digests::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = match body.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(ureq::Error::from(error).into()),
        };
        digests.update(&buffer[..count]);
        partial.write_all(&buffer[..count]).map_err(disk)?;
        progress(Progress::Received {
            file,
            bytes: digests.bytes.min(file.bytes),
        });
    }
    digests.verify(file).map_err(Failure::Mirror)?;
    store(partial, &directory.join(&file.name)).map_err(disk)
}

fn create_partial(file: &RemoteFile, directory: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    let prefix = format!(".{}.", file.name);
    builder.prefix(&prefix).suffix(".partial");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // A cache may be shared: as open as the umask allows, not private as temporary files are.
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(directory)
}

fn store(partial: NamedTempFile, path: &Path) -> io::Result<()> {
    partial.as_file().sync_all()?;
    partial.persist(path)?;
    // The rename itself survives a power cut only once the directory is on disk, too.
    #[cfg(unix)]
    if let Some(directory) = path.parent() {
        File::open(directory)?.sync_all()?;
    }
    Ok(())
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

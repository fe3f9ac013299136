//! Download of files whose sizes and digests are known beforehand.
//!
//! Each file comes from the first mirror that delivers exactly its bytes: no more of a body is read than the
//! manifest allows, SHA-256 is computed while it arrives, and only a verified file, synced to disk, is renamed to
//! its name. Whatever interrupts a download, no name of the manifest names less than a complete file. Until then
//! the bytes are in a new file of the same directory, so that no link is followed and two processes do not meet; one
//! that is killed leaves it, `.flatness-` and some letters, and a download that failed begins anew.

use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;
use ureq::{Agent, Proxy, ProxyProtocol};

use crate::error::{Error, Result};
use crate::loaded::file_digest;

/// Files of a data set and where to get them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Files, in the order in which they are fetched.
    pub files: Vec<RemoteFile>,
    /// Addresses ending in `/`, to which a file name is appended; tried in this order.
    pub mirrors: Vec<String>,
}

/// One file that is known down to its digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteFile {
    /// Plain file name, on the mirrors and in the directory.
    pub name: String,
    /// Exact size in bytes.
    pub bytes: u64,
    /// SHA-256 in lower-case hexadecimal.
    pub sha256: String,
}

/// How long to wait, and the way out to the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// Longest silence: until a connection is there, and while waiting for bytes.
    pub silence: Duration,
    /// Longest time for one file from one mirror, which ends a trickle that is never silent.
    pub file_timeout: Duration,
    /// Address of a proxy, such as `http://host:port`; none: connect directly.
    pub proxy: Option<String>,
}

impl Connection {
    /// 30 s of silence, 30 minutes per file (170 MB at 100 kB/s).
    pub fn patient(proxy: Option<String>) -> Self {
        Self {
            silence: Duration::from_secs(30),
            file_timeout: Duration::from_secs(30 * 60),
            proxy,
        }
    }

    fn agent(&self) -> Result<Agent> {
        let proxy = self.proxy.as_deref().map(proxy).transpose()?;
        let config = Agent::config_builder()
            // Set in any case: the library's default reads the environment.
            .proxy(proxy)
            .timeout_resolve(Some(self.silence))
            .timeout_connect(Some(self.silence))
            .timeout_per_read(Some(self.silence))
            .timeout_per_write(Some(self.silence))
            .timeout_global(Some(self.file_timeout))
            .max_redirects(5)
            // A transfer encoding would change the bytes that the digests are of.
            .accept_encoding("identity")
            .user_agent(concat!("flatness-data/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(config.into())
    }
}

/// The proxy at `address`. That of another kind than HTTP, such as SOCKS, makes the library panic.
fn proxy(address: &str) -> Result<Proxy> {
    let is_http =
        |proxy: &Proxy| matches!(proxy.protocol(), ProxyProtocol::Http | ProxyProtocol::Https);
    Proxy::new(address).ok().filter(is_http).ok_or_else(|| {
        let (kind, rest) = address.split_once("://").unwrap_or(("", address));
        let host = rest.rsplit('@').next().unwrap_or_default();
        let separator = if kind.is_empty() { "" } else { "://" };
        Error::Proxy {
            got: format!("{:?}", [kind, separator, host].concat()),
        }
    })
}

/// What a download tells its caller while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress<'a> {
    /// The file is in the directory already, size and digest verified; nothing is fetched.
    Present,
    /// A mirror is asked for the file.
    Asking {
        /// Full address.
        url: &'a str,
    },
    /// More of the file has arrived.
    Received {
        /// Bytes so far, out of [`RemoteFile::bytes`].
        bytes: u64,
    },
    /// The mirror did not deliver; the next one is asked.
    Failed {
        /// Address and reason.
        attempt: &'a str,
    },
    /// The file is verified and in place.
    Stored,
}

/// Put every file of `manifest` into `directory`, which is made if need be. A file of that name with other
/// contents is replaced; one with the right contents is left alone.
///
/// # Errors
/// When no mirror delivers a file, the directory cannot be written, or the proxy is none for HTTP. Files stored
/// before the error stay.
pub fn fetch(
    manifest: &Manifest,
    directory: &Path,
    connection: &Connection,
    progress: &mut dyn FnMut(&RemoteFile, Progress<'_>),
) -> Result<()> {
    let agent = connection.agent()?;
    fs::create_dir_all(directory).map_err(Error::io("write", directory))?;
    for file in &manifest.files {
        let path = directory.join(&file.name);
        let fits = |metadata: fs::Metadata| metadata.is_file() && metadata.len() == file.bytes;
        if fs::metadata(&path).is_ok_and(fits) && file_digest(&path)?.1 == file.sha256 {
            progress(file, Progress::Present);
        } else {
            fetch_file(&agent, file, &manifest.mirrors, directory, progress)?;
        }
    }
    Ok(())
}

/// Put `file` into `directory` from the first of the `mirrors` that delivers it.
fn fetch_file(
    agent: &Agent,
    file: &RemoteFile,
    mirrors: &[String],
    directory: &Path,
    progress: &mut dyn FnMut(&RemoteFile, Progress<'_>),
) -> Result<()> {
    let mut attempts = Vec::new();
    for mirror in mirrors {
        let url = format!("{mirror}{}", file.name);
        progress(file, Progress::Asking { url: &url });
        let mut part = part(directory)?;
        let received = &mut |bytes| progress(file, Progress::Received { bytes });
        let Err(reason) = download(agent, &url, file, &mut part, received)? else {
            store(part, &directory.join(&file.name))?;
            progress(file, Progress::Stored);
            return Ok(());
        };
        let attempt = format!("{url} ({reason})");
        progress(file, Progress::Failed { attempt: &attempt });
        attempts.push(attempt);
    }
    Err(Error::Download {
        file: file.name.clone(),
        directory: directory.to_owned(),
        attempts,
    })
}

/// Write `file` from `url` to `part`; the inner error is why this mirror did not deliver.
fn download(
    agent: &Agent,
    url: &str,
    file: &RemoteFile,
    part: &mut NamedTempFile,
    received: &mut dyn FnMut(u64),
) -> Result<std::result::Result<(), String>> {
    let mut response = match agent.get(url).call() {
        Ok(response) => response,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let expected = file.bytes;
    let announced = response.body().content_length();
    if let Some(announced) = announced.filter(|&announced| announced != expected) {
        return Ok(Err(format!("size expected {expected}, got {announced}")));
    }
    let mut body = response.body_mut().as_reader().take(expected + 1);
    let (mut hasher, mut bytes) = (Sha256::new(), 0);
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = match body.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                let reason = ureq::Error::from(error);
                return Ok(Err(format!("{reason}, after {bytes} of {expected} bytes")));
            }
        };
        part.write_all(&buffer[..count])
            .map_err(Error::io("write", part.path()))?;
        hasher.update(&buffer[..count]);
        bytes += count as u64;
        received(bytes.min(expected));
    }
    if bytes != expected {
        let counted = bytes.to_string();
        let got = if bytes > expected { "more" } else { &counted };
        return Ok(Err(format!("size expected {expected}, got {got}")));
    }
    let (expected, got) = (&file.sha256, format!("{:x}", hasher.finalize()));
    if got != *expected {
        return Ok(Err(format!("sha256 expected {expected}, got {got}")));
    }
    Ok(Ok(()))
}

/// A new file in `directory`, as readable as the process's mask allows; it goes away unless it is stored.
fn part(directory: &Path) -> Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".flatness-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let part = builder.tempfile_in(directory);
    part.map_err(Error::io("write", directory))
}

/// Make `part` the file at `path`.
fn store(part: NamedTempFile, path: &Path) -> Result<()> {
    let synced = part.as_file().sync_all();
    let stored = synced.and_then(|()| Ok(part.persist(path)?));
    stored.map(drop).map_err(Error::io("write", path))
}

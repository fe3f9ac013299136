//! The lock of a run's directory. Its file is never removed by this program: who waits at a file that is gone and who
//! makes it anew would both hold it.

use std::fs::{File, Metadata, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// Held until the process ends, however it ends.
pub(super) struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// Takes the lock of `directory`, unless another process has it.
    pub(super) fn take(directory: &Path) -> Result<Self> {
        let path = directory.join("lock");
        let cannot = || format!("cannot lock {}", path.display());
        loop {
            let mut options = File::options();
            options.create(true).truncate(false).read(true).write(true);
            let file = options.open(&path).with_context(cannot)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    let holder = std::fs::read_to_string(&path).unwrap_or_default();
                    bail!(
                        "{} is in use by process {}; wait for it or stop it",
                        directory.display(),
                        holder.trim()
                    )
                }
                Err(TryLockError::Error(error)) => bail!(
                    "{}: {error}; its file system must have locks, give another directory for the runs",
                    cannot()
                ),
            }
            let lock = Self {
                file,
                path: path.clone(),
            };
            // Between the two calls somebody may have removed the file: then it is another one.
            if lock.is_in_place() {
                std::fs::write(&path, std::process::id().to_string()).with_context(cannot)?;
                return Ok(lock);
            }
        }
    }

    /// Refuses to go on beside another process, where the file was removed by hand.
    pub(super) fn check(&self) -> Result<()> {
        if self.is_in_place() {
            return Ok(());
        }
        bail!(
            "{} was removed, and another process may be at work there; the same command goes on from the saved state",
            self.path.display()
        )
    }

    fn is_in_place(&self) -> bool {
        let both = (self.file.metadata(), std::fs::metadata(&self.path));
        matches!(both, (Ok(held), Ok(there)) if is_same(&held, &there))
    }
}

#[cfg(unix)]
fn is_same(one: &Metadata, other: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// A file that is open cannot be removed.
#[cfg(not(unix))]
fn is_same(_: &Metadata, _: &Metadata) -> bool {
    true
}

/// Whether a process is at work in `directory`.
pub(crate) fn is_locked(directory: &Path) -> bool {
    let file = File::open(directory.join("lock"));
    file.is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

#[cfg(test)]
mod tests {
    use super::{Lock, is_locked};

    #[test]
    fn a_lock_is_held_once_and_known_to_be_gone() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let directory = directory.path();
        assert!(!is_locked(directory));
        let first = Lock::take(directory).expect("free");
        let refused = Lock::take(directory).err().expect("in use").to_string();
        let holder = format!("in use by process {};", std::process::id());
        assert!(refused.contains(&holder), "{refused}");
        assert!(is_locked(directory) && first.check().is_ok());

        // Another process takes the file that is made anew; the first learns it before it writes.
        std::fs::remove_file(directory.join("lock")).expect("removable");
        let second = Lock::take(directory).expect("free");
        assert!(first.check().is_err() && second.check().is_ok());
        drop(second);
        assert!(!is_locked(directory));
    }
}

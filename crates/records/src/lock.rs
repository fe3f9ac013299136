//! The lock of a run's directory: an advisory lock on a file that names its holder.
//!
//! The file is never removed by this program: who waits at one that is gone and who makes it anew would both hold it. What it
//! says is held to what was written before every change, since locks of some file systems count on one machine only, and a
//! file can be removed by hand.

use std::fs::{File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use crate::Error;

const NAME: &str = "lock";

/// Who only asks for the holder has the lock for a moment.
const MOMENT: Duration = Duration::from_millis(100);

/// Held until it is dropped or the process ends, however it ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
    path: PathBuf,
    claim: String,
}

impl Lock {
    /// Takes the lock of `directory`. `claim` is what this process says of itself there, a line unlike that of any other.
    ///
    /// # Errors
    /// [`Error::InUse`] where another has it, [`Error::Lock`] where there are no locks, [`Error::Write`].
    pub fn take(directory: &Path, claim: &str) -> Result<Self, Error> {
        let path = directory.join(NAME);
        if path.is_symlink() {
            // Whoever may write here could have any file of this user's emptied.
            return Err(Error::write(&path)(io::Error::other("it is a link")));
        }
        loop {
            let mut options = File::options();
            options.create(true).truncate(false).read(true).write(true);
            let mut file = options.open(&path).map_err(Error::write(&path))?;
            let locked = file.try_lock().or_else(|error| match error {
                TryLockError::WouldBlock => {
                    sleep(MOMENT);
                    file.try_lock()
                }
                error => Err(error),
            });
            locked.map_err(|error| match error {
                TryLockError::WouldBlock => Error::InUse {
                    directory: directory.to_owned(),
                    holder: words(&path),
                },
                TryLockError::Error(source) => Error::Lock {
                    path: path.clone(),
                    source,
                },
            })?;
            let written = file.set_len(0).and_then(|()| write!(file, "{claim}"));
            // Other machines of a shared file system are to read them.
            let written = written.and_then(|()| file.sync_all());
            written.map_err(Error::write(&path))?;
            let lock = Self {
                _file: file,
                path: path.clone(),
                claim: claim.to_owned(),
            };
            // Between the first two calls somebody may have removed the file: then there is another one.
            match lock.check() {
                Err(Error::LockLost { .. }) => {}
                checked => return checked.map(|()| lock),
            }
        }
    }

    /// Refuses to go on beside another process.
    ///
    /// # Errors
    /// [`Error::LockLost`] where the file is gone or says something else, [`Error::Read`].
    pub fn check(&self) -> Result<(), Error> {
        let became = match std::fs::read_to_string(&self.path) {
            Ok(text) if text == self.claim => return Ok(()),
            Ok(text) => format!("taken by {text}"),
            Err(error) if error.kind() == io::ErrorKind::NotFound => "removed".to_owned(),
            Err(error) => return Err(Error::read(&self.path)(error)),
        };
        Err(Error::LockLost {
            path: self.path.clone(),
            became,
        })
    }
}

/// What the process at work in `directory` says of itself, if there is one.
#[must_use]
pub fn holder(directory: &Path) -> Option<String> {
    let path = directory.join(NAME);
    let file = File::open(&path).ok()?;
    let is_held = matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock));
    is_held.then(|| words(&path))
}

/// What the file of a lock says.
fn words(path: &Path) -> String {
    match std::fs::read_to_string(path) {
        Ok(text) if !text.trim().is_empty() => text.trim().to_owned(),
        _ => "another process".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Lock, NAME, holder};

    #[test]
    fn a_lock_is_held_once_and_known_to_be_gone_or_anothers() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let directory = directory.path();
        let [one, other] = ["process 1 on node1, job 7_1", "process 1 on node2, job 7_2"];
        assert_eq!(holder(directory), None);
        let first = Lock::take(directory, one).expect("free");
        let refused = Lock::take(directory, other).expect_err("in use");
        let expected = format!("{} is in use by {one};", directory.display());
        assert!(refused.to_string().starts_with(&expected), "{refused}");
        assert_eq!(holder(directory).as_deref(), Some(one));
        first.check().expect("held");

        // Where locks count on one machine only, another takes the same file.
        std::fs::write(directory.join(NAME), other).expect("writable");
        let lost = first.check().expect_err("taken").to_string();
        assert!(lost.contains(&format!("was taken by {other},")), "{lost}");

        // Another process takes the file that is made anew; the first learns it before it writes.
        std::fs::remove_file(directory.join(NAME)).expect("removable");
        let lost = first.check().expect_err("gone").to_string();
        assert!(lost.contains("was removed,"), "{lost}");
        let second = Lock::take(directory, other).expect("free");
        assert!(first.check().is_err() && second.check().is_ok());
        drop(second);
        assert_eq!(holder(directory), None);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_in_the_place_of_a_lock_is_not_followed() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let precious = directory.path().join("precious");
        std::fs::write(&precious, "precious").expect("writable");
        std::os::unix::fs::symlink(&precious, directory.path().join(NAME)).expect("writable");
        let refused = Lock::take(directory.path(), "process 1").expect_err("a link");
        assert!(refused.to_string().contains("it is a link"), "{refused}");
        let kept = std::fs::read_to_string(&precious).expect("there");
        assert_eq!(kept, "precious");
    }
}

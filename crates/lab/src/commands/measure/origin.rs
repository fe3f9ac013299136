//! The run that a checkpoint belongs to: what its record or spec says goes before the defaults.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use flatness_records::{NetworkFile, Record, Request, Spec, file_digest, read_json};

use crate::run_directory::{is_of_parameters, read_spec};

/// A checkpoint, with the run beside it.
pub(super) struct Origin {
    pub(super) checkpoint: PathBuf,
    run: Option<Beside>,
}

/// What the directory of a run says.
struct Beside {
    spec: Spec,
    /// Once the run has ended.
    record: Option<Record>,
}

impl Origin {
    /// The checkpoint at `path`: a file, or that of the run in a directory, the average where there is one.
    pub(super) fn find(path: &Path, ignore_run: bool) -> Result<Self> {
        let (directory, checkpoint) = if path.is_dir() {
            let files = ["average.safetensors", "checkpoint.safetensors"];
            let mut files = files.iter().map(|file| path.join(file));
            match files.find(|file| file.is_file()) {
                Some(found) => (Some(path), found),
                None if path.join("spec.toml").is_file() => bail!(
                    "{} has no average.safetensors and no checkpoint.safetensors; name a checkpoint or the directory \
                     of a run that has trained",
                    path.display()
                ),
                // Not of a run, but of whatever else keeps one there.
                None => (None, path.to_owned()),
            }
        } else {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let of_run = is_of_parameters(&name);
            (path.parent().filter(|_| of_run), path.to_owned())
        };
        let run = match directory {
            Some(directory) if !ignore_run => beside(directory)?,
            _ => None,
        };
        let origin = Self { checkpoint, run };
        origin.hold_checkpoint()?;
        Ok(origin)
    }

    /// Refuses another checkpoint than the run has written, where its record says which that was.
    fn hold_checkpoint(&self) -> Result<()> {
        let record = self.run.as_ref().and_then(|run| run.record.as_ref());
        let name = self.checkpoint.file_name().unwrap_or_default();
        let Some(written) = record.and_then(|record| record.files.get(&*name.to_string_lossy()))
        else {
            return Ok(());
        };
        let got = file_digest(&self.checkpoint)?;
        if got != *written {
            bail!(
                "{} is not the file that the run beside it has written (digest {written}), but has digest {got}; put that file \
                 back, or --ignore-run",
                self.checkpoint.display()
            );
        }
        Ok(())
    }

    pub(super) fn spec(&self) -> Option<&Spec> {
        self.run.as_ref().map(|run| &run.spec)
    }

    pub(super) fn request(&self) -> Option<Request> {
        self.spec().and_then(|spec| spec.measure.clone())
    }

    /// Refuses another file of the network than the run's.
    pub(super) fn hold_network(&self, file: Option<&NetworkFile>) -> Result<()> {
        let record = self.run.as_ref().and_then(|run| run.record.as_ref());
        let of_run = record.and_then(|record| record.model.file.as_ref());
        match (of_run, file) {
            (Some(of_run), Some(file)) if of_run.digest != file.digest => bail!(
                "{} belongs to a run of another network file ({}, digest {}), got {} of digest {}; put that file back, or \
                 --ignore-run",
                self.checkpoint.display(),
                of_run.path,
                of_run.digest,
                file.path,
                file.digest
            ),
            _ => Ok(()),
        }
    }

    /// Refuses other data than the run's.
    pub(super) fn hold(&self, digest: &str) -> Result<()> {
        let record = self.run.as_ref().and_then(|run| run.record.as_ref());
        let Some(record) = record.filter(|record| record.data.digest != digest) else {
            return Ok(());
        };
        bail!(
            "{} belongs to a run on other data ({}, digest {}), got digest {digest}; give --data with that data, or \
             --ignore-run",
            self.checkpoint.display(),
            record.data.source,
            record.data.digest
        )
    }
}

fn beside(directory: &Path) -> Result<Option<Beside>> {
    let record = directory.join("record.json");
    if record.is_file() {
        let record: Record = read_json(&record, "record")?;
        return Ok(Some(Beside {
            spec: record.spec.clone(),
            record: Some(record),
        }));
    }
    let spec = read_spec(directory)?;
    Ok(spec.map(|spec| Beside { spec, record: None }))
}

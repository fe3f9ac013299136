//! `flatness data`: fetch and check data sets.

use std::path::Path;

use anyhow::{Context, Result};
use flatness_data::check::{self, Completeness, SplitSummary, Summary};
use flatness_data::fetch::{self, Connection, Manifest, Progress as FetchProgress};
use flatness_data::{Error, cifar100, mnist};

use crate::arguments::{CheckOptions, DataCommand, DataOptions, DataSet, FetchOptions};
use crate::environment;
use crate::output::put;
use crate::progress::{Progress, Stage};

pub(crate) fn data(options: &DataOptions) -> Result<()> {
    match &options.command {
        DataCommand::Fetch(options) => fetch(options),
        DataCommand::Check(options) => check(options),
    }
}

/// How the command line and messages call a data set, and its directory in the cache.
fn name(set: DataSet) -> &'static str {
    match set {
        DataSet::Mnist => "mnist",
        DataSet::Cifar100 => "cifar-100",
    }
}

fn manifest(set: DataSet) -> Manifest {
    match set {
        DataSet::Mnist => mnist::manifest(),
        DataSet::Cifar100 => cifar100::manifest(),
    }
}

fn fetch(options: &FetchOptions) -> Result<()> {
    let set = name(options.set);
    let directory = options
        .to
        .clone()
        .or_else(|| environment::cache_directory().map(|cache| cache.join(set)))
        .context("this platform names no cache directory; give --to DIR")?;
    let mut manifest = manifest(options.set);
    if !options.mirror.is_empty() {
        manifest.mirrors.clone_from(&options.mirror);
    }
    let progress = Progress::new(options.quiet);
    let mut stage: Option<(Stage, u64)> = None;
    let mut report = |event: FetchProgress<'_>| match event {
        FetchProgress::Present { file } => progress.say(&format!("{} is there already", file.name)),
        FetchProgress::Asking { file, url } => {
            progress.say(&format!("asking {url}"));
            stage = Some((progress.stage(&file.name, "bytes", file.bytes), 0));
        }
        FetchProgress::Continuing { file, bytes } => {
            progress.say(&format!("continuing after {bytes} of {} bytes", file.bytes));
            let rest = file.bytes.saturating_sub(bytes);
            stage = Some((progress.stage(&file.name, "bytes", rest), bytes));
        }
        FetchProgress::Received { bytes, .. } => {
            if let Some((stage, received)) = &mut stage {
                stage.advance(bytes.saturating_sub(*received), "");
                *received = bytes;
            }
        }
        FetchProgress::Failed { attempt, .. } => {
            stage = None;
            progress.say(&format!(
                "{} did not deliver: {}",
                attempt.url, attempt.reason
            ));
        }
        FetchProgress::Stored { file } => {
            stage = None;
            progress.say(&format!("{} is verified and in place", file.name));
        }
    };
    let connection = Connection::patient(environment::proxy());
    fetch::fetch(&manifest, &directory, &connection, &mut report)?;
    progress.say(&format!("{set} is in {}", directory.display()));
    Ok(())
}

fn check(options: &CheckOptions) -> Result<()> {
    let summary = match &options.directory {
        Some(directory) => summary(options.set, directory)?,
        None => cached_summary(options.set)?,
    };
    if options.json {
        put(&object(options.set, &summary).to_string())
    } else {
        put(text(options.set, &summary).trim_end())
    }
}

fn cached_summary(set: DataSet) -> Result<Summary> {
    let absent = || {
        let set = name(set);
        format!("no {set} at hand; `flatness data fetch {set}` gets it, or name its directory")
    };
    let cache = environment::cache_directory().with_context(absent)?;
    summary(set, &cache).map_err(|error| match error {
        Error::NotADirectory { .. } | Error::MissingFile { .. } | Error::Absent { .. } => {
            anyhow::Error::new(error).context(absent())
        }
        damaged => damaged.into(),
    })
}

fn summary(set: DataSet, directory: &Path) -> Result<Summary, Error> {
    match set {
        DataSet::Mnist => check::mnist_directory(directory),
        DataSet::Cifar100 => check::cifar100_directory(directory),
    }
}

fn object(set: DataSet, summary: &Summary) -> serde_json::Value {
    let split = |split: &SplitSummary| {
        serde_json::json!({
            "examples": split.examples,
            "shape": split.shape,
            "class_counts": split.class_counts,
            "digest": split.digest,
            "content": split.identity.map(|identity| identity.to_string()),
        })
    };
    let files = summary.files.iter().map(
        |file| serde_json::json!({ "path": file.path, "bytes": file.bytes, "sha256": file.sha256 }),
    );
    let superclasses = summary.superclasses.iter().map(
        |superclass| serde_json::json!({ "name": superclass.name, "classes": superclass.classes }),
    );
    serde_json::json!({
        "set": name(set),
        "canonical": summary.completeness == Completeness::Canonical,
        "complete": summary.completeness != Completeness::Partial,
        "files": files.collect::<Vec<_>>(),
        "train": split(&summary.train),
        "test": split(&summary.test),
        "superclasses": superclasses.collect::<Vec<_>>(),
    })
}

fn text(set: DataSet, summary: &Summary) -> String {
    let mut lines = Vec::new();
    for file in &summary.files {
        lines.push(format!(
            "{}  {} bytes, sha256 {}",
            file.path.display(),
            file.bytes,
            file.sha256
        ));
    }
    for (name, split) in [("train", &summary.train), ("test", &summary.test)] {
        let content = split.identity.map_or_else(
            || "unknown content".to_owned(),
            |identity| identity.to_string(),
        );
        lines.push(String::new());
        lines.push(format!(
            "{name}: {} examples of shape {:?}, {content}",
            split.examples, split.shape
        ));
        lines.push(per_class(&split.class_counts));
        lines.push(format!("  digest {}", split.digest));
    }
    if !summary.superclasses.is_empty() {
        lines.push(String::new());
    }
    for superclass in &summary.superclasses {
        let classes = superclass.classes.join(", ");
        lines.push(format!("{}: {classes}", superclass.name));
    }
    let title = match set {
        DataSet::Mnist => "MNIST",
        DataSet::Cifar100 => "CIFAR-100",
    };
    lines.push(String::new());
    lines.push(format!("{title}: {}\n", summary.completeness));
    lines.join("\n")
}

/// One line of counts; of many equal ones, the count.
fn per_class(counts: &[usize]) -> String {
    match counts {
        [first, rest @ ..] if rest.iter().all(|count| count == first) => {
            format!("  {first} examples in each of {} classes", counts.len())
        }
        _ => format!("  examples per class {counts:?}"),
    }
}

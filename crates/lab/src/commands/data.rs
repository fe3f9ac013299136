//! `flatness data`: fetch and check data sets.

use anyhow::{Context, Result};
use flatness_data::check::{self, SplitSummary};
use flatness_data::fetch::{self, Connection, Progress as FetchProgress};
use flatness_data::mnist;

use crate::arguments::{CheckOptions, DataCommand, DataOptions, FetchOptions, FetchableSet};
use crate::environment;
use crate::progress::{Progress, Stage};

pub(crate) fn data(options: &DataOptions) -> Result<()> {
    match &options.command {
        DataCommand::Fetch(options) => fetch(options),
        DataCommand::Check(options) => check(options),
    }
}

fn fetch(options: &FetchOptions) -> Result<()> {
    let FetchableSet::Mnist = options.set;
    let directory = options
        .to
        .clone()
        .or_else(|| environment::cache_directory().map(|cache| cache.join("mnist")))
        .context("this platform names no cache directory; give --to DIR")?;
    let mut manifest = mnist::manifest();
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
    progress.say(&format!("mnist is in {}", directory.display()));
    Ok(())
}

fn check(options: &CheckOptions) -> Result<()> {
    let summary = check::mnist_directory(&options.directory)?;
    if options.json {
        let split = |split: &SplitSummary| {
            serde_json::json!({
                "examples": split.examples,
                "shape": split.shape,
                "class_counts": split.class_counts,
                "digest": split.digest,
                "content": split.identity.map(|identity| identity.to_string()),
            })
        };
        let files = summary.files.iter().map(|file| {
            serde_json::json!({ "path": file.path, "bytes": file.bytes, "sha256": file.sha256 })
        });
        let object = serde_json::json!({
            "set": "mnist",
            "canonical": summary.is_canonical(),
            "files": files.collect::<Vec<_>>(),
            "train": split(&summary.train),
            "test": split(&summary.test),
        });
        println!("{object}");
        return Ok(());
    }
    for file in &summary.files {
        println!(
            "{}  {} bytes, sha256 {}",
            file.path.display(),
            file.bytes,
            file.sha256
        );
    }
    for (name, split) in [("train", &summary.train), ("test", &summary.test)] {
        let content = split.identity.map_or_else(
            || "unknown content".to_owned(),
            |identity| identity.to_string(),
        );
        println!(
            "\n{name}: {} examples of shape {:?}, {content}",
            split.examples, split.shape
        );
        println!("  examples per class {:?}", split.class_counts);
        println!("  digest {}", split.digest);
    }
    let verdict = if summary.is_canonical() {
        "this is MNIST, complete and in order"
    } else {
        "the files are valid, but not the complete MNIST"
    };
    println!("\n{verdict}");
    Ok(())
}

//! `flatness data`: fetch and check data sets.

use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, Result};
use flatness_data::fetch::{self, Connection, Progress as FetchProgress, RemoteFile};
use flatness_data::{Completeness, Dataset, Error, Loaded, Set, file_digest};

use crate::arguments::{CheckOptions, DataCommand, DataOptions, FetchOptions};
use crate::environment;
use crate::output::put;
use crate::progress::{Progress, Stage};
use crate::source::fetched;

pub(crate) fn data(options: &DataOptions) -> Result<()> {
    match &options.command {
        DataCommand::Fetch(options) => fetch(options),
        DataCommand::Check(options) => check(options),
    }
}

fn fetch(options: &FetchOptions) -> Result<()> {
    let set = options.set;
    let absent = || format!("{set} is whatever images you have; nobody publishes it");
    let mut manifest = set.manifest().with_context(absent)?;
    let cached = || environment::cache_directory().map(|cache| cache.join(set.directory()));
    let directory = options.to.clone().or_else(cached);
    let directory = directory.context("this platform names no cache directory; give --to DIR")?;
    if !options.mirror.is_empty() {
        manifest.mirrors.clone_from(&options.mirror);
    }
    let progress = Progress::new(options.quiet);
    let mut stage: Option<(Stage, u64)> = None;
    let mut report = |file: &RemoteFile, event: FetchProgress<'_>| match event {
        FetchProgress::Present => progress.say(&format!("{} is there already", file.name)),
        FetchProgress::Asking { url } => {
            progress.say(&format!("asking {url}"));
            stage = Some((progress.stage(&file.name, "bytes", file.bytes), 0));
        }
        FetchProgress::Received { bytes } => {
            if let Some((stage, received)) = &mut stage {
                stage.advance(bytes.saturating_sub(*received), "");
                *received = bytes;
            }
        }
        FetchProgress::Failed { attempt } => {
            stage = None;
            progress.say(&format!("no delivery from {attempt}"));
        }
        FetchProgress::Stored => {
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
    let set = options.set;
    let absent = || format!("no {set} at hand; {}name its directory", fetched(set, ""));
    let loaded = match &options.directory {
        Some(directory) => load(set, directory)?,
        None => {
            let cache = environment::cache_directory().with_context(absent)?;
            load(set, &cache).map_err(|error| {
                let is_absent = match &error {
                    Error::Io { source, .. } => source.kind() == ErrorKind::NotFound,
                    error => matches!(error, Error::Absent { .. }),
                };
                let error = anyhow::Error::new(error);
                match is_absent {
                    true => error.context(absent()),
                    false => error,
                }
            })?
        }
    };
    put(&match options.json {
        true => object(&loaded)?.to_string(),
        false => text(&loaded)?,
    })
}

fn load(set: Set, directory: &Path) -> Result<Loaded, Error> {
    // Which constants does not matter: they are part of no digest.
    set.find(Some(directory), None, None)?
        .load(set.normalization())
}

/// The splits with their names and what is known of them.
fn splits(loaded: &Loaded) -> [(&'static str, &Dataset, Option<&str>); 2] {
    let [train, test] = loaded.contents.each_ref().map(Option::as_deref);
    [
        ("train", &loaded.train, train),
        ("test", &loaded.test, test),
    ]
}

/// The superclasses with the classes that they have.
fn superclasses(loaded: &Loaded) -> Vec<(&str, Vec<&str>)> {
    let Some(classes) = &loaded.classes else {
        return Vec::new();
    };
    let members = |superclass: usize| {
        let all = classes.names.iter().zip(&classes.superclasses);
        let own = all.filter(move |(_, of)| of.is_some_and(|of| usize::from(of) == superclass));
        own.map(|(name, _)| name.as_str()).collect()
    };
    let names = classes.superclass_names.iter().enumerate();
    names
        .map(|(place, name)| (name.as_str(), members(place)))
        .collect()
}

fn object(loaded: &Loaded) -> Result<serde_json::Value> {
    let mut files = Vec::new();
    for path in &loaded.files {
        let (bytes, sha256) = file_digest(path)?;
        files.push(serde_json::json!({ "path": path, "bytes": bytes, "sha256": sha256 }));
    }
    let superclasses = superclasses(loaded).into_iter();
    let superclasses =
        superclasses.map(|(name, classes)| serde_json::json!({ "name": name, "classes": classes }));
    let mut object = serde_json::json!({
        "set": loaded.name(),
        "canonical": loaded.completeness == Completeness::Canonical,
        "complete": matches!(loaded.completeness, Completeness::Canonical | Completeness::Reordered | Completeness::Complete),
        "files": files,
        "superclasses": superclasses.collect::<Vec<_>>(),
    });
    for (name, split, content) in splits(loaded) {
        object[name] = serde_json::json!({
            "examples": split.len(),
            "shape": split.example_shape(),
            "class_counts": split.class_counts()?,
            "digest": split.digest()?,
            "content": content,
        });
    }
    Ok(object)
}

fn text(loaded: &Loaded) -> Result<String> {
    let mut lines = Vec::new();
    for path in &loaded.files {
        let (bytes, sha256) = file_digest(path)?;
        let path = path.display();
        lines.push(format!("{path}  {bytes} bytes, sha256 {sha256}"));
    }
    for (name, split, content) in splits(loaded) {
        let (examples, shape) = (split.len(), split.example_shape());
        let content = content.unwrap_or("unknown content");
        lines.extend([
            String::new(),
            format!("{name}: {examples} examples of shape {shape:?}, {content}"),
            per_class(&split.class_counts()?),
            format!("  digest {}", split.digest()?),
        ]);
    }
    let superclasses = superclasses(loaded);
    if !superclasses.is_empty() {
        lines.push(String::new());
    }
    let superclasses = superclasses.into_iter();
    lines.extend(superclasses.map(|(name, classes)| format!("{name}: {}", classes.join(", "))));
    lines.extend([
        String::new(),
        format!("{}: {}", loaded.set.title(), loaded.completeness),
    ]);
    Ok(lines.join("\n"))
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

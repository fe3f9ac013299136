//! `cargo xtask curves`: finished runs in, their losses along training out.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use flatness_records::{Outcome, Record, read_json, read_json_lines, write_atomic, write_json};
use flatness_report::{TrainedRun, curves_csv, curves_page, curves_svg, optimizer_name};

use crate::arguments::CurvesOptions;
use crate::progress::put;

/// Reads the runs and writes pictures, numbers, records and a page.
pub(crate) fn curves(options: &CurvesOptions) -> Result<ExitCode> {
    let mut runs = read_runs(&options.runs)?;
    runs.sort_by_cached_key(|run| {
        let spec = &run.record.spec;
        let model = run.record.model.name.clone();
        (model, optimizer_name(&spec.train), spec.seed)
    });
    for run in &mut runs {
        let record = &mut run.record;
        record.data.source = without_directories(&record.data.source);
        record.provenance.command = without_directories(&record.provenance.command);
    }
    let command = format!(
        "cargo xtask curves {} --out {}",
        options.runs.display(),
        options.out.display()
    );
    let mut files = BTreeMap::from([
        ("curves.csv".to_owned(), curves_csv(&runs)),
        (
            "README.md".to_owned(),
            curves_page(&runs, &without_directories(&command))?,
        ),
    ]);
    for of_model in runs.chunk_by(|left, right| left.record.model.name == right.record.model.name) {
        let model = of_model
            .first()
            .map_or("", |run| run.record.model.name.as_str());
        files.insert(
            format!("{}.svg", file_name(model)),
            curves_svg(model, of_model),
        );
    }
    // Whatever can be refused has been: nothing is written by halves.
    let records = named_records(&runs)?;
    for (name, text) in files {
        write_atomic(&options.out.join(name), text.as_bytes())?;
    }
    for (name, record) in records {
        write_json(&options.out.join(name), record)?;
    }
    put(&options.out.join("README.md").display().to_string());
    Ok(ExitCode::SUCCESS)
}

/// Every run of `directory` that has finished.
fn read_runs(directory: &Path) -> Result<Vec<TrainedRun>> {
    let cannot_read = || format!("cannot read {}", directory.display());
    let mut runs = Vec::new();
    for entry in fs::read_dir(directory).with_context(cannot_read)? {
        let run = entry.with_context(cannot_read)?.path();
        let [record, metrics] = ["record.json", "metrics.jsonl"].map(|file| run.join(file));
        if record.is_file() && metrics.is_file() {
            runs.push(read_run(&record, &metrics)?);
        }
    }
    ensure!(
        !runs.is_empty(),
        "{} has no run with a record.json and a metrics.jsonl; name the directory that `flatness run` wrote to",
        directory.display()
    );
    Ok(runs)
}

fn read_run(record: &Path, metrics: &Path) -> Result<TrainedRun> {
    let run = TrainedRun {
        record: read_json(record, "record of a run")?,
        metrics: read_json_lines(metrics, "list of epochs")?,
    };
    // A run that diverged in its first epochs had nothing to evaluate.
    ensure!(
        run.record.outcome != Outcome::Completed || run.evaluations().next().is_some(),
        "{} has no evaluations; train it again with `evaluate_every = 1` under [train], or move it away",
        metrics.display()
    );
    Ok(run)
}

/// The records by file name.
fn named_records(runs: &[TrainedRun]) -> Result<BTreeMap<String, &Record>> {
    let mut records = BTreeMap::new();
    for TrainedRun { record, .. } in runs {
        let (model, optimizer) = (&record.model.name, optimizer_name(&record.spec.train));
        let seed = record.spec.seed;
        let name = format!("{}_{}_{seed}.json", file_name(model), file_name(&optimizer));
        if let Some(other) = records.insert(name, record) {
            bail!(
                "runs {} and {} of {model} both have {optimizer} and seed {seed}; move one of them away",
                other.id,
                record.id
            );
        }
    }
    Ok(records)
}

/// A name whose characters no file system minds.
fn file_name(name: &str) -> String {
    let harmless = |character: char| character.is_ascii_alphanumeric() || "-.@".contains(character);
    let words = name.split(|character| !harmless(character));
    words
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join("-")
}

/// `text` with every word that is an absolute path cut to its last name: the rest says something
/// about one machine and nothing about the run.
fn without_directories(text: &str) -> String {
    let words = text.split(' ').map(|word| {
        let last = word.rsplit('/').find(|name| !name.is_empty());
        last.filter(|_| word.starts_with('/')).unwrap_or(word)
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absolute_paths_are_cut_to_their_last_name() {
        for (text, expected) in [
            (
                "archive /home/me/cifar.tar.gz; complete",
                "archive cifar.tar.gz; complete",
            ),
            (
                "flatness run /a/b/spec.toml --runs /a/b/ --data ../data",
                "flatness run spec.toml --runs b --data ../data",
            ),
            ("and/or / is kept", "and/or / is kept"),
        ] {
            assert_eq!(without_directories(text), expected);
        }
    }

    #[test]
    fn file_names_are_harmless() {
        for (name, expected) in [
            ("vgg-16-bn@0.25", "vgg-16-bn@0.25"),
            ("SGD + SAM", "SGD-SAM"),
            ("a/b\\c", "a-b-c"),
        ] {
            assert_eq!(file_name(name), expected);
        }
    }
}

//! `cargo xtask reproduce`: a profile in, verdicts and a report out.

use std::io::ErrorKind::NotFound;
use std::io::{BufReader, Seek, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::available_parallelism;

use anyhow::{Context, Result, bail};
use flatness_records::{Error, Run, TrainSpec, read_sealed, write_atomic, write_atomic_by};
use flatness_report::{
    Claim, ClaimVerdict, Experiment, Reader, Reproduction, Summary, Verdict, figures,
    optimizer_name, report_html, results_csv, results_json, results_markdown, terminal_table,
};
use rayon::prelude::*;
use tempfile::SpooledTempFile;

use crate::arguments::ReproduceOptions;
use crate::cargo::{build_binary, built_binary, workspace_root};
use crate::cuda::{Places, Toolkit, resolve};
use crate::estimate::{Seconds, seconds, spec_path, write_specs};
use crate::pool::{Job, Setting, execute, lock, run_directory, sort};
use crate::profile::{Grid, Profile, decimal, label};
use crate::progress::{Progress, put, say, time};
use crate::slurm::Array;
use crate::status;

/// Runs what is not done yet, judges the claims and writes the report.
pub(crate) fn reproduce(options: &ReproduceOptions) -> Result<ExitCode> {
    let mut profile = Profile::load(&options.profile)?;
    profile.restrict(&options.only, &options.profile)?;
    if let Some(seeds) = options.seeds {
        profile.set_seeds(seeds);
    }
    let grids = profile.grids(&options.profile)?;
    let out = match &options.out {
        Some(out) => out.clone(),
        None => workspace_root().join("reproduction"),
    };
    if options.status {
        status::show(&out, &grids)?;
        return Ok(ExitCode::SUCCESS);
    }
    let cores = available_parallelism().map_or(1, usize::from);
    let (device, toolkit) = match &options.binary {
        // What the program can do is its own affair.
        Some(_) => (options.device.clone(), None),
        None if options.report_only => (options.device.clone(), None),
        None => resolve(&options.device, &Places::of_this_machine())?,
    };
    // Runs on one GPU wait for each other, and share its memory.
    let at_a_time = if device.starts_with("cuda") { 1 } else { cores };
    let jobs = options.jobs.map_or(at_a_time, usize::from);
    if options.device == "auto" && device != "auto" {
        say(&format!("--device auto: {device}"));
    }
    if options.dry_run {
        return dry_run(options, &device, toolkit.as_ref(), &grids, jobs);
    }
    let binary = || match &options.binary {
        Some(binary) => Ok(binary.clone()),
        None => build_binary(toolkit.as_ref()),
    };
    if options.slurm {
        let only = match options.only.as_slice() {
            [] => String::new(),
            only => format!(" --only {}", quoted(&only.join(","))),
        };
        let report = words(options) + &only;
        let array = Array {
            resources: &options.resources,
            binary: &binary()?,
            out: &out,
            data: options.data.as_deref(),
            device: &device,
            report: &report,
        };
        let (data, specs) = (array.data, out.join("specs"));
        let mut jobs = every_job(array.binary, data, &device, &specs, &profile, &grids)?;
        sort(&mut jobs);
        array.prepare(jobs)?;
        return Ok(ExitCode::SUCCESS);
    }
    let stop = Arc::new(AtomicBool::new(false));
    let mut failure = None;
    if !options.report_only {
        let setting = Setting {
            binary: binary()?,
            lock: lock(&out)?,
            out: out.clone(),
            data: options.data.clone(),
            device,
            jobs,
            threads: (cores / jobs).max(1),
            stop: stop.clone(),
        };
        listen(&stop)?;
        failure = run_grids(&setting, &profile, &grids)?;
    }
    let reported = report(options, &profile, &out, grids);
    if let Some(sentence) = failure {
        bail!("{sentence}");
    }
    if stop.load(Ordering::SeqCst) {
        let of = reported.map_or("", |_| " the report is of the runs that are done, and");
        say(&format!("stopped;{of} the same command goes on"));
        return Ok(ExitCode::from(STOPPED));
    }
    let all_hold = reported?
        .iter()
        .all(|row| row.verdict == Some(Verdict::Holds));
    Ok(ExitCode::from(u8::from(options.strict && !all_hold)))
}

/// Judges the claims on what is done, and writes and prints the verdicts.
fn report(
    options: &ReproduceOptions,
    profile: &Profile,
    out: &Path,
    grids: Vec<Grid>,
) -> Result<Vec<ClaimVerdict>> {
    let (reproduction, lines) = collect(options, profile, out, grids)?;
    let claims = tried_claims(options)?;
    let (csv, json) = (out.join("results.csv"), out.join("results.json"));
    let (verdicts, csv) = rayon::join(
        || reproduction.judge(&claims),
        || write_atomic_by(&csv, |file| results_csv(&reproduction, file)),
    );
    let mut lines = BufReader::with_capacity(1 << 16, lines);
    let json = || {
        write_atomic_by(&json, |file| {
            results_json(&reproduction, &verdicts, &mut lines, file)
        })
    };
    let page = || write_page(out, &reproduction, &claims, &verdicts);
    let (json, page) = rayon::join(json, page);
    let written = csv.and(json).map_err(anyhow::Error::from).and(page);
    written.context("the runs are done, but the report is not")?;
    put(terminal_table(&claims, &verdicts).trim_end());
    let diverged = reproduction.diverged().count();
    if diverged > 0 {
        put(&format!(
            "{diverged} of the runs diverged; their seeds are missing from the means."
        ));
    }
    put(&out.join("report.html").display().to_string());
    // The program ends, and to free the parts of very many records takes a second.
    std::mem::forget(reproduction);
    Ok(verdicts)
}

/// Exit code after Ctrl-C, as a shell has it.
const STOPPED: u8 = 130;

/// Sets `stop` at the first signal that asks for the end; the second ends this program.
#[cfg(unix)]
fn listen(stop: &Arc<AtomicBool>) -> Result<()> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    use signal_hook::flag::{register, register_conditional_default};

    // The end of a terminal is left to `nohup`.
    for signal in [SIGINT, SIGTERM] {
        register_conditional_default(signal, stop.clone())?;
        register(signal, stop.clone())?;
    }
    Ok(())
}

/// There are no such signals.
#[cfg(not(unix))]
fn listen(_: &Arc<AtomicBool>) -> Result<()> {
    Ok(())
}

/// Every run once: two experiments may share one.
fn distinct(grids: &[Grid]) -> Vec<&Run> {
    let mut runs: Vec<&Run> = grids.iter().flat_map(|grid| &grid.runs).collect();
    runs.sort_by_cached_key(|run| run.id());
    runs.dedup_by_key(|run| run.id());
    runs
}

/// Prints the grid with its time; without a binary of this state nobody knows the sizes of the models.
fn dry_run(
    options: &ReproduceOptions,
    device: &str,
    toolkit: Option<&Toolkit>,
    grids: &[Grid],
    jobs: usize,
) -> Result<ExitCode> {
    let binary = options.binary.clone();
    let known = match binary.or_else(|| built_binary(toolkit)) {
        None => None,
        Some(binary) => {
            let specs = tempfile::tempdir()?;
            let runs = distinct(grids);
            write_specs(specs.path(), &runs)?;
            let data = options.data.as_deref();
            Some(seconds(&binary, data, device, specs.path(), &runs)?)
        }
    };
    put(&format!(
        "{:<12}{:<18}{:<46}{:>6}{:>12}",
        "experiment", "model", "weight decay or optimiser", "runs", "one core"
    ));
    let mut total = Some(0.0);
    for grid in grids {
        for group in by_model(&grid.runs) {
            let group_seconds: Option<f64> = group
                .iter()
                .map(|run| known.as_ref().and_then(|known| estimate(run, known)))
                .sum();
            total = total.zip(group_seconds).map(|(sum, seconds)| sum + seconds);
            put(&format!(
                "{:<12}{:<18}{:<46}{:>6}{:>12}",
                grid.name,
                group.first().map_or("", |run| &run.spec().model.name),
                varied(&group),
                group.len(),
                group_seconds.map_or("?".to_owned(), time),
            ));
        }
    }
    let runs: usize = grids.iter().map(|grid| grid.runs.len()).sum();
    let claims = match options.only.as_slice() {
        [] => "all claims".to_owned(),
        only => only.join(","),
    };
    put(&format!("\n{runs} runs for {claims}, {jobs} at a time."));
    put(&match total {
        Some(total) => {
            let about = time(total / jobs as f64);
            format!("About {about} if none of them is done.")
        }
        None => "Their time is known once the binary is: cargo build --release -p flatness-lab"
            .to_owned(),
    });
    Ok(ExitCode::SUCCESS)
}

fn estimate(run: &Run, known: &Seconds) -> Option<f64> {
    known.get(&run.id()).copied()
}

/// The runs of each model, in their order.
pub(crate) fn by_model(runs: &[Run]) -> Vec<Vec<&Run>> {
    let mut groups: Vec<Vec<&Run>> = Vec::new();
    for run in runs {
        let like = |group: &&mut Vec<&Run>| group[0].spec().model == run.spec().model;
        match groups.iter_mut().find(like) {
            Some(group) => group.push(run),
            None => groups.push(vec![run]),
        }
    }
    groups
}

/// What runs of a model differ in besides their seed: their optimisers where there are several,
/// and their weight decays otherwise, in their order.
fn varied(runs: &[&Run]) -> String {
    let distinct = |describe: fn(&TrainSpec) -> String| {
        let mut words: Vec<String> = Vec::new();
        for word in runs.iter().map(|run| describe(&run.spec().train)) {
            if !words.contains(&word) {
                words.push(word);
            }
        }
        words
    };
    let optimizers = distinct(optimizer_name);
    if optimizers.len() > 1 {
        return optimizers.join(" ");
    }
    distinct(|train| decimal(train.optimizer.weight_decay().0)).join(" ")
}

/// Every run with its turn and its time, its spec written to the directory `specs`.
fn every_job<'a>(
    binary: &Path,
    data: Option<&Path>,
    device: &str,
    specs: &Path,
    profile: &Profile,
    grids: &'a [Grid],
) -> Result<Vec<Job<'a>>> {
    let runs = distinct(grids);
    write_specs(specs, &runs)?;
    let known = seconds(binary, data, device, specs, &runs)?;
    let job = |run| Job {
        run,
        turn: profile.turn(run),
        seconds: estimate(run, &known).unwrap_or(1.0),
    };
    Ok(runs.into_iter().map(job).collect())
}

/// Executes every run, and says which failed; the binary leaves alone what is done.
fn run_grids(setting: &Setting, profile: &Profile, grids: &[Grid]) -> Result<Option<String>> {
    let (binary, data, specs) = (&setting.binary, setting.data.as_deref(), setting.specs());
    let jobs = every_job(binary, data, &setting.device, &specs, profile, grids)?;
    let total = jobs.iter().map(|job| job.seconds).sum();
    let mut progress = Progress::start(jobs.len(), setting.jobs, total);
    let failed = execute(setting, jobs, |job, ending| {
        progress.ended(&label(job.run), job.seconds, ending);
    });
    progress.finish();
    Ok(failed.first().map(|(run, sentence)| {
        let others = match failed.len() - 1 {
            0 => String::new(),
            count => format!(" (and {count} more)"),
        };
        let (run, spec) = (label(run), spec_path(&specs, run));
        format!("{run} ({}) failed{others}: {sentence}", spec.display())
    }))
}

/// The records of the runs that are done, and their lines in `results.json`.
fn collect(
    options: &ReproduceOptions,
    profile: &Profile,
    out: &Path,
    grids: Vec<Grid>,
) -> Result<(Reproduction, SpooledTempFile)> {
    let of = grids.iter().map(|grid| grid.runs.len()).sum::<usize>();
    let mut readers = Vec::new();
    readers.resize_with(rayon::current_num_threads(), Reader::default);
    let mut experiments = Vec::new();
    let mut damaged = Vec::new();
    let mut lines = tempfile::spooled_tempfile_in(LINES_IN_MEMORY, out);
    for Grid { name, claims, runs } in grids {
        let mut records = Vec::with_capacity(runs.len());
        let mut missing = Vec::new();
        for runs in runs.chunks(AT_ONCE * readers.len()) {
            let read = read(out, runs, &mut readers).into_iter().flatten();
            for (run, record) in runs.iter().zip(read) {
                match record {
                    Ok(Some((record, line))) => {
                        records.push(record);
                        lines.write_all((line + "\n").as_bytes())?;
                        continue;
                    }
                    Ok(None) => {}
                    Err(error) => damaged.push(error),
                }
                missing.push(run.spec().model.name.clone());
            }
        }
        experiments.push(Experiment {
            name,
            claims,
            records,
            missing,
        });
    }
    if let Some(first) = damaged.first() {
        let others = match damaged.len() - 1 {
            0 => String::new(),
            count => format!(" (and {count} more)"),
        };
        say(&format!(
            "warning: {first}; the report leaves it out{others}"
        ));
    }
    let done = experiments
        .iter()
        .map(|one| one.records.len())
        .sum::<usize>();
    if done == 0 {
        bail!("no run in {} is done yet", out.join("runs").display());
    }
    lines.rewind()?;
    let mut description = profile.description.clone();
    if done < of {
        description += &format!(" Unfinished: {done} of {of} runs are done.");
    }
    let reproduction = Reproduction {
        profile: options.profile.clone(),
        description,
        command: command_line(options),
        experiments,
    };
    Ok((reproduction, lines))
}

/// Bytes of these lines in memory; more are in a file without a name in the directory of the report.
const LINES_IN_MEMORY: usize = 1 << 24;

/// A record and its line.
type Line = (Summary, String);

/// Records that a core reads before their lines are written.
const AT_ONCE: usize = 64;

/// The records of the `runs`, in their order, each with its line, none of those that are not done, or why one cannot be read;
/// the `readers` share the work.
fn read(out: &Path, runs: &[Run], readers: &mut [Reader]) -> Vec<Vec<Result<Option<Line>, Error>>> {
    let parts = readers.par_iter_mut().zip(runs.par_chunks(AT_ONCE));
    let read = |(reader, runs): (&mut Reader, &[Run])| {
        let records = runs.iter().map(|run| {
            let path = run_directory(out, run).join("record.json");
            let json = match read_sealed(&path) {
                Err(Error::Read { source, .. }) if source.kind() == NotFound => return Ok(None),
                json => json?,
            };
            let is_other = |(record, _): &Line| record.id != run.id();
            let message = match reader.read(&json) {
                Ok(line) if is_other(&line) => format!("it is of the run {}", line.0.id),
                Ok(line) => return Ok(Some(line)),
                Err(error) => error.to_string(),
            };
            Err(Error::Json {
                path,
                expected: "record of the run",
                message,
                is_other: true,
            })
        });
        records.collect()
    };
    parts.map(read).collect()
}

/// What makes the same records again, without `--only`.
fn command_line(options: &ReproduceOptions) -> String {
    format!("cargo xtask {}", words(options))
}

/// Its arguments.
fn words(options: &ReproduceOptions) -> String {
    let mut command = format!("reproduce --profile {}", quoted(&options.profile));
    if let Some(seeds) = options.seeds {
        command += &format!(" --seeds {seeds}");
    }
    if let Some(data) = &options.data {
        command += &format!(" --data {}", quoted(&data.display().to_string()));
    }
    if options.device != "cpu" {
        command += &format!(" --device {}", quoted(&options.device));
    }
    command
}

/// A word as a POSIX shell reads it.
pub(crate) fn quoted(word: &str) -> String {
    let plain =
        |character: char| character.is_ascii_alphanumeric() || "-_./:=+".contains(character);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

fn tried_claims(options: &ReproduceOptions) -> Result<Vec<Claim>> {
    let mut claims = Claim::embedded()?;
    claims.retain(|claim| options.only.is_empty() || options.only.contains(&claim.id));
    Ok(claims)
}

/// The page, its figures and the table of verdicts.
fn write_page(
    out: &Path,
    reproduction: &Reproduction,
    claims: &[Claim],
    verdicts: &[ClaimVerdict],
) -> Result<()> {
    let figures = figures(reproduction, claims, verdicts);
    let plots = figures.iter();
    let plots = plots.map(|figure| (format!("plots/{}.svg", figure.id), figure.standalone()));
    let page = report_html(reproduction, claims, verdicts, &figures)?;
    let texts = [
        ("results.md", results_markdown(claims, verdicts)),
        ("report.html", page),
    ];
    for (name, text) in plots.chain(texts.map(|(name, text)| (name.to_owned(), text))) {
        write_atomic(&out.join(name), text.as_bytes())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_when_a_shell_would_split_or_expand_them() {
        for (word, expected) in [
            ("../data", "../data"),
            ("my data", "'my data'"),
            ("it's", "'it'\\''s'"),
            ("$HOME", "'$HOME'"),
            ("", "''"),
        ] {
            assert_eq!(quoted(word), expected);
        }
    }
}

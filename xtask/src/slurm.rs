//! `cargo xtask reproduce --slurm`: a grid as a Slurm job array, with its report behind it.
//!
//! A task does the runs of one bin, about ten minutes by the estimate, one after the other in one process: `exec` makes it the
//! batch script itself, so that it gets SIGTERM and saves its state. Runs that are done are skipped and those that were stopped
//! go on, so that a task may be requeued, and the array submitted again, at any time. `OUT/slurm` has all that the tasks need
//! besides the data: both programs too, for a build would replace them.

use std::path::{Path, absolute};

use anyhow::{Context, Result, bail};
use clap::Args;
use flatness_records::write_atomic;

use crate::pool::{Job, is_done};
use crate::progress::{put, time};
use crate::reproduce::quoted;

/// Directory of scripts, bins and what the tasks say, in that of the reproduction.
pub(crate) const DIRECTORY: &str = "slurm";

/// What a task says before its runs.
pub(crate) const BIN: &str = "bin:";

/// Seconds of a bin: long beside the start of a task, short beside the patience of a queue.
const FULL: f64 = 600.0;

/// Tasks of an array that Slurm takes where nobody has configured it (MaxArraySize - 1).
const MOST: f64 = 1000.0;

/// What a task asks for.
#[derive(Debug, Args)]
#[command(next_help_heading = "With --slurm")]
pub(crate) struct Resources {
    /// Cores of a task, the threads of its runs [default: 1; on CUDA 4]
    #[arg(long, value_name = "N", requires = "slurm", value_parser = clap::value_parser!(u16).range(1..))]
    cpus: Option<u16>,
    /// GPUs of a task [default: on CUDA 1]
    #[arg(long, value_name = "N", requires = "slurm")]
    gpus: Option<u16>,
    /// Time limit of a task as sbatch takes it [default: thrice the longest, and ten minutes]
    #[arg(long, value_name = "TIME", requires = "slurm")]
    time: Option<String>,
    /// Tasks at a time [default: as many as there is room for]
    #[arg(long, value_name = "N", requires = "slurm", value_parser = clap::value_parser!(u16).range(1..))]
    at_a_time: Option<u16>,
}

/// What all tasks share.
pub(crate) struct Array<'a> {
    pub(crate) resources: &'a Resources,
    /// The binary `flatness`.
    pub(crate) binary: &'a Path,
    /// Directory of specs and runs.
    pub(crate) out: &'a Path,
    pub(crate) data: Option<&'a Path>,
    pub(crate) device: &'a str,
    /// Arguments of this program for the report.
    pub(crate) report: &'a str,
}

impl Array<'_> {
    /// Writes scripts, programs and bins of those of the `jobs`, in their order, that are not done, and says how to submit them.
    /// One whose record cannot be read is not done.
    pub(crate) fn prepare(&self, mut jobs: Vec<Job<'_>>) -> Result<()> {
        let out = absolute(self.out)?;
        jobs.retain(|job| !is_done(&out, job.run));
        let bins = bins(&jobs);
        if bins.is_empty() {
            bail!(
                "all runs in {} are done; report them with --report-only",
                out.display()
            );
        }
        let directory = out.join(DIRECTORY);
        for (index, bin) in bins.iter().enumerate() {
            let specs: Vec<String> = bin.iter().map(|job| job.run.id() + ".toml").collect();
            let path = directory.join(format!("bin-{index}"));
            write_atomic(&path, (specs.join(" ") + "\n").as_bytes())?;
        }
        copy(self.binary, &directory.join("flatness"))?;
        copy(&std::env::current_exe()?, &directory.join("xtask"))?;
        let [array, report] = ["array.sh", "report.sh"].map(|name| directory.join(name));
        write_atomic(&array, self.script(&out, &bins)?.as_bytes())?;
        write_atomic(&report, self.report_script(&out)?.as_bytes())?;
        let total = bins.iter().copied().map(seconds).sum();
        let (runs, tasks, total) = (jobs.len(), bins.len(), time(total));
        put(&format!(
            "{runs} runs in {tasks} tasks, about {total} on one core; submit them, and the report behind them:\n"
        ));
        let [array, report] = [array, report].map(|path| quoted(&path.display().to_string()));
        put(&format!("job=$(sbatch --parsable {array})"));
        put(&format!(
            "sbatch --dependency=afterany:${{job%;*}} {report}"
        ));
        Ok(())
    }

    /// The batch script of the tasks.
    fn script(&self, out: &Path, bins: &[&[Job<'_>]]) -> Result<String> {
        let is_cuda = self.device.starts_with("cuda");
        let resources = self.resources;
        let mut options = vec!["--job-name=flatness".to_owned()];
        let at_a_time = resources.at_a_time.map(|number| format!("%{number}"));
        options.push(format!(
            "--array=0-{}{}",
            bins.len() - 1,
            at_a_time.unwrap_or_default()
        ));
        let cpus = resources.cpus.unwrap_or(if is_cuda { 4 } else { 1 });
        options.push(format!("--cpus-per-task={cpus}"));
        if let Some(gpus) = resources.gpus.or(is_cuda.then_some(1)) {
            options.push(format!("--gres=gpu:{gpus}"));
        }
        let limit = match &resources.time {
            Some(limit) => {
                let is_known = |one: char| one.is_ascii_digit() || one == ':' || one == '-';
                if limit.is_empty() || !limit.chars().all(is_known) {
                    bail!(
                        "--time must be minutes, H:MM:SS or D-HH:MM:SS as sbatch takes it, got {limit}"
                    );
                }
                limit.clone()
            }
            None => {
                let longest = bins.iter().copied().map(seconds).fold(0.0, f64::max);
                format!("{:.0}", (3.0 * longest / 60.0).ceil() + 10.0)
            }
        };
        options.push(format!("--time={limit}"));
        options.extend(["--requeue", "--open-mode=append"].map(str::to_owned));
        let specs = out.join("specs");
        options.push(format!("--chdir={}", option(&specs)?));
        options.push(format!("--output=../{DIRECTORY}/%A_%a.log"));
        let mut command = format!(
            "../{DIRECTORY}/flatness run $specs --runs {} --device {}",
            quoted(&out.join("runs").display().to_string()),
            quoted(self.device)
        );
        if let Some(data) = self.data {
            command += &format!(" --data {}", quoted(&absolute(data)?.display().to_string()));
        }
        Ok(format!(
            "#!/bin/sh\n{}\nset -eu\nspecs=$(cat ../{DIRECTORY}/bin-$SLURM_ARRAY_TASK_ID)\necho {BIN} $specs\n\
             export MIMALLOC_PURGE_DELAY=-1\nexec {command} --threads $SLURM_CPUS_PER_TASK --quiet\n",
            lines(&options)
        ))
    }

    /// The batch script of the report.
    fn report_script(&self, out: &Path) -> Result<String> {
        let here = std::env::current_dir()?;
        let directory = out.join(DIRECTORY);
        let options = [
            "--job-name=flatness-report".to_owned(),
            "--open-mode=append".to_owned(),
            format!("--chdir={}", option(&here)?),
            format!("--output={}", option(&directory.join("report.log"))?),
        ];
        let [program, out] = [&directory.join("xtask"), out].map(|path| path.display().to_string());
        Ok(format!(
            "#!/bin/sh\n{}\nexec {} {} --report-only --out {}\n",
            lines(&options),
            quoted(&program),
            self.report,
            quoted(&out)
        ))
    }
}

/// Options as sbatch reads them at the head of a script.
fn lines(options: &[String]) -> String {
    let lines: Vec<String> = options
        .iter()
        .map(|option| format!("#SBATCH {option}"))
        .collect();
    lines.join("\n")
}

/// A path as sbatch reads it in a script.
fn option(path: &Path) -> Result<String> {
    let shown = path.display().to_string();
    if shown.contains(['"', '\\', '%', '\n']) {
        bail!(
            "Slurm cannot take quotation marks, backslashes, percent signs and newlines in {shown}; give another --out"
        );
    }
    Ok(format!("\"{shown}\""))
}

/// Copies a program, which may be at work where it comes to lie.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let cannot = || format!("cannot copy {}", from.display());
    let bytes = std::fs::read(from).with_context(cannot)?;
    let permissions = std::fs::metadata(from).with_context(cannot)?.permissions();
    write_atomic(to, &bytes)?;
    std::fs::set_permissions(to, permissions).with_context(cannot)
}

/// Jobs in their order, each bin filled until it is full; of very many the bins are larger.
fn bins<'a, 'b>(jobs: &'b [Job<'a>]) -> Vec<&'b [Job<'a>]> {
    let full = f64::max(FULL, seconds(jobs) / MOST);
    let mut bins = Vec::new();
    let mut rest = jobs;
    while !rest.is_empty() {
        let mut filled = 0.0;
        let fits = |job: &&Job<'_>| {
            let is_open = filled < full;
            filled += job.seconds;
            is_open
        };
        let (bin, others) = rest.split_at(rest.iter().take_while(fits).count());
        bins.push(bin);
        rest = others;
    }
    bins
}

fn seconds(jobs: &[Job<'_>]) -> f64 {
    jobs.iter().map(|job| job.seconds).sum()
}

#[cfg(test)]
mod tests {
    use flatness_records::Run;

    use super::*;
    use crate::cargo::workspace_root;
    use crate::pool::run_directory;
    use crate::profile::Profile;

    fn runs(count: usize) -> Vec<Run> {
        let grids = Profile::load("quick").unwrap().grids("quick").unwrap();
        let runs = grids.into_iter().flat_map(|grid| grid.runs);
        runs.take(count).collect()
    }

    fn jobs<'a>(runs: &'a [Run], seconds: &[f64]) -> Vec<Job<'a>> {
        let job = |(run, &seconds)| Job {
            run,
            turn: (false, 0),
            seconds,
        };
        runs.iter().zip(seconds).map(job).collect()
    }

    #[test]
    fn bins_keep_the_order_last_about_ten_minutes_and_are_no_more_than_slurm_takes() {
        let runs = runs(7);
        let seconds = [4000.0, 700.0, 400.0, 150.0, 100.0, 90.0, 10.0];
        let jobs = jobs(&runs, &seconds);
        let sizes = |jobs: &[Job<'_>]| bins(jobs).iter().map(|bin| bin.len()).collect::<Vec<_>>();
        assert_eq!(sizes(&jobs), [1, 1, 3, 2]);
        let ids = |jobs: &[Job<'_>]| jobs.iter().map(|job| job.run.id()).collect::<Vec<_>>();
        assert_eq!(ids(&bins(&jobs).concat()), ids(&jobs));
        assert!(bins(&[]).is_empty());

        // A grid of 10⁵ runs of an hour each.
        let one = &jobs[0];
        let many = vec![
            Job {
                seconds: 3600.0,
                ..one.clone()
            };
            100_000
        ];
        let sizes = sizes(&many);
        assert!(
            sizes.len() <= 1001 && sizes.iter().all(|&size| size <= 100),
            "{sizes:?}"
        );
    }

    /// The batch scripts of the array and of the report.
    fn scripts(resources: &Resources, device: &str, seconds: &[f64]) -> Result<[String; 2]> {
        let runs = runs(seconds.len());
        let jobs = jobs(&runs, seconds);
        let array = Array {
            resources,
            binary: Path::new("flatness"),
            out: Path::new("/the grid"),
            data: Some(Path::new("/data")),
            device,
            report: "reproduce --profile quick",
        };
        Ok([
            array.script(array.out, &bins(&jobs))?,
            array.report_script(array.out)?,
        ])
    }

    #[test]
    fn a_run_whose_record_is_damaged_or_of_another_run_is_to_be_done() {
        let records = workspace_root().join("docs/results/2026-11-28_cifar-100/runs");
        let grids = Profile::load("cpu").unwrap().grids("cpu").unwrap();
        let runs = grids.into_iter().flat_map(|grid| grid.runs);
        let mut done = runs.filter(|run| records.join(run.id()).exists());
        let (run, other) = (done.next().unwrap(), done.next().unwrap());
        let directory = tempfile::tempdir().unwrap();
        let out = directory.path();
        let array = Array {
            resources: &NOTHING,
            binary: &std::env::current_exe().unwrap(),
            out,
            data: None,
            device: "cpu",
            report: "",
        };
        let prepare = || array.prepare(jobs(std::slice::from_ref(&run), &[1.0]));
        let text = |run: &Run| std::fs::read_to_string(records.join(run.id()).join("record.json"));
        let record = run_directory(out, &run).join("record.json");
        write_atomic(&record, text(&run).unwrap().as_bytes()).unwrap();
        let refused = prepare().unwrap_err().to_string();
        assert!(refused.starts_with("all runs in "), "{refused}");
        let cut = text(&run).unwrap().replace('}', "");
        for damaged in [cut, text(&other).unwrap()] {
            write_atomic(&record, damaged.as_bytes()).unwrap();
            prepare().unwrap();
            let bin = std::fs::read_to_string(out.join(DIRECTORY).join("bin-0")).unwrap();
            assert_eq!(bin, run.id() + ".toml\n");
            std::fs::remove_dir_all(out.join(DIRECTORY)).unwrap();
        }
    }

    const NOTHING: Resources = Resources {
        cpus: None,
        gpus: None,
        time: None,
        at_a_time: None,
    };

    #[test]
    fn a_task_does_the_runs_of_its_bin_with_the_cores_that_it_has() {
        let [array, report] = scripts(&NOTHING, "cpu", &[500.0, 400.0, 60.0]).unwrap();
        // The longest bin has 15 minutes.
        let expected = r#"#!/bin/sh
#SBATCH --job-name=flatness
#SBATCH --array=0-1
#SBATCH --cpus-per-task=1
#SBATCH --time=55
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --chdir="/the grid/specs"
#SBATCH --output=../slurm/%A_%a.log
set -eu
specs=$(cat ../slurm/bin-$SLURM_ARRAY_TASK_ID)
echo bin: $specs
export MIMALLOC_PURGE_DELAY=-1
exec ../slurm/flatness run $specs --runs '/the grid/runs' --device cpu --data /data --threads $SLURM_CPUS_PER_TASK --quiet
"#;
        assert_eq!(array, expected);
        let expected = "exec '/the grid/slurm/xtask' reproduce --profile quick --report-only --out '/the grid'\n";
        assert!(report.ends_with(expected), "{report}");
        assert!(
            report.contains("#SBATCH --output=\"/the grid/slurm/report.log\"\n"),
            "{report}"
        );
    }

    #[test]
    fn what_is_asked_for_stands_in_the_script_and_a_gpu_is_asked_for_on_cuda() {
        let options = |resources: &Resources, device| {
            let [array, _] = scripts(resources, device, &[1.0, 2.0])?;
            let options = array
                .lines()
                .filter_map(|line| line.strip_prefix("#SBATCH "));
            Ok::<_, anyhow::Error>(options.map(str::to_owned).collect::<Vec<_>>())
        };
        let given = Resources {
            cpus: Some(8),
            gpus: Some(2),
            time: Some("1-00:00:00".to_owned()),
            at_a_time: Some(2),
        };
        for (resources, expected) in [
            (
                &NOTHING,
                &[
                    "--array=0-0",
                    "--cpus-per-task=4",
                    "--gres=gpu:1",
                    "--time=11",
                ][..],
            ),
            (
                &given,
                &[
                    "--array=0-0%2",
                    "--cpus-per-task=8",
                    "--gres=gpu:2",
                    "--time=1-00:00:00",
                ],
            ),
        ] {
            let options = options(resources, "cuda").unwrap();
            assert_eq!(options[1..5], *expected);
        }
        let time = Some("soon; rm".to_owned());
        let refused = options(&Resources { time, ..NOTHING }, "cpu").unwrap_err();
        assert!(refused.to_string().contains("got soon; rm"), "{refused}");
    }
}

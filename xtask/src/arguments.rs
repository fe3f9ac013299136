//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::slurm::Resources;

/// Tasks of this workspace.
///
/// `reproduce` is the one a reader needs, `ci` the one a contributor needs before a push.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the paper's claims from raw data to a verdict each, and write the report
    Reproduce(ReproduceOptions),
    /// Run every check that a change must pass, cheapest first
    Ci,
    /// Run the benchmarks
    Bench(BenchOptions),
    /// Pack what a machine with a GPU is given to check and time everything on it (docs/CUDA.md)
    Gpu(GpuOptions),
    /// Build the Python wheel: the program, and a module that measures PyTorch models with it
    Wheel(WheelOptions),
}

#[derive(Debug, Args)]
#[command(
    after_help = "What is done already is skipped, so an interrupted reproduction goes on where it stopped.\n\
    Ctrl-C saves the states of the runs at work and reports those that are done.\n\
    OUT holds afterwards\n  \
    report.html    verdicts, plots, settings and provenance on one page\n  \
    results.csv    every measurement at full precision\n  \
    results.json   verdicts and records\n  \
    plots/         the figures as SVG\n  \
    specs/, runs/  what each run was asked for, and what it left behind\n  \
    slurm/         with --slurm, the scripts of a job array and what its tasks said\n\n\
    Exit code 0: ran to its end, whatever the verdicts; 1: a claim does not hold (with --strict);\n\
    2: could not run; 130: stopped by Ctrl-C.\n\n\
    Examples\n  \
    cargo xtask reproduce                       the quick profile on the data at hand\n  \
    cargo xtask reproduce --dry-run             what that would run, and for how long\n  \
    cargo xtask reproduce --only C1,C8          these claims only\n  \
    cargo xtask reproduce --data DIR --seeds 5  on the data set in DIR, with more seeds\n  \
    cargo xtask reproduce --device cuda         on a GPU (docs/CUDA.md)\n  \
    cargo xtask reproduce --slurm               as a Slurm job array (docs/SCALE.md)"
)]
pub(crate) struct ReproduceOptions {
    /// Try these claims only, and run only what they need
    #[arg(long, value_name = "C1,C2,...", value_delimiter = ',')]
    pub(crate) only: Vec<String>,
    /// Name of a profile of this workspace, or path of a TOML file
    #[arg(long, value_name = "PROFILE", default_value = "quick")]
    pub(crate) profile: String,
    /// Seeds 0 to N - 1 [default: as many as the profile says]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) seeds: Option<u64>,
    /// Directory with the data set [default: the cache directory, else the embedded fixture]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Device: cpu, cuda, cuda:N or auto (CUDA where toolkit, driver and GPU are there)
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    pub(crate) device: String,
    /// Program `flatness` that does the runs [default: it is built]
    #[arg(long, value_name = "PATH")]
    pub(crate) binary: Option<PathBuf>,
    /// Runs at a time, the cores divided among them [default: one per core; on CUDA one]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) jobs: Option<u16>,
    /// Directory to write to [default: `reproduction` in the workspace]
    #[arg(long, value_name = "OUT")]
    pub(crate) out: Option<PathBuf>,
    /// Show the grid with an estimate of its time; write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Run nothing; report the runs that are done
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) report_only: bool,
    /// Run nothing; show what is done, running, failed and missing
    #[arg(long, conflicts_with_all = ["dry_run", "report_only"])]
    pub(crate) status: bool,
    /// Run nothing; prepare a Slurm job array, and say the two commands that submit it and its report
    #[arg(long, conflicts_with_all = ["dry_run", "report_only", "status", "jobs"])]
    pub(crate) slurm: bool,
    /// Exit with code 1 when a claim that was tried does not hold
    #[arg(long)]
    pub(crate) strict: bool,
    #[command(flatten)]
    pub(crate) resources: Resources,
}

#[derive(Debug, Args)]
pub(crate) struct BenchOptions {
    /// Passed on to criterion: a filter such as `mlp-400`, or its options
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "ARGUMENTS"
    )]
    pub(crate) arguments: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct WheelOptions {
    /// Directory to write the wheel to [default: `wheels` where cargo builds]
    #[arg(long, value_name = "OUT")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct GpuOptions {
    /// cuda, or cpu to rehearse without CUDA
    #[arg(long, value_name = "DEVICE", default_value = "cuda")]
    pub(crate) device: String,
    /// Directory with the scripts that make weights and data in PyTorch: make_fixture.py and models.py
    #[arg(long, value_name = "DIR")]
    pub(crate) peers: PathBuf,
    /// Directory to write to [default: `gpu-day` where cargo builds]
    #[arg(long, value_name = "OUT")]
    pub(crate) out: Option<PathBuf>,
}

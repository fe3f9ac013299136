//! The checks of a change, cheapest first, and the benchmarks.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result};

use crate::cargo::cargo;
use crate::progress::say;

/// Name and arguments of cargo.
type Step = (&'static str, &'static str);

/// What the features `hub`, `cuda` and `cudnn` add is outside the default ones, so it has steps of its own.
const CHECKS: [Step; 9] = [
    ("formatting", "fmt --all --check"),
    (
        "lints",
        "clippy --workspace --all-targets --locked -- -D warnings",
    ),
    (
        "lints of the feature `hub`",
        "clippy -p flatness-data --all-targets --features hub --locked -- -D warnings",
    ),
    (
        "types of the feature `cuda`",
        // A directory of its own, so that the stand-in's empty outputs are never linked.
        "check -p flatness-kernels -p flatness-curvature -p flatness-lab --tests --features flatness-kernels/cuda --locked \
         --target-dir target/cuda",
    ),
    (
        "types of the feature `cudnn`",
        // Its library is looked up when a program starts: no build needs it.
        "check -p flatness-kernels -p flatness-curvature -p flatness-lab --tests --features flatness-kernels/cudnn --locked \
         --target-dir target/cuda",
    ),
    ("documentation", "doc --workspace --no-deps --locked"),
    ("examples", "test --doc --workspace --locked"),
    (
        "packages",
        // That they build is known from the other steps.
        "package --workspace --exclude xtask --exclude flatness-benches --no-verify --allow-dirty --locked",
    ),
    (
        "tests of the feature `hub`",
        // Its 270 more crates are not worth optimising for a handful of small tests.
        "test -p flatness-data --features hub --tests --locked --config profile.dev.package.\"*\".opt-level=0",
    ),
];

/// Where MPI is installed.
const RANKS: [Step; 2] = [
    (
        "types of the feature `nccl`",
        "check -p flatness-lab --features nccl --locked --target-dir target/cuda",
    ),
    (
        "ranks of MPI",
        "test --workspace --features flatness-lab/mpi --test measure --locked -- ranks",
    ),
];

const TESTS_BY_NEXTEST: Step = ("tests", "nextest run --workspace --locked");

/// The examples have had their step.
const TESTS_BY_CARGO: Step = ("tests", "test --workspace --lib --bins --tests --locked");

/// Runs every check and stops at the first that fails, with its exit code. The summary of the test
/// runner, with the reasons of tests that skip themselves, is the last output.
pub(crate) fn ci() -> Result<ExitCode> {
    let mpi = answers(Command::new("mpicc").arg("--version"));
    if !mpi {
        say("skipped: NCCL and ranks of MPI, for there is no mpicc");
    }
    let ranks: &[Step] = if mpi { &RANKS } else { &[] };
    let nextest = answers(cargo().args(["nextest", "--version"]));
    let tests = if nextest {
        TESTS_BY_NEXTEST
    } else {
        TESTS_BY_CARGO
    };
    let steps = [&CHECKS[..], ranks, &[tests]].concat();
    let count = steps.len();
    let path = path_with_nvcc()?;
    for (number, (name, arguments)) in (1..).zip(steps) {
        say(&format!("\n[{number}/{count}] {name}: cargo {arguments}"));
        let mut command = cargo();
        command
            .args(arguments.split_whitespace())
            .env("RUSTDOCFLAGS", "-Dwarnings")
            .env("PATH", &path)
            .envs(headers_for_bindgen())
            // Without a GPU nobody else says which generation the kernels are for.
            .env("CUDA_COMPUTE_CAP", "90");
        let code = run(command)?;
        if code != ExitCode::SUCCESS {
            return Ok(code);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The search path with a stand-in for `nvcc` at its end: a real one goes first.
fn path_with_nvcc() -> Result<OsString> {
    let stand_in = Path::new(env!("CARGO_MANIFEST_DIR")).join("cuda");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::env::split_paths(&path).chain([stand_in]);
    Ok(std::env::join_paths(directories)?)
}

/// Runs the benchmarks; the rest of the command line goes to criterion.
pub(crate) fn bench(arguments: &[String]) -> Result<ExitCode> {
    let mut command = cargo();
    command
        .args(["bench", "-p", "flatness-benches", "--locked", "--"])
        .args(arguments);
    run(command)
}

/// Runs a command to its end, for the exit code that it has.
pub(crate) fn run(mut command: Command) -> Result<ExitCode> {
    let started = command.status();
    let status =
        started.with_context(|| format!("cannot start {}", command.get_program().display()))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    // A signal has no code.
    Ok(ExitCode::from(code.unwrap_or(1)))
}

/// Where the bindings of MPI find C's own headers: libclang alone has none, those of gcc do.
fn headers_for_bindgen() -> Option<(&'static str, String)> {
    const VARIABLE: &str = "BINDGEN_EXTRA_CLANG_ARGS";
    if std::env::var_os(VARIABLE).is_some() {
        return None;
    }
    let mut gcc = Command::new("gcc");
    let said = gcc.arg("-print-file-name=include").output().ok()?;
    let directory = String::from_utf8(said.stdout).ok()?;
    Some((VARIABLE, format!("-I{}", directory.trim())))
}

/// Whether `command` is there and ends well.
fn answers(command: &mut Command) -> bool {
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

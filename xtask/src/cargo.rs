//! Running cargo, and finding what it has built.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::cuda::{Toolkit, in_front};

const BINARY: &str = "flatness";

/// Root of the workspace: cargo tells a program it runs where its manifest lies.
pub(crate) fn workspace_root() -> PathBuf {
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    manifest
        .parent()
        .map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// The cargo that runs this program, started in the root of the workspace.
pub(crate) fn cargo() -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.current_dir(workspace_root());
    command
}

/// Directory in `target` of builds with CUDA, so that they and the others do not replace each other.
const WITH_CUDA: &str = "gpu";

/// Gives a command of cargo what a build with CUDA takes, where a `toolkit` is given.
fn with_toolkit(command: &mut Command, toolkit: Option<&Toolkit>) -> Result<()> {
    let Some(toolkit) = toolkit else {
        return Ok(());
    };
    let target = target_directory()?.join(WITH_CUDA);
    let links = target.join("libraries");
    toolkit.link_libraries(&links)?;
    let feature = format!("flatness-kernels/{}", toolkit.feature);
    command
        .args(["--features", &feature, "--target-dir"])
        .arg(&target)
        .env("CUDA_HOME", &toolkit.root)
        .env("PATH", in_front("PATH", &toolkit.root.join("bin"))?)
        .env("LIBRARY_PATH", in_front("LIBRARY_PATH", &links)?);
    if let Some(generation) = toolkit.generation {
        command.env("CUDA_COMPUTE_CAP", generation);
    }
    Ok(())
}

/// Builds the release binary, with CUDA where a `toolkit` is given, showing cargo's own progress, and returns its path.
pub(crate) fn build_binary(toolkit: Option<&Toolkit>) -> Result<PathBuf> {
    let mut command = cargo();
    command.args("rustc --release -p flatness-lab --bin flatness --locked".split(' '));
    with_toolkit(&mut command, toolkit)?;
    command.args(["--message-format=json-render-diagnostics", "--"]);
    if let Some(toolkit) = toolkit {
        // The older kind of search path also serves the libraries that a library loads.
        let mut options: Vec<OsString> = vec!["--disable-new-dtags".into()];
        for directory in toolkit.directories() {
            options.extend(["-rpath".into(), directory.into()]);
        }
        for option in options {
            let mut argument = OsString::from("-Clink-arg=");
            argument.push(option);
            command.args(["-Clink-arg=-Xlinker".into(), argument]);
        }
    }
    executable(command, BINARY)
}

/// Builds the release form of a test target of `package`, alike.
pub(crate) fn build_tests(
    package: &str,
    target: &str,
    toolkit: Option<&Toolkit>,
) -> Result<PathBuf> {
    let mut command = cargo();
    command.args(
        "test --release --no-run --locked --message-format=json-render-diagnostics".split(' '),
    );
    command.args(["-p", package, "--test", target]);
    with_toolkit(&mut command, toolkit)?;
    executable(command, target)
}

/// Runs a build, and returns the path of the executable of the target called `name`.
fn executable(mut command: Command, name: &str) -> Result<PathBuf> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start cargo")?;
    if !output.status.success() {
        bail!("the release form of `{name}` does not build; the reason is above");
    }
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == name)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .with_context(|| format!("cargo has built no executable called `{name}`"))
}

/// The release binary of an earlier build, with CUDA or without, if there is one.
pub(crate) fn built_binary(toolkit: Option<&Toolkit>) -> Option<PathBuf> {
    let target = target_directory().ok()?;
    let target = toolkit.map_or(target.clone(), |_| target.join(WITH_CUDA));
    let name = format!("{BINARY}{}", std::env::consts::EXE_SUFFIX);
    let path = target.join("release").join(name);
    path.is_file().then_some(path)
}

/// Where cargo builds.
pub(crate) fn target_directory() -> Result<PathBuf> {
    let output = cargo()
        .args("metadata --no-deps --offline --format-version 1".split(' '))
        .output()
        .context("cannot start cargo")?;
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let target = metadata["target_directory"].as_str().map(PathBuf::from);
    target.context("cargo does not say where it builds")
}

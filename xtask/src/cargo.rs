//! Running cargo, and finding what it has built.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

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

/// Builds the release binary, showing cargo's own progress, and returns its path.
pub(crate) fn build_binary() -> Result<PathBuf> {
    let output = cargo()
        .args(["build", "--release", "-p", "flatness-lab", "--locked"])
        .arg("--message-format=json-render-diagnostics")
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start cargo")?;
    if !output.status.success() {
        bail!("the release binary does not build; the reason is above");
    }
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == BINARY)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .context("cargo has built flatness-lab, but no executable called `flatness`")
}

/// The release binary of an earlier build, if there is one.
pub(crate) fn built_binary() -> Option<PathBuf> {
    let output = cargo()
        .args("metadata --no-deps --offline --format-version 1".split(' '))
        .output()
        .ok()?;
    let metadata: Value = serde_json::from_slice(&output.stdout).ok()?;
    let directory = Path::new(metadata["target_directory"].as_str()?).join("release");
    let path = directory.join(format!("{BINARY}{}", std::env::consts::EXE_SUFFIX));
    path.is_file().then_some(path)
}

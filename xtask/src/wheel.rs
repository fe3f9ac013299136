//! `cargo xtask wheel`: the program with its Python module, as `pip install` takes them.

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Result, bail};

use crate::cargo::workspace_root;
use crate::ci::run;

/// How maturin is started: as a program, or as a module of the Python that it was installed for.
const STARTS: [&[&str]; 3] = [
    &["maturin"],
    &["python3", "-m", "maturin"],
    &["python", "-m", "maturin"],
];

/// Builds the wheel of `crates/lab` in release mode, showing maturin's own progress; its exit code.
pub(crate) fn wheel(out: Option<&Path>) -> Result<ExitCode> {
    let Some(mut command) = maturin() else {
        bail!(
            "wheels are built by maturin, and neither `maturin` nor `python3 -m maturin` can be started; install it with \
             `pip install maturin`"
        );
    };
    let manifest = workspace_root().join("crates/lab/Cargo.toml");
    command
        .args(["build", "--release", "--locked", "--manifest-path"])
        .arg(manifest);
    if let Some(out) = out {
        command.arg("--out").arg(out);
    }
    run(command)
}

/// The first maturin that answers.
fn maturin() -> Option<Command> {
    STARTS.iter().find_map(|start| {
        let command = || {
            let mut command = Command::new(start[0]);
            command.args(&start[1..]);
            command
        };
        let mut probe = command();
        probe.arg("--version");
        let answered = probe.stdout(Stdio::null()).stderr(Stdio::null()).status();
        answered.is_ok_and(|status| status.success()).then(command)
    })
}

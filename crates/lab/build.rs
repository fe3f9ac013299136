//! Tells the binary which commit and compiler it was built from.

use std::process::Command;

fn main() {
    for path in [
        "../../.git/HEAD",
        "../../.git/index",
        "../../crates",
        "../../fixtures",
    ] {
        println!("cargo::rerun-if-changed={path}");
    }
    let commit = output("git", &["rev-parse", "HEAD"]);
    // Of what the program is made of: tests and pages change no number.
    let status = ["status", "--porcelain", "--untracked-files=no", "--"];
    let made_of = [
        ":/Cargo.*",
        // A pattern must match the whole path, of which a star may be several parts.
        ":/crates/*/src/*",
        ":/crates/*/Cargo.toml",
        ":/fixtures",
    ];
    let changes = output("git", &[&status[..], &made_of].concat());
    let rustc = std::env::var("RUSTC")
        .ok()
        .and_then(|rustc| output(&rustc, &["--version"]));
    let unknown = || "unknown".to_owned();
    println!(
        "cargo::rustc-env=FLATNESS_COMMIT={}",
        commit.clone().unwrap_or_else(unknown)
    );
    println!(
        "cargo::rustc-env=FLATNESS_DIRTY={}",
        commit.is_some() && changes.is_none_or(|changes| !changes.is_empty())
    );
    println!(
        "cargo::rustc-env=FLATNESS_RUSTC={}",
        rustc.unwrap_or_else(unknown)
    );
}

/// What a command prints, if it runs and succeeds.
fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

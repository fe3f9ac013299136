//! `cargo xtask gpu`: a folder for a machine with a GPU that is had for minutes, small enough to be carried there.
//!
//! It has the program and the device tests, stripped, scripts that time PyTorch on the same work, and `day.sh`, which checks
//! all that has to be seen on a GPU. With `--device cpu` it is made without CUDA, to rehearse the script.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::arguments::GpuOptions;
use crate::cargo::{build_binary, build_tests, target_directory};
use crate::cuda::{Places, to_pack};
use crate::progress::say;

const SCRIPT: &str = include_str!("../cuda/day.sh");

/// Bytes that can be carried.
const BYTES_AT_MOST: u64 = 45_000_000;

/// Packages with a test against a device, with the name of its target, and what it is called in the folder.
const TESTS: [(&str, &str, &str); 2] = [
    ("flatness-kernels", "kernels", "kernels-tests"),
    ("flatness-curvature", "curvature", "curvature-tests"),
];

/// Packs the folder.
pub(crate) fn gpu(options: &GpuOptions) -> Result<ExitCode> {
    let toolkit = match options.device.as_str() {
        "cpu" => None,
        "cuda" => Some(to_pack(&Places::of_this_machine())?),
        other => bail!("--device must be cpu or cuda, got {other}"),
    };
    if !options.peers.join("make_fixture.py").is_file() {
        bail!(
            "--peers {} has no make_fixture.py, which makes weights and data in PyTorch",
            options.peers.display()
        );
    }
    let out = match &options.out {
        Some(out) => out.clone(),
        None => target_directory()?.join("gpu-day"),
    };
    let mut programs = vec![("flatness".to_owned(), build_binary(toolkit.as_ref())?)];
    for (package, target, name) in TESTS {
        let test = build_tests(package, target, toolkit.as_ref())?;
        programs.push((name.to_owned(), test));
    }
    let bytes = pack(&out, &programs, &options.peers)?;
    if bytes > BYTES_AT_MOST {
        bail!(
            "{} has {bytes} bytes, and {BYTES_AT_MOST} can be carried",
            out.display()
        );
    }
    say(&format!(
        "{} has {:.1} MB; there: bash day.sh{}",
        out.display(),
        bytes as f64 / 1e6,
        if toolkit.is_some() { "" } else { " cpu" }
    ));
    Ok(ExitCode::SUCCESS)
}

/// Makes the folder anew, of `programs` under their names, the script and the Python files of `peers`; its bytes.
fn pack(out: &Path, programs: &[(String, PathBuf)], peers: &Path) -> Result<u64> {
    let work = tempfile::tempdir()?;
    for (name, program) in programs {
        let target = work.path().join(name);
        let mut strip = Command::new("strip");
        start(strip.arg("-o").arg(&target).arg(program))?;
    }
    let theirs = out.join("peers");
    std::fs::create_dir_all(&theirs)
        .with_context(|| format!("cannot make the directory {}", theirs.display()))?;
    let archive = out.join("program.tar.xz");
    let mut tar = Command::new("tar");
    tar.arg("-cJf").arg(&archive).arg("-C").arg(work.path());
    start(tar.args(programs.iter().map(|(name, _)| name)))?;
    let script = out.join("day.sh");
    std::fs::write(&script, SCRIPT)?;
    let mut bytes = archive.metadata()?.len() + script.metadata()?.len();
    for entry in std::fs::read_dir(peers)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "py") {
            bytes += std::fs::copy(&path, theirs.join(path.file_name().unwrap_or_default()))?;
        }
    }
    Ok(bytes)
}

/// Runs a program to its end.
fn start(command: &mut Command) -> Result<()> {
    let name = command.get_program().display().to_string();
    let status = command.status();
    let status = status.with_context(|| format!("cannot start {name}"))?;
    if !status.success() {
        bail!("{name} has failed; the reason is above");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_the_programs_the_script_and_what_is_python() {
        let place = tempfile::tempdir().unwrap();
        let (peers, out) = (place.path().join("peers"), place.path().join("out"));
        std::fs::create_dir(&peers).unwrap();
        std::fs::write(peers.join("make_fixture.py"), "pass").unwrap();
        std::fs::write(peers.join("notes.md"), "no").unwrap();
        let own = PathBuf::from("/bin/true");
        let bytes = pack(&out, &[("flatness".to_owned(), own)], &peers).unwrap();
        assert!(bytes > SCRIPT.len() as u64);
        assert!(out.join("peers/make_fixture.py").is_file());
        assert!(!out.join("peers/notes.md").exists());
        let listed = Command::new("tar")
            .arg("-tJf")
            .arg(out.join("program.tar.xz"))
            .output();
        assert_eq!(
            String::from_utf8(listed.unwrap().stdout).unwrap(),
            "flatness\n"
        );
    }

    #[test]
    fn the_script_is_one() {
        let mut shell = Command::new("bash");
        let checked = shell
            .arg("-n")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("cuda/day.sh"));
        assert!(checked.status().unwrap().success());
    }
}

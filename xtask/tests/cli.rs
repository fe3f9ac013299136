//! The command line as a user meets it: help, refusals in one sentence, a dry run that writes nothing.

use assert_cmd::Command;
use assert_cmd::cargo::cargo_bin_cmd;

/// `xtask` with the arguments in `line`, separated by blanks.
fn xtask(line: &str) -> Command {
    let mut command = cargo_bin_cmd!("xtask");
    command.args(line.split_whitespace());
    command
}

fn standard_output(mut command: Command) -> String {
    let output = command.assert().success().get_output().stdout.clone();
    String::from_utf8(output).expect("help is UTF-8")
}

#[test]
fn help_names_every_command_and_option() {
    let help = standard_output(xtask("--help"));
    for command in ["reproduce", "ci", "bench", "gpu", "wheel"] {
        assert!(help.contains(command), "{help}");
    }
    let help = standard_output(xtask("reproduce --help"));
    let options = "--only --profile --seeds --data --device --binary --jobs --out --dry-run --report-only --status --slurm --cpus --gpus --time --at-a-time --strict";
    for option in options.split(' ').chain(["Exit code"]) {
        assert!(help.contains(option), "{option} is missing from\n{help}");
    }
    for line in help.lines() {
        assert!(line.chars().count() <= 100, "{line}");
    }
}

#[test]
fn what_cannot_run_says_so_in_one_sentence_with_code_2() {
    let directory = tempfile::tempdir().unwrap();
    let broken = directory.path().join("broken.toml");
    std::fs::write(&broken, "description = \"d\"\nseeds = 0\nexperiment = []\n").unwrap();
    let (broken, out) = (broken.display(), directory.path().display());
    for (options, expected) in [
        (
            "--dry-run --profile slow",
            "there is no profile `slow`; name one of quick, mnist, cpu, cpu-more, paper",
        ),
        (&format!("--report-only --out {out}"), "no run in"),
        ("--profile none.toml", "cannot read none.toml"),
        (
            &format!("--profile {broken}"),
            "seeds must be at least 1, got 0",
        ),
        ("--only C9", "profile quick has no claim `C9`"),
        (
            "--device tpu",
            "--device must be cpu, cuda, cuda:N or auto, got tpu",
        ),
    ] {
        let assertion = xtask(&format!("reproduce {options}")).assert().code(2);
        let said = String::from_utf8_lossy(&assertion.get_output().stderr).into_owned();
        assert!(
            said.starts_with("error: ") && said.contains(expected),
            "{said}"
        );
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

#[test]
fn a_damaged_record_is_left_out_of_the_report_with_one_warning() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let records = root.join("docs/results/2026-11-28_cifar-100/runs");
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path();
    let mut copies = Vec::new();
    for entry in std::fs::read_dir(records).unwrap() {
        let run = entry.unwrap();
        let copy = out.join("runs").join(run.file_name()).join("record.json");
        std::fs::create_dir_all(copy.parent().unwrap()).unwrap();
        std::fs::copy(run.path().join("record.json"), &copy).unwrap();
        copies.push(copy);
    }
    let report = || {
        let mut command = xtask("reproduce --profile cpu --report-only --out");
        let output = command.arg(out).assert().success().get_output().clone();
        let report = std::fs::read_to_string(out.join("report.html")).unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        (report, said)
    };
    let unfinished =
        |report: &str, done: usize| report.contains(&format!("Unfinished: {done} of "));
    let (whole, said) = report();
    assert!(
        unfinished(&whole, copies.len()) && said.is_empty(),
        "{said}"
    );
    // Half of a file, and a byte that is no text.
    let text = std::fs::read(&copies[0]).unwrap();
    let mut other = text.clone();
    other[40] |= 0x80;
    for damaged in [&text[..text.len() / 2], &other] {
        std::fs::write(&copies[0], damaged).unwrap();
        let (rest, said) = report();
        assert!(unfinished(&rest, copies.len() - 1));
        let expected = format!("{}", copies[0].display());
        assert!(
            said.starts_with("warning: ") && said.contains(&expected),
            "{said}"
        );
        assert!(said.ends_with("; the report leaves it out\n"), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

#[test]
fn a_wheel_without_maturin_says_how_to_install_it() {
    assert!(standard_output(xtask("wheel --help")).contains("--out"));
    let mut command = xtask("wheel --out nowhere");
    let assertion = command.env("PATH", "").assert().code(2);
    let said = String::from_utf8_lossy(&assertion.get_output().stderr).into_owned();
    assert!(said.contains("`pip install maturin`"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[test]
fn a_dry_run_shows_the_grid_and_writes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("out");
    let mut command = xtask("reproduce --dry-run --only C1,C2,C3 --jobs 2 --out");
    command.arg(&out);
    let shown = standard_output(command);
    for expected in [
        "decay",
        "separable",
        "mlp-medium",
        "1e-4 2e-3",
        "SGD SWA Gadam GadamX",
        "154 runs for C1,C2,C3, 2 at a time",
    ] {
        assert!(
            shown.contains(expected),
            "{expected} is missing from\n{shown}"
        );
    }
    for line in shown.lines() {
        assert!(line.chars().count() <= 100, "{line}");
    }
    assert!(!out.exists());
}

#[test]
fn a_gpu_that_is_not_there_is_one_sentence_before_anything_is_written() {
    if ["/dev/nvidiactl", "/dev/dxg"].map(|file| std::path::Path::new(file).exists()) != [false; 2]
    {
        eprintln!("skipped: there is a GPU");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("out");
    for device in ["cuda", "cuda:1"] {
        let mut command = xtask(&format!("reproduce --device {device} --out"));
        command.arg(&out);
        let assertion = command.assert().code(2);
        let said = String::from_utf8_lossy(&assertion.get_output().stderr).into_owned();
        let expected = format!("error: --device {device} cannot be had: ");
        assert!(
            said.starts_with(&expected) && said.contains(" of "),
            "{said}"
        );
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(!out.exists());
    }
}

//! The program as a user calls it.

use std::process::{Child, Command, Output, Stdio};

/// `program` with a home of its own, so that no cached data set takes the place of the fixture.
pub(crate) fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command
        .env("HOME", env!("CARGO_TARGET_TMPDIR"))
        .env_remove("XDG_CACHE_HOME")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

pub(crate) fn program() -> Command {
    command(env!("CARGO_BIN_EXE_flatness"))
}

/// Exit code, standard output and standard error; a process that a signal has killed has the code -1.
pub(crate) fn ended(child: Child) -> (i32, String, String) {
    let output = child.wait_with_output().expect("the binary ends");
    let Output {
        status,
        stdout,
        stderr,
    } = output;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (status.code().unwrap_or(-1), text(&stdout), text(&stderr))
}

/// What the program does with the arguments in `line`, separated by blanks.
pub(crate) fn flatness(line: &str) -> (i32, String, String) {
    let child = program().args(line.split_whitespace()).spawn();
    ended(child.expect("the binary starts"))
}

/// Asserts that the arguments in `line` are refused in one sentence with all that is `expected`; it.
#[track_caller]
pub(crate) fn refused(line: &str, expected: &[&str]) -> String {
    let (code, output, error) = flatness(line);
    assert_eq!((code, output.as_str()), (2, ""), "{line}: {error}");
    // Data that nobody has published come with a warning before.
    let warned = error.split_once('\n');
    let error = match warned.filter(|(first, _)| first.starts_with("warning: the examples of")) {
        Some((_, rest)) => rest,
        None => &error,
    };
    let sentence = error.lines().next().unwrap_or_default();
    assert!(sentence.starts_with("error: "), "{line}: {error}");
    for expected in expected {
        let place = sentence.find(expected);
        assert!(place.is_some(), "{line}: expected `{expected}` in: {error}");
    }
    // What the parser of the command line refuses ends with the choices and a pointer to the help.
    let known = ["", "For more information, try '--help'."];
    let parsers = ["  [possible values: ", "Usage: ", "  --"];
    let extra =
        |line: &&str| !known.contains(line) && !parsers.iter().any(|start| line.starts_with(start));
    let rest: Vec<&str> = error.lines().skip(1).filter(extra).collect();
    assert!(rest.is_empty(), "{line}: {error}");
    sentence.to_owned()
}

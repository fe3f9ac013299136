//! What shells and `man` are told.

use tempfile::tempdir;

use crate::common::{flatness, refused};

#[test]
fn completions_know_the_commands_and_their_options() {
    for (shell, start) in [
        ("bash", "_flatness()"),
        ("zsh", "#compdef flatness"),
        ("fish", ""),
    ] {
        let (code, script, error) = flatness(&format!("completions {shell}"));
        assert_eq!((code, error.as_str()), (0, ""));
        assert!(script.starts_with(start), "{script}");
        for word in ["measure", "data-set"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    let (code, _, error) = flatness("completions csh");
    assert!(code == 2 && error.contains("csh"), "{error}");
}

#[test]
fn every_command_has_a_manual_page() {
    let directory = tempdir().expect("a temporary directory");
    let pages = directory.path().join("man1");
    let (code, output, error) = flatness(&format!("man {}", pages.display()));
    assert_eq!((code, output.as_str(), error.as_str()), (0, "", ""));
    let read = |page: &str| std::fs::read_to_string(pages.join(page)).expect(page);
    let whole = read("flatness.1");
    for page in [
        "flatness-train.1",
        "flatness-measure.1",
        "flatness-data-fetch.1",
    ] {
        let named = page.replace(".1", "(1)").replace('-', "\\-");
        assert!(
            page.contains("data") || whole.contains(&named),
            "{page} is not in {whole}"
        );
        assert!(read(page).contains(".SH SYNOPSIS"));
    }
    // Where a file is in the place of the directory.
    let file = pages.join("flatness.1");
    refused(
        &format!("man {}", file.display()),
        &["cannot write", "flatness.1"],
    );
}

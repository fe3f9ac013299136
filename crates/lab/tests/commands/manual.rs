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

/// Each group of options is there once, under its name, and the flag for help is in the last one.
#[test]
fn options_stand_under_their_headings_and_footers_are_whole_sentences() {
    let computing = "Computing,Output";
    for (command, groups, members) in [
        (
            "train",
            "Network,Training,Data,Run",
            "Run: --runs --save-every --until-eof --log-level",
        ),
        ("run", "Run,Data", "Data: --data"),
        (
            "measure",
            "Network,Data,Measures,Matrix,Accuracy and cost",
            "Network: --entry --rename --model",
        ),
        (
            "product",
            "Network,Data,Product",
            "Product: --matrix --batch-norm --vectors --repeat",
        ),
    ] {
        let (code, help, error) = flatness(&format!("{command} --help"));
        assert_eq!((code, error.as_str()), (0, ""), "{command}");
        let mut found = Vec::new();
        for line in help.lines().map(str::trim_end) {
            match line.strip_suffix(':') {
                Some(heading) if !line.starts_with(' ') => found.push((heading, String::new())),
                _ if line.trim_start().starts_with('-') => {
                    if let Some((_, options)) = found.last_mut() {
                        *options += line.trim_start();
                        options.push(' ');
                    }
                }
                _ => {}
            }
        }
        found.retain(|(heading, _)| *heading != "Arguments");
        let mut names: Vec<&str> = found.iter().map(|(heading, _)| *heading).collect();
        let mut expected: Vec<&str> = groups.split(',').chain(computing.split(',')).collect();
        expected.sort_unstable();
        let last = found.last().expect("a group");
        let ends = last.0 == "Output" && last.1.contains("-h, --help");
        assert!(ends, "{command}: {found:?}");
        names.sort_unstable();
        assert_eq!(names, expected, "{command}");
        let (heading, options) = members.split_once(": ").expect("a heading");
        let group = found.iter().find(|(name, _)| *name == heading);
        let (_, group) = group.expect("it is there");
        for option in options.split(' ') {
            assert!(
                group.contains(option),
                "{command}: {option} is not in {group}"
            );
        }
    }
    let (_, help, _) = flatness("measure --help");
    let footer = help
        .split("What can be measured: ")
        .nth(1)
        .expect("a footer");
    let (names, page) = footer.split_once("\n\n").expect("two paragraphs");
    assert!(names.ends_with("rescaling=ALPHA:..."), "{names}");
    let lines: Vec<&str> = page.trim_end().lines().collect();
    let (last, others) = lines.split_last().expect("a sentence");
    assert!(last.ends_with("the same words."), "{page}");
    // Only the width of the page breaks a line.
    assert!(others.iter().all(|line| line.len() > 80), "{page}");
}

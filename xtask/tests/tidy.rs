//! Rules that the compiler does not check: edges between crates, heads of files, marks left open.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Each crate with those of the workspace that it may depend on, without `flatness-`; an edge not drawn in
/// `docs/ARCHITECTURE.md` is forbidden. Edges for tests alone are free.
const EDGES: &str = "
operator   <-
kernels    <-
formats    <-
data       <- formats kernels
optim      <- kernels
records    <-
fixtures   <-
spectrum   <- kernels operator
layers     <- kernels
models     <- formats layers
onnx       <- formats layers
curvature  <- data kernels layers operator
measures   <- curvature kernels layers operator
engine     <- curvature data kernels layers measures operator records spectrum
report     <- records
testkit    <- data kernels layers operator
lab        <- curvature data engine fixtures kernels layers measures models onnx operator optim records report spectrum
xtask      <- records report
";

/// Measures any of them and is used by none.
const BENCHES: &str = "benches";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Name of a package, or of a dependency, without that of the workspace.
fn name(package: &Value) -> String {
    text(&package["name"]).replace("flatness-", "")
}

/// The packages of the workspace as `cargo metadata` describes them, by name.
fn packages() -> BTreeMap<String, Value> {
    let output = Command::new(env!("CARGO"))
        .args("metadata --no-deps --offline --format-version 1".split(' '))
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("metadata is JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let named = packages
        .iter()
        .map(|package| (name(package), package.clone()));
    named.collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Names of what a package needs to be built: normal and build dependencies.
fn dependencies(package: &Value) -> Vec<String> {
    let all = package["dependencies"]
        .as_array()
        .expect("a package lists its dependencies");
    let built = all.iter().filter(|dependency| dependency["kind"] != "dev");
    built.map(name).collect()
}

#[test]
fn no_edge_between_crates_is_forbidden() {
    let packages = packages();
    let rows = EDGES.lines().filter_map(|row| row.split_once("<-"));
    let row = |(name, edges): (&'static str, &'static str)| {
        (name.trim(), edges.split_whitespace().collect())
    };
    let allowed: BTreeMap<&str, Vec<&str>> = rows.map(row).collect();
    let mut wrong = Vec::new();
    for (name, package) in &packages {
        if name == BENCHES {
            continue;
        }
        let Some(edges) = allowed.get(name.as_str()) else {
            wrong.push(format!("{name} is not in the table"));
            continue;
        };
        for dependency in dependencies(package) {
            if packages.contains_key(&dependency) && !edges.contains(&dependency.as_str()) {
                wrong.push(format!("{name} -> {dependency}"));
            }
        }
    }
    assert!(wrong.is_empty(), "forbidden: {wrong:?}");
}

#[test]
fn xtask_does_not_link_candle() {
    let packages = packages();
    let mut reached = BTreeSet::from(["xtask".to_owned()]);
    let mut open = vec!["xtask".to_owned()];
    while let Some(name) = open.pop() {
        for dependency in packages.get(&name).map(dependencies).unwrap_or_default() {
            if reached.insert(dependency.clone()) {
                open.push(dependency);
            }
        }
    }
    assert!(
        reached.contains("records"),
        "the walk has begun: {reached:?}"
    );
    let candle: Vec<&String> = reached
        .iter()
        .filter(|name| name.starts_with("candle"))
        .collect();
    assert!(candle.is_empty(), "xtask reaches {candle:?}");
}

/// What a package takes along, and for a library the example that its first page shows.
#[test]
fn every_crate_says_what_it_is_how_it_is_used_and_under_which_licence() {
    for (name, package) in packages() {
        // The fixture adds the licence of its images.
        assert!(
            text(&package["license"]).contains("MIT OR Apache-2.0"),
            "{name}: licence"
        );
        if !package["publish"].is_null() {
            continue;
        }
        let description = text(&package["description"]);
        assert!(!description.is_empty(), "{name}: description");
        let manifest = PathBuf::from(text(&package["manifest_path"]));
        let directory = manifest.parent().expect("a manifest lies in a directory");
        let read = |file: &str| std::fs::read_to_string(directory.join(file)).unwrap_or_default();
        for file in ["README.md", "LICENSE-MIT", "LICENSE-APACHE"] {
            assert!(!read(file).is_empty(), "{name}: {file}");
        }
        let page = read("src/lib.rs");
        if name != "fixtures" && !page.is_empty() {
            let shown = page.split("include_str!(\"../examples/").nth(1);
            let shown = shown
                .and_then(|rest| rest.split('"').next())
                .unwrap_or_default();
            assert!(
                directory.join("examples").join(shown).is_file(),
                "{name}: example"
            );
            assert!(read("README.md").contains(shown), "{name}: README");
        }
    }
}

/// A licence that offers none of these terms asks for more than the texts that every package has.
#[test]
fn what_the_program_links_under_other_terms_is_in_its_notices() {
    let output = Command::new(env!("CARGO"))
        .args("tree -p flatness-lab -e normal --prefix none --offline -f".split(' '))
        .arg("{p}|{l}")
        .current_dir(root())
        .output()
        .expect("cargo runs");
    let tree = String::from_utf8(output.stdout).expect("names are UTF-8");
    let notices = root().join("crates/lab/NOTICE.md");
    let notices = std::fs::read_to_string(notices).expect("the notices are there");
    let mut missing = BTreeSet::new();
    for (package, terms) in tree.lines().filter_map(|line| line.split_once('|')) {
        // `cargo tree` marks with a star what it has shown before.
        let terms = terms.trim_end_matches(" (*)").replace('/', " OR ");
        let mut choices = terms.split(" OR ").map(str::trim);
        let plain = ["MIT", "Apache-2.0", "MIT-0", "Unlicense"];
        let name = package.split(' ').next().unwrap_or_default();
        if !choices.any(|choice| plain.contains(&choice)) && !notices.contains(&format!("`{name}`"))
        {
            missing.insert(format!("{name} ({terms})"));
        }
    }
    assert!(tree.lines().count() > 100, "the tree is there: {tree}");
    assert!(missing.is_empty(), "not in the notices: {missing:?}");
}

/// Every Rust file of the workspace, without what cargo makes.
fn sources() -> Vec<(PathBuf, String)> {
    let mut open: Vec<PathBuf> = ["crates", "xtask", "benches", "fixtures"]
        .map(|name| root().join(name))
        .to_vec();
    let mut sources = Vec::new();
    while let Some(directory) = open.pop() {
        let Ok(entries) = std::fs::read_dir(&directory) else {
            continue;
        };
        for entry in entries {
            let path = entry.expect("a directory can be read").path();
            if path.is_dir() && !path.ends_with("target") {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let source = std::fs::read_to_string(&path).expect("a source is UTF-8");
                sources.push((path, source));
            }
        }
    }
    assert!(sources.len() > 10, "the walk has found the sources");
    sources
}

#[test]
fn every_source_file_opens_by_saying_what_it_is() {
    let silent: Vec<PathBuf> = sources()
        .into_iter()
        .filter(|(_, source)| !source.starts_with("//!"))
        .map(|(path, _)| path)
        .collect();
    assert!(silent.is_empty(), "without a `//!` head: {silent:?}");
}

#[test]
fn no_mark_is_left_open() {
    // In two parts each, so that this file does not find itself.
    let marks = [
        ("TO", "DO"),
        ("FIX", "ME"),
        ("XX", "X"),
        ("to", "do!"),
        ("unimple", "mented!"),
        ("#[ig", "nore"),
        ("db", "g!("),
    ]
    .map(|(start, end)| format!("{start}{end}"));
    let mut open = Vec::new();
    for (path, source) in sources() {
        for (number, line) in (1..).zip(source.lines()) {
            if let Some(mark) = marks.iter().find(|mark| line.contains(mark.as_str())) {
                open.push(format!("{}:{number}: {mark}", path.display()));
            }
        }
    }
    assert!(open.is_empty(), "marks left open: {open:#?}");
}

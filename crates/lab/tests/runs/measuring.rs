//! A run that ends while it measures what it has trained goes on behind the last product.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::Duration;

use serde_json::Value;

use crate::common::ended;
use crate::program::{Finished, MLP, Place, kill, lives, names, record};

/// Bytes of the product of one vector, of 9,960 doubles.
const PRODUCT: u64 = 79_680;

/// Vectors of the largest block, which a kill may tear.
const BLOCK: u64 = 8;

/// Two measurements at the end, of hundreds of products of two matrices each.
fn spec() -> String {
    let spec = MLP.replace("epochs = 24", "epochs = 2");
    let average = "average = { kind = \"uniform\", from_epoch = 0, every = \"epoch\" }\n[measure]";
    let spec = spec.replace("[measure]", average);
    let spec = spec.replace("epochs = [0, 3, 20]", "epochs = [0]\nrelative_error = 1e-9");
    let spec = spec.replace(
        "budget = 12",
        "budget = 200\nmatrices = [\"hessian\", \"gauss-newton\"]",
    );
    spec.replace("search = 4", "search = 20")
}

/// The journals of the end in the directory of the only run, and the products in them all.
fn journals(place: &Place) -> (Vec<PathBuf>, u64) {
    let directory = place.run_directory("runs");
    let journals = names(&directory).into_iter();
    let journals = journals.filter(|name| name.starts_with("products-2-"));
    let journals: Vec<PathBuf> = journals.map(|name| directory.join(name)).collect();
    let length = |path: &PathBuf| fs::metadata(path).map_or(0, |file| file.len());
    let products = journals.iter().map(|path| length(path) / PRODUCT).sum();
    (journals, products)
}

/// Lines of the measurements that are written down.
fn lines(directory: &Path) -> Vec<Value> {
    let text = fs::read_to_string(directory.join("measurements.jsonl")).unwrap_or_default();
    let lines = text.lines().filter(|line| line.ends_with('}'));
    lines
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

/// Products at least that it is ended behind.
const PRODUCTS: u64 = 30;

/// Waits until the end is measured, with other journals than those `before`; whether it came to that.
fn wait_for(place: &Place, child: &mut Child, before: &[PathBuf]) -> bool {
    place.wait_for("runs", "metrics.jsonl");
    while lives(child) {
        let (there, products) = journals(place);
        if products >= PRODUCTS && there.iter().all(|journal| !before.contains(journal)) {
            return true;
        }
        sleep(Duration::from_millis(2));
    }
    false
}

/// Products that the program says it has found, in each journal.
fn found(said: &str) -> Vec<u64> {
    let lines = said
        .lines()
        .filter(|line| line.contains(" products are in "));
    let counts = lines.map(|line| line.split(' ').next().and_then(|count| count.parse().ok()));
    counts.map(|count| count.expect("a number")).collect()
}

#[test]
fn a_run_that_ends_in_a_measurement_goes_on_behind_the_last_product() {
    let place = Place::new(&spec());
    let whole = place.finish("whole");
    let directory = || place.run_directory("runs");
    let is_found = |said: &str, there: u64| {
        let found: u64 = found(said).iter().sum();
        found <= there && there <= found + BLOCK
    };
    // In the measurement of the last iterate.
    let mut child = place.start("runs", &[]);
    assert!(wait_for(&place, &mut child, &[]), "it was too short");
    kill(child);
    let (before, there) = journals(&place);
    // In that of the average.
    let mut child = place.start("runs", &[]);
    assert!(wait_for(&place, &mut child, &before), "it was too short");
    let pid = child.id().to_string();
    let sent = Command::new("kill").args(["-TERM", &pid]).status();
    assert!(sent.expect("kill runs").success());
    let (code, _, said) = ended(child);
    assert!(
        code == 143 && is_found(&said, there),
        "{code}, {there}: {said}"
    );
    let (_, there) = journals(&place);
    let measured = lines(&directory());
    let (code, said) = place.run("runs", &[]);
    assert!(
        code == 0 && is_found(&said, there),
        "{code}, {there}: {said}"
    );
    assert_eq!(Finished::read(&directory()), whole);
    // What was written down was not measured again.
    let recorded = &record(&directory())["measurements"];
    assert_eq!(measured.len(), 2);
    for (at, line) in measured.iter().enumerate() {
        assert_eq!(recorded[at]["seconds"], line["seconds"]);
    }
}

#[test]
fn a_journal_that_is_damaged_or_of_other_vectors_is_removed() {
    let place = Place::new(&spec());
    let whole = place.finish("whole");
    let mut child = place.start("runs", &["--quiet"]);
    assert!(wait_for(&place, &mut child, &[]), "the run was too short");
    kill(child);
    let (journals, _) = journals(&place);
    let mut bytes = fs::read(&journals[0]).expect("a journal");
    bytes[25] ^= 1;
    fs::write(&journals[0], bytes).expect("writable");
    let (code, said) = place.run("runs", &["--quiet"]);
    assert_eq!(code, 0, "{said}");
    let expected = "warning: cannot go on from the journal ";
    assert!(
        said.starts_with(expected) && said.ends_with("; it is removed\n"),
        "{said}"
    );
    assert_eq!(Finished::read(&place.run_directory("runs")), whole);
}

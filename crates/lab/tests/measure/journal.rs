//! `--journal`: a measurement killed at any moment, and started again, prints the same bits.

use std::fs;
use std::path::Path;
use std::process::Child;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::common::ended;
use crate::program::Place;

/// Moments at which it is killed.
const KILLS: u32 = 8;

/// Bytes of the product of one vector, of 9,960 doubles.
const PRODUCT: u64 = 79_680;

const OPTIONS: &str = "--examples 100 --threads 2 --what top=3,bottom,trace,frobenius,rank --budget 200 --steps 15 --json";

fn kill(mut child: Child) {
    child.kill().expect("the child is ours");
    child.wait().expect("the child is ours");
}

fn length(journal: &Path) -> u64 {
    fs::metadata(journal).map_or(0, |file| file.len())
}

/// Kills `flatness measure` with these options once its journal holds more than `bytes`.
fn killed_beyond(place: &Place, line: &str, journal: &Path, bytes: u64) {
    let child = place.start(line);
    let started = Instant::now();
    while length(journal) <= bytes {
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "it does not grow"
        );
        sleep(Duration::from_millis(1));
    }
    kill(child);
}

#[test]
fn a_killed_measurement_goes_on_to_the_same_bits() {
    let place = Place::new("mlp");
    let started = Instant::now();
    let whole = place.table(OPTIONS);
    let duration = started.elapsed();
    let journal = place.path("journal");
    let line = format!("{OPTIONS} --journal {}", journal.display());
    let (mut random, mut midway) = (12_345_u64, 0);
    for attempt in 0..KILLS {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let share = (random >> 33) as f64 / f64::from(1u32 << 31);
        let before = length(&journal);
        let mut child = place.start(&line);
        let is_running = |child: &mut Child| child.try_wait().expect("the child is ours").is_none();
        if attempt % 2 == 0 {
            sleep(duration.mul_f64(0.7 * share) + Duration::from_millis(1));
        } else {
            // Once up to twenty products more are on record, or it is done.
            let beyond = before + (share * 20.0 * PRODUCT as f64) as u64;
            while length(&journal) <= beyond && is_running(&mut child) {
                sleep(Duration::from_millis(1));
            }
        }
        midway += u32::from(is_running(&mut child) && length(&journal) > PRODUCT);
        kill(child);
    }
    assert!(midway > 0, "no kill came between two products");
    assert_eq!(place.table(&line), whole);
    assert!(!journal.exists());
}

/// A sketch of a diagonal, and one group after another.
#[test]
fn diagonals_groups_and_matrices_go_on_to_the_same_bits() {
    for (model, options, files, (file, bytes)) in [
        (
            "logistic",
            "--examples 200 --threads 1 --what diagonal --relative-error 0.2 --budget 300",
            &["journal"][..],
            // Forty vectors of 7,850 doubles: beyond the first probes.
            ("journal", 40 * 62_800),
        ),
        (
            "mlp",
            "--examples 100 --threads 2 --what top,trace --budget 150 --each layer",
            &["journal.1", "journal.2", "journal.3"],
            // A product of the second group is of 1,100 doubles.
            ("journal.2", 3 * 8800),
        ),
        (
            "logistic",
            "--examples 200 --threads 2 --what top,trace --budget 150 --matrices gauss-newton,hessian",
            &["journal.1", "journal.2"],
            ("journal.2", 3 * 62_800),
        ),
    ] {
        let place = Place::new(model);
        let whole = place.text(options);
        let journal = place.path("journal").display().to_string();
        let line = format!("{options} --json --journal {journal}");
        killed_beyond(&place, &line, &place.path(file), bytes);
        for name in files.iter().take_while(|name| **name <= file) {
            assert!(place.path(name).exists(), "{options}: {name}");
        }
        assert_eq!(place.table(&line), whole, "{options}");
        for name in files {
            assert!(!place.path(name).exists(), "{options}: {name}");
        }
    }
}

#[test]
fn the_journal_of_another_measurement_is_refused_and_kept() {
    let place = Place::new("mlp");
    let journal = place.path("journal");
    let line = format!("{OPTIONS} --journal {}", journal.display());
    killed_beyond(&place, &line, &journal, PRODUCT);
    let bytes = fs::read(&journal).expect("it is there");
    let name = journal.display().to_string();
    for other in [
        "--matrices gauss-newton",
        "--seed 1",
        "--l2 0.5",
        "--parameters fc0.*",
        "--split test",
        "--batch-size 50",
        "--dtype f32",
        "--mean 0.1 --deviation 0.3",
    ] {
        let line = format!("{line} {other}");
        place.refused(&line, &["belongs to another measurement", &name]);
        assert_eq!(fs::read(&journal).expect("it is there"), bytes, "{other}");
    }
    // One that is no journal at all is not written over either.
    let notes = place.path("notes.txt");
    fs::write(&notes, "not a journal").expect("writable");
    let line = format!("{OPTIONS} --journal {}", notes.display());
    place.refused(&line, &["is no journal"]);
    assert_eq!(fs::read(&notes).expect("it is there"), b"not a journal");
}

/// What comes after the products fails: their journal stays, and the next try reads them.
#[test]
fn the_journal_stays_where_the_result_cannot_be_written() {
    let place = Place::new("logistic");
    let journal = place.path("journal");
    let out = place.path("out");
    let line = "--examples 6 --threads 1 --what top,density --steps 10 --budget 80 --json";
    let whole = place.table(line);
    let journalled = format!("{line} --journal {}", journal.display());
    // A directory is where a picture would be.
    fs::create_dir_all(out.join("density.svg")).expect("writable");
    let failing = format!("{journalled} --out {}", out.display());
    let mut before = Vec::new();
    for attempt in 0..2 {
        let (code, output, error) = ended(place.start(&failing));
        // The numbers are out all the same.
        assert_eq!((code, output.as_str()), (2, whole.as_str()), "{error}");
        let kept = fs::read(&journal).expect("it is there");
        // A product of the logistic regression is of 7,850 doubles.
        assert!(kept.len() > 40 * 7850 * 8, "{}, {error}", kept.len());
        assert!(attempt == 0 || kept == before, "{error}");
        before = kept;
    }
    assert_eq!(place.table(&journalled), whole);
    assert!(!journal.exists());
}

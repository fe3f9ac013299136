//! `--journal`: a measurement killed at any moment, and started again, prints the same bits.

use std::fs;
use std::path::Path;
use std::process::Child;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::program::{Place, ended};

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

/// Waits until the journal holds more than `bytes`.
fn wait_beyond(journal: &Path, bytes: u64) {
    let started = Instant::now();
    while length(journal) <= bytes {
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "it does not grow"
        );
        sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_killed_measurement_goes_on_to_the_same_bits() {
    let place = Place::new("mlp");
    let started = Instant::now();
    let (code, whole, error) = ended(place.start(OPTIONS));
    assert_eq!((code, error.as_str()), (0, ""));
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
        if attempt % 2 == 0 {
            sleep(duration.mul_f64(0.7 * share) + Duration::from_millis(1));
        } else {
            // Once up to twenty products more are on record, or it is done.
            let beyond = before + (share * 20.0 * PRODUCT as f64) as u64;
            while length(&journal) <= beyond
                && child.try_wait().expect("the child is ours").is_none()
            {
                sleep(Duration::from_millis(1));
            }
        }
        if child.try_wait().expect("the child is ours").is_none() {
            midway += u32::from(length(&journal) > PRODUCT);
        }
        kill(child);
    }
    assert!(midway > 0, "no kill came between two products");
    let (code, resumed, error) = ended(place.start(&line));
    assert_eq!((code, error.as_str()), (0, ""));
    assert_eq!(resumed, whole);
    assert!(!journal.exists());
}

/// Half of a record at the end, as a kill in the middle of a write leaves it.
#[test]
fn a_torn_record_is_made_again() {
    let place = Place::new("mlp");
    let (_, whole, _) = ended(place.start(OPTIONS));
    let journal = place.path("journal");
    let line = format!("{OPTIONS} --journal {}", journal.display());
    let child = place.start(&line);
    wait_beyond(&journal, 5 * PRODUCT);
    kill(child);
    let bytes = fs::read(&journal).expect("it is there");
    fs::write(&journal, &bytes[..bytes.len() - 40_001]).expect("writable");
    let said = place.command(&line).output().expect("the binary runs");
    assert_eq!(String::from_utf8_lossy(&said.stdout), whole);
    assert!(!journal.exists());
}

#[test]
fn the_journal_of_another_measurement_is_refused_and_kept() {
    let place = Place::new("mlp");
    let journal = place.path("journal");
    let line = format!("{OPTIONS} --journal {}", journal.display());
    let child = place.start(&line);
    wait_beyond(&journal, PRODUCT);
    kill(child);
    let bytes = fs::read(&journal).expect("it is there");
    for other in [
        "--matrix gauss-newton",
        "--seed 1",
        "--l2 0.5",
        "--parameters fc0.*",
        "--split test",
        "--batch-size 50",
        "--dtype f32",
    ] {
        let (code, output, error) = ended(place.start(&format!("{line} {other}")));
        assert_eq!((code, output.as_str()), (2, ""), "{other}: {error}");
        assert!(
            error.contains("belongs to another measurement"),
            "{other}: {error}"
        );
        assert!(
            error.contains(&journal.display().to_string()),
            "{other}: {error}"
        );
        assert_eq!(error.trim_end().lines().count(), 1, "{other}: {error}");
        assert_eq!(fs::read(&journal).expect("it is there"), bytes, "{other}");
    }
    // One that is no journal at all is not written over either.
    let notes = place.path("notes.txt");
    fs::write(&notes, "not a journal").expect("writable");
    let (code, _, error) = ended(place.start(&format!("{OPTIONS} --journal {}", notes.display())));
    assert_eq!(code, 2);
    assert!(error.contains("is no journal"), "{error}");
    assert_eq!(fs::read(&notes).expect("it is there"), b"not a journal");
}

/// What comes after the products fails: their journal stays, and the next try reads them.
#[test]
fn the_journal_stays_where_a_later_measure_fails() {
    let place = Place::new("logistic");
    let journal = place.path("journal");
    let notes = place.path("notes.txt");
    fs::write(&notes, "no directory").expect("writable");
    let line = "--examples 6 --threads 1 --what top,trace --budget 80 --json";
    let (_, whole, _) = ended(place.start(line));
    let journalled = format!("{line} --journal {}", journal.display());
    for failing in [
        // A file is where the directory of the pictures would be.
        format!("{journalled} --out {}", notes.display()),
        // No noise raises the loss of a few examples by so much.
        format!("{journalled} --what top,trace,pac-bayes=1e300"),
    ] {
        let (code, output, error) = ended(place.start(&failing));
        assert_eq!((code, output.as_str()), (2, ""), "{failing}: {error}");
        let kept = length(&journal);
        // A product of the logistic regression is of 7,850 doubles.
        assert!(kept > 40 * 7850 * 8, "{failing}: {kept}, {error}");
        let before = fs::read(&journal).expect("it is there");
        let (code, _, _) = ended(place.start(&failing));
        assert_eq!(code, 2);
        assert_eq!(
            fs::read(&journal).expect("it is there"),
            before,
            "{failing}"
        );
    }
    let (code, resumed, error) = ended(place.start(&journalled));
    assert_eq!((code, error.as_str()), (0, ""));
    assert_eq!(resumed, whole);
    assert!(!journal.exists());
}

//! Groups of parameters, memory and journals: what must not change a number.

use std::cell::Cell;

use flatness_engine::{JournalFile, Resources, plan};
use flatness_records::Measured;

use crate::oracle::{Place, check, eigenvalues, number, request};

const WHAT: &str = "top,bottom,trace,frobenius,rank=0.1";

#[test]
fn each_group_is_its_diagonal_block_and_what_it_is_alone() {
    let place = Place::new();
    let mut request = request(WHAT);
    request.each = vec!["layer".to_owned()];
    let measured = place.measure(&request);
    let hessian = place.hessian();
    let layers = place.problem.layers();
    assert_eq!(measured.matrices.len(), layers.len());
    for (record, (layer, range)) in measured.matrices.iter().zip(layers) {
        let (start, rows) = (range.start, range.len());
        let (group, size) = (record.group.as_deref(), record.rows);
        assert_eq!((group, size), (Some(layer), Some(rows)));
        let exact = eigenvalues(&hessian.view((start, start), (rows, rows)).into_owned());
        for (name, truth) in [
            ("lambda_max", exact[0]),
            ("lambda_min", exact[rows - 1]),
            ("trace", exact.iter().sum()),
        ] {
            check(layer, &record.numbers[name], truth, exact[0]);
        }
        let mut alone = request.clone();
        (alone.each, alone.parameters) = (Vec::new(), vec![format!("{layer}.*")]);
        let alone = place.measure(&alone);
        assert_eq!(alone.matrices[0].numbers, record.numbers, "{layer}");
        assert_eq!(alone.matrices[0].products, record.products, "{layer}");
    }
    // Names without a group are of the whole.
    assert!(measured.number("trace").is_none());
}

/// A vector has 512 bytes; 64 hold what is needed, but not the basis wished for.
#[test]
fn less_memory_makes_a_basis_smaller_and_says_so() {
    let mut place = Place::new();
    let request = request("top,bottom,trace,frobenius");
    let wide = place.measure(&request);
    place.vectors = 64 * 512;
    let plan = plan(&place.subject(), &request, &place.resources()).expect("a plan");
    let [note] = &plan.notes[..] else {
        panic!("{:?}", plan.notes);
    };
    assert!(
        note.contains("vectors, not 44, to fit --vector-memory"),
        "{note}"
    );
    let narrow = place.measure(&request);
    assert!(narrow.matrices[0].basis < wide.matrices[0].basis);
    let truth = eigenvalues(&place.hessian());
    for (name, exact) in [("lambda_max", truth[0]), ("trace", truth.iter().sum())] {
        check(name, number(&narrow, name), exact, truth[0]);
    }
}

/// Killed after so many looks at the limit, a measurement goes on from its journal to the same bits.
#[test]
fn a_journal_goes_on_to_the_same_bits_and_is_removed() {
    let place = Place::new();
    let request = request(WHAT);
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("journal");
    let whole = place.measure(&request);
    let journalled = |looks: u64, identity: &str| {
        let left = Cell::new(looks);
        let interrupt = || {
            left.set(left.get().saturating_sub(1));
            left.get() == 0
        };
        let resources = Resources {
            interrupt: &interrupt,
            journal: Some(JournalFile {
                path: &path,
                identity,
            }),
            ..place.resources()
        };
        place.found_with(&place.subject(), &resources, &request)
    };
    let cut = journalled(12, "data").expect("what there was").measured;
    assert!(cut.cost.products < whole.cost.products);
    assert!(!cut.matrices[0].undefined.is_empty());
    let refusal = journalled(u64::MAX, "other data")
        .expect_err("a refusal")
        .to_string();
    assert!(refusal.contains("another measurement"), "{refusal}");
    let found = journalled(u64::MAX, "data").expect("the rest");
    let numbers = |measured: &Measured| measured.matrices[0].numbers.clone();
    assert_eq!(numbers(&found.measured), numbers(&whole));
    assert_eq!(found.measured.cost, whole.cost);
    found.remove_journals().expect("removed");
    assert!(!path.exists());
}

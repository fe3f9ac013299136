//! `--vector-memory`: less of it changes no number, and too little is refused with what would fit.

use crate::common::flatness;
use crate::program::{Place, all_products, number, quantity};

/// Vectors of 9,960 doubles, of which a mebibyte holds thirteen.
const MODEL: &str = "mlp";

#[test]
fn probes_that_run_one_at_a_time_are_the_same_probes() {
    let place = Place::new(MODEL);
    // Sixteen vectors of the trace, those of the search twice, and three for each product: 27 of the 39 there
    // are. A probe of the quadrature holds 14 + 4 + 4 beside those of the search and a product: 29.
    let line = "--basis 4 --steps 14 --what trace,frobenius,nuclear-norm,count=0.01:100,density";
    let measured = |memory: u32| {
        let options = format!("--examples 60 --threads 1 --budget 600 --vector-memory {memory}");
        place.json(&format!("{line} {options}"))
    };
    let [whole, little] = [64, 3].map(measured);
    for name in ["trace", "frobenius", "nuclear_norm", "count(1e-2:1e2)"] {
        for field in ["value", "standard_error"] {
            let [whole, little] = [&whole, &little].map(|report| number(report, name, field));
            // Products of a block and of one vector differ by rounding, which fourteen steps magnify.
            let away = (whole - little).abs();
            assert!(
                away <= 1e-7 * whole.abs(),
                "{name}, {field}: {whole:e} {little:e}"
            );
        }
        for field in ["cost", "probes", "stop"] {
            let [whole, little] = [&whole, &little].map(|report| &quantity(report, name)[field]);
            assert_eq!(whole, little, "{name}, {field}");
        }
    }
    assert_eq!(all_products(&whole), all_products(&little));
}

#[test]
fn a_lowered_basis_is_said_but_not_with_quiet() {
    let place = Place::new(MODEL);
    let line = "--examples 5 --what top --vector-memory 2";
    // It asserts that nothing is said.
    place.table(line);
    let checkpoint = place.checkpoint();
    let (code, _, said) = flatness(&format!("measure {} {line}", checkpoint.display()));
    assert_eq!(code, 0, "{said}");
    assert!(
        said.contains("vectors, not 43, to fit --vector-memory"),
        "{said}"
    );
}

#[test]
fn what_does_not_fit_is_refused_with_what_would() {
    let place = Place::new(MODEL);
    let refused = |line: &str, expected: &[&str]| {
        place.refused(&format!("--examples 5 --threads 1 {line}"), expected)
    };
    for (line, option, most, memory) in [
        ("--what rank --steps ", "--steps ", 60, 2),
        ("--what top --basis ", "--basis ", 60, 2),
        ("--what diagonal=", "--what diagonal=", 32, 3),
    ] {
        let of = |count: usize| format!("{line}{count} --vector-memory {memory}");
        let allows = format!("MiB of vectors at least, but --vector-memory allows {memory} MiB");
        let error = refused(&of(most), &[&allows, "give more", "which fits"]);
        let fits = error.split(&format!(", or {option}")).nth(1);
        let fits = fits.and_then(|rest| rest.split(", which").next()?.parse().ok());
        let fits: usize = fits.unwrap_or_else(|| panic!("{line}: {error}"));
        assert!(fits < most, "{line}: {error}");
        place.json(&format!("--examples 5 --threads 1 {}", of(fits)));
        refused(&of(fits + 1), &[]);
    }
    for (line, expected) in [
        ("--what trace", "the trace takes 2 MiB"),
        ("--what top=3", "the search for 3 eigenvalues takes 2 MiB"),
        ("--what adaptive", "--what adaptive takes 4 MiB"),
        (
            "--what trace --each fc0.*,fc1.*",
            "fc0.*: the trace takes 2 MiB",
        ),
    ] {
        refused(&format!("{line} --vector-memory 1"), &[expected]);
    }
    refused("--what top --vector-memory 0", &["allows 0 MiB"]);
    refused(
        "--what top --memory-budget 0",
        &["--memory-budget must be at least", "got 0 MiB"],
    );
}

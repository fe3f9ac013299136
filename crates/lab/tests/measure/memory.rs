//! `--vector-memory`: less of it changes no number, and too little is refused with what would fit.

use serde_json::Value;

use crate::program::{Place, ended, number, value};

/// Vectors of 9,960 doubles, of which a mebibyte holds thirteen.
const MODEL: &str = "mlp";

/// Both of eight probes at a time, and of one.
const ROOMY: &str = "--vector-memory 64";

fn measured(place: &Place, line: &str) -> Value {
    place.json(&format!("--examples 60 --threads 1 --budget 600 {line}"))
}

#[test]
fn probes_that_run_one_at_a_time_are_the_same_probes() {
    let place = Place::new(MODEL);
    // Sixteen vectors of the trace, those of the search twice, and three for each product: 27 of the 39 there
    // are. A probe of the quadrature holds 14 + 4 + 4 beside those of the search and a product: 29.
    let line = "--basis 4 --steps 14 --what trace,frobenius,nuclear-norm,count=0.01:100,density";
    let [whole, little] =
        [ROOMY, "--vector-memory 3"].map(|memory| measured(&place, &format!("{line} {memory}")));
    for name in ["trace", "frobenius", "nuclear_norm", "count(1e-2:1e2)"] {
        for field in ["value", "standard_error"] {
            let [whole, little] = [&whole, &little].map(|report| number(report, name, field));
            // Products of a block and of one vector differ by rounding, which fourteen steps magnify.
            assert!(
                (whole - little).abs() <= 1e-7 * whole.abs(),
                "{name}, {field}: {whole:e} {little:e}"
            );
        }
        for field in ["products", "probes", "stop"] {
            assert_eq!(whole[name][field], little[name][field], "{name}, {field}");
        }
    }
    assert_eq!(whole["products"], little["products"]);
}

#[test]
fn a_smaller_basis_finds_the_same_eigenvalues() {
    let place = Place::new(MODEL);
    let line = "--what top=3,bottom --tolerance 1e-6";
    // 6 + 40 vectors by default; the least takes 6 + 4 + 3 * 4 and a product, and 2 MiB hold one more.
    let [whole, little] =
        [ROOMY, "--vector-memory 2"].map(|memory| measured(&place, &format!("{line} {memory}")));
    assert_eq!(whole["basis"], 46);
    let basis = little["basis"].as_u64().expect("a number");
    assert!((6..=8).contains(&basis), "{basis}");
    for name in ["lambda_max", "lambda_max_2", "lambda_max_3", "lambda_min"] {
        let allowed = number(&whole, name, "residual") + number(&little, name, "residual");
        let away = (value(&whole, name) - value(&little, name)).abs();
        assert!(away <= allowed, "{name}: {away:e} {allowed:e}");
        assert_eq!(little[name]["stop"], "as accurate as asked", "{name}");
    }
    assert!(little["products"].as_u64() > whole["products"].as_u64());
}

#[test]
fn a_lowered_basis_is_said() {
    let place = Place::new(MODEL);
    let line = "--examples 5 --what top --vector-memory 2";
    let mut command = place.command(line);
    let said = |command: &mut std::process::Command| {
        let (code, _, error) = ended(command.spawn().expect("the binary starts"));
        assert_eq!(code, 0, "{error}");
        error
    };
    assert_eq!(said(&mut command), "");
    let mut loud = crate::program::program();
    loud.arg("measure").arg(place.checkpoint());
    let said = said(loud.args(line.split_whitespace()));
    assert!(
        said.contains("vectors, not 43, to fit --vector-memory"),
        "{said}"
    );
}

/// The sentence of a measurement that does not fit.
fn refused(place: &Place, line: &str) -> String {
    let line = format!("--examples 5 --threads 1 {line}");
    let (code, output, error) = ended(place.start(&line));
    assert_eq!((code, output.as_str()), (2, ""), "{line}: {error}");
    assert_eq!(error.trim_end().lines().count(), 1, "{line}: {error}");
    error
}

#[test]
fn what_does_not_fit_is_refused_with_what_would() {
    let place = Place::new(MODEL);
    for (line, option, most, memory) in [
        ("--what rank --steps 60", "--steps", 60, 2),
        ("--what top --basis 60", "--basis", 60, 2),
        ("--what diagonal=32", "--what diagonal", 32, 3),
    ] {
        let error = refused(&place, &format!("{line} --vector-memory {memory}"));
        let allows = format!("MiB of vectors at least, but --vector-memory allows {memory} MiB");
        for expected in [allows.as_str(), "give more", "which fits"] {
            assert!(error.contains(expected), "{line}: {error}");
        }
        let fits = error.split(&format!(", or {option}")).nth(1);
        let fits = fits.unwrap_or_else(|| panic!("{line}: {error}"));
        let fits: usize = fits[1..fits.find(", which").expect("the end")]
            .parse()
            .expect("a number");
        assert!(fits < most, "{line}: {error}");
        let of = |count: usize| {
            let what = line
                .rsplit_once(|end| " =".contains(end))
                .expect("a number")
                .0;
            let equals = if option.contains("diagonal") {
                "="
            } else {
                " "
            };
            format!("{what}{equals}{count} --vector-memory {memory}")
        };
        place.json(&format!("--examples 5 --threads 1 {}", of(fits)));
        refused(&place, &of(fits + 1));
    }
    for (line, expected) in [
        ("--what trace", "the trace takes 2 MiB"),
        ("--what top=3", "the search for 3 eigenvalues takes 2 MiB"),
        ("--what adaptive", "--what adaptive takes 4 MiB"),
        (
            "--what relative-flatness",
            "--what relative-flatness takes 4 MiB",
        ),
        ("--what trace,adaptive,top", "--what adaptive takes"),
        (
            "--what trace --each fc0.*,fc1.*",
            "fc0.*: the trace takes 2 MiB",
        ),
    ] {
        let error = refused(&place, &format!("{line} --vector-memory 1"));
        assert!(error.contains(expected), "{line}: {error}");
    }
    let error = refused(&place, "--what top --vector-memory 0");
    assert!(error.contains("allows 0 MiB"), "{error}");
}

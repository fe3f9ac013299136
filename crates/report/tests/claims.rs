//! Claim files: those of the crate are read, wrong ones are refused with their reason.

use flatness_report::{Claim, Error};

#[test]
fn every_claim_of_the_crate_is_read() {
    let claims = Claim::embedded().unwrap();
    let ids: Vec<&str> = claims.iter().map(|claim| claim.id.as_str()).collect();
    assert_eq!(ids, ["C1", "C2", "C3", "C4", "C5", "C6", "C7", "C8"]);
}

const WHOLE: &str = "id = 'T'\nversion = 1\ntitle = 't'\nstatement = 's'\nsource = 's'\nnote = 'n'\nneeds = 'n'\n[[predicate]]\ntext = 'p'\n\
    experiment = 'e'\nstatistic = { kind = 'log-ratio', quantity = 'trace', treatment = {}, control = {} }\nthreshold = { above = 1.0 }\n";

#[test]
fn what_is_no_claim_is_refused_with_its_reason() {
    assert!(Claim::from_toml(WHOLE, "t").is_ok());
    for (from, to, reason) in [
        (
            "note = 'n'",
            "nota = 'n'",
            "t, line 6: unknown field `nota`",
        ),
        ("'trace'", "'trace +'", "product of powers"),
        (
            "kind = 'log-ratio'",
            "kind = 'ratio'",
            "unknown variant `ratio`",
        ),
        (
            "treatment = {}",
            "treatment = {}, from = 1",
            "unknown field `from`",
        ),
        (
            "threshold = { above = 1.0 }",
            "",
            "predicate must be there with a threshold",
        ),
        (
            "above = 1.0",
            "above = 0.0",
            "positive where it is a factor",
        ),
        ("above = 1.0", "between = [2.0, 1.0]", "ascending"),
        ("above = 1.0", "above = nan", "finite"),
        (
            "version = 1",
            "version = 2",
            "one for each version after the first",
        ),
        (
            "treatment = {}",
            "treatment = { highest = 'a b' }",
            "highest must be a quantity",
        ),
        (
            "[[predicate]]",
            "[[figure]]\nid = 'f'\ntitle = 't'\ncaption = 'c'\nexperiment = 'e'\nplot = { kind = 'seeds', predicates = ['x'] }\n[[predicate]]",
            "ids of predicates, got x",
        ),
        (
            "[[predicate]]",
            "[[gate]]\ntext = 'g'\nexperiment = 'e'\nstatistic = { kind = 'value', quantity = 'dose' }\n[[predicate]]",
            "gate.threshold must be there",
        ),
    ] {
        let error: Error = Claim::from_toml(&WHOLE.replace(from, to), "t").unwrap_err();
        assert!(
            error.to_string().contains(reason),
            "{error} does not say {reason}"
        );
    }
}

//! The claim files as published, and claim files that are wrong.

use flatness_report::{Claim, Error};

const GOOD: &str = r#"
id = "C0"
title = "t"
statement = "s"
note = "n"
[[predicate]]
text = "λ₁ is larger"
experiment = "decay"
statistic = { kind = "paired-log-ratio", quantity = "spectral_norm", treatment = 5e-4, control = 0.0 }
threshold = { above = 0.0 }
"#;

#[test]
fn the_published_claims_are_valid_and_in_order() {
    let claims = Claim::embedded().unwrap();
    let ids: Vec<&str> = claims.iter().map(|claim| claim.id.as_str()).collect();
    assert_eq!(ids, ["C1", "C2", "C3", "C4", "C5", "C6", "C7", "C8"]);
    for claim in &claims {
        for text in [&claim.title, &claim.statement, &claim.note] {
            assert!(!text.is_empty(), "{}", claim.id);
        }
    }
}

#[test]
fn wrong_claims_are_refused_with_their_place() {
    assert!(Claim::from_toml(GOOD, "c0.toml").is_ok());
    for (old, new, expected) in [
        (
            "title = \"t\"",
            "heading = \"t\"",
            "c0.toml, line 3: unknown field `heading`",
        ),
        (
            "control = 0.0",
            "baseline = 0.0",
            "c0.toml, line 9: unknown field `baseline`",
        ),
        (
            "spectral_norm",
            "sharpness",
            "c0.toml, line 9: unknown variant `sharpness`",
        ),
        (
            "paired-log-ratio",
            "ratio",
            "c0.toml, line 9: unknown variant `ratio`",
        ),
        (
            "above = 0.0",
            "over = 0.0",
            "c0.toml, line 10: unknown variant `over`",
        ),
        (
            "above = 0.0",
            "above = nan",
            "c0.toml: predicate.threshold must be finite and ascending, got > NaN; correct the claim",
        ),
        (
            "above = 0.0",
            "between = [1.0, 0.5]",
            "c0.toml: predicate.threshold must be finite and ascending, got 1 to 0.5; correct the claim",
        ),
        (
            "λ₁ is larger",
            "λ₁ is larger with a weight decay of 5e-4 than with 0",
            "c0.toml: predicate.text must be at most 46 characters, got 52 in",
        ),
        (
            "kind = \"paired-log-ratio\", quantity = \"spectral_norm\", treatment = 5e-4, control = 0.0",
            "kind = \"scaling-end-over-peak\", quantity = \"train_loss\"",
            "c0.toml: predicate.statistic.quantity must be spectral_norm, trace or frobenius at a·θ, got TrainLoss",
        ),
    ] {
        let text = GOOD.replace(old, new);
        assert_ne!(text, GOOD, "{old} is in the text");
        let error = Claim::from_toml(&text, "c0.toml").unwrap_err().to_string();
        assert!(
            error.starts_with(expected),
            "{error}\nshould start with\n{expected}"
        );
    }
}

#[test]
fn a_claim_without_predicates_is_refused() {
    let text = GOOD.split("[[predicate]]").next().unwrap().to_owned() + "predicate = []\n";
    let error = Claim::from_toml(&text, "c0.toml").unwrap_err();
    assert!(
        matches!(
            error,
            Error::Field {
                field: "predicate",
                ..
            }
        ),
        "{error}"
    );
}

//! Claim files: those of the crate are read, wrong ones are refused with their reason.

use flatness_report::Claim;

#[test]
fn every_claim_of_the_crate_is_read() {
    let claims = Claim::embedded().unwrap();
    let ids: Vec<&str> = claims.iter().map(|claim| claim.id.as_str()).collect();
    assert_eq!(ids, ["C1", "C2", "C3", "C4", "C5", "C6", "C7", "C8"]);
}

const WHOLE: &str = "id = 'T'\nversion = 1\ntitle = 't'\nstatement = 's'\nsource = 's'\nnote = 'n'\nneeds = 'n'\n[[predicate]]\ntext = 'p'\n\
    experiment = 'e'\nstatistic = { kind = 'log-ratio', quantity = 'trace', treatment = {}, control = {} }\nthreshold = { above = 1.0 }\n";

/// What is replaced in the claim, what comes in its place (`\n` for a new line), and part of the reason of the refusal.
const REFUSED: &str = r"
note = 'n'                  | nota = 'n'                               | t, line 6: unknown field `nota`
'trace'                     | 'trace +'                                | product of powers
kind = 'log-ratio'          | kind = 'ratio'                           | unknown variant `ratio`
treatment = {}              | treatment = {}, from = 1                 | unknown field `from`
threshold = { above = 1.0 } |                                          | predicate must be there with a threshold
above = 1.0                 | above = 0.0                              | positive where it is a factor
above = 1.0                 | between = [2.0, 1.0]                     | ascending
above = 1.0                 | above = nan                              | finite
version = 1                 | version = 2                              | one for each version after the first
treatment = {}              | treatment = { highest = 'a b' }          | highest must be a quantity
[[predicate]]               | [[figure]]\nFIGURE\n[[predicate]]        | ids of predicates, got x
[[predicate]]               | [[gate]]\nGATE\n[[predicate]]            | gate.threshold must be there
";

#[test]
fn what_is_no_claim_is_refused_with_its_reason() {
    assert!(Claim::from_toml(WHOLE, "t").is_ok());
    let refused = REFUSED
        .replace("FIGURE", "id = 'f'\\ntitle = 't'\\ncaption = 'c'\\nexperiments = ['e']\\nplot = { kind = 'seeds', predicates = ['x'] }")
        .replace("GATE", "text = 'g'\\nexperiment = 'e'\\nstatistic = { kind = 'value', quantity = 'dose' }");
    for row in refused.trim().lines() {
        let [from, to, reason] = row.split('|').map(str::trim).collect::<Vec<_>>()[..] else {
            panic!("{row}");
        };
        let text = WHOLE.replace(from, &to.replace("\\n", "\n"));
        assert_ne!(text, WHOLE, "{row}");
        let error = Claim::from_toml(&text, "t").unwrap_err().to_string();
        assert!(error.contains(reason), "{error} does not say {reason}");
    }
}

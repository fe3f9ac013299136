//! Claim files: those of the crate are read, wrong ones are refused with their reason.
use flatness_report::Claim;

#[test]
fn every_claim_of_the_crate_is_read() {
    let claims = Claim::embedded().unwrap();
    let ids: Vec<&str> = claims.iter().map(|claim| claim.id.as_str()).collect();
    assert_eq!(ids, ["C1", "C2", "C3", "C4", "C5", "C6", "C7", "C8"]);
}

//! The verdicts at a glance, a row for each claim that was tried: what the page and the Markdown table both show.

use crate::{Claim, ClaimVerdict, Verdict};

/// A claim with its verdict on every model that it was tried on.
#[derive(Debug, Clone)]
pub(crate) struct Overview<'a> {
    pub(crate) claim: &'a Claim,
    /// In the order of the experiments.
    pub(crate) verdicts: Vec<&'a ClaimVerdict>,
}

impl<'a> Overview<'a> {
    /// A row for each claim that has a verdict, in the order of `claims`.
    pub(crate) fn of(claims: &'a [Claim], verdicts: &'a [ClaimVerdict]) -> Vec<Self> {
        let rows = claims.iter().map(|claim| Self {
            claim,
            verdicts: verdicts
                .iter()
                .filter(|row| row.claim == claim.id)
                .collect(),
        });
        rows.filter(|row| !row.verdicts.is_empty()).collect()
    }

    /// Why the claim fails, where it fails on any model: in the words of the claim, else the predicates that fail.
    pub(crate) fn reason(&self) -> Option<String> {
        let failing = |verdict: &Verdict| *verdict == Verdict::Fails;
        if !self.verdicts.iter().any(|row| failing(&row.verdict)) {
            return None;
        }
        if let Some(reason) = &self.claim.reason {
            return Some(reason.clone());
        }
        let predicates = self.verdicts.iter().flat_map(|row| &row.predicates);
        let mut texts: Vec<String> = predicates
            .filter(|predicate| failing(&predicate.verdict))
            .map(|predicate| format!("“{}”", predicate.text))
            .collect();
        texts.sort();
        texts.dedup();
        Some(format!("It does not hold that {}.", texts.join(", ")))
    }
}

impl ClaimVerdict {
    /// How many predicates hold, out of how many, such as `4 of 5`.
    pub(crate) fn share(&self) -> String {
        let predicates = self.predicates.iter();
        let holding = predicates.filter(|predicate| predicate.verdict == Verdict::Holds);
        format!("{} of {}", holding.count(), self.predicates.len())
    }
}

/// What came out, in a sentence.
pub(crate) fn summary(rows: &[Overview<'_>]) -> String {
    let verdicts = || rows.iter().flat_map(|row| &row.verdicts);
    let count = |verdict| verdicts().filter(|row| row.verdict == verdict).count();
    let mut models: Vec<&str> = verdicts().map(|row| row.model.as_str()).collect();
    models.sort_unstable();
    models.dedup();
    format!(
        "Of {} verdicts ({} claims on {} models), {}, {} and {}.",
        verdicts().count(),
        rows.len(),
        models.len(),
        plural(count(Verdict::Holds), "holds", "hold"),
        plural(count(Verdict::Fails), "fails", "fail"),
        plural(count(Verdict::Undecided), "is undecided", "are undecided"),
    )
}

fn plural(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

//! The verdicts as text for a terminal of 100 columns.

use std::fmt::Write as _;

use crate::number::{MISSING, with_error};
use crate::{Claim, ClaimVerdict};

/// The verdict table as aligned text, at most 100 columns wide, with a final newline.
#[must_use]
pub fn terminal_table(claims: &[Claim], verdicts: &[ClaimVerdict]) -> String {
    let mut text = String::new();
    for claim in claims {
        let mut rows = verdicts
            .iter()
            .filter(|row| row.claim == claim.id)
            .peekable();
        let Some(first) = rows.peek() else { continue };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}  {}", claim.id, claim.title);
        let _ = writeln!(text, "    {}\n", first.command);
        for row in rows {
            let _ = writeln!(text, "  {:<86}{}", row.model, row.verdict);
            for predicate in &row.predicates {
                let value = predicate.estimate.map_or_else(
                    || MISSING.to_owned(),
                    |estimate| with_error(estimate.mean, estimate.standard_error),
                );
                let _ = writeln!(
                    text,
                    "    {:<46} {value:>20}  n={:<2} {:>10}  {}",
                    predicate.text,
                    predicate.estimate.map_or(0, |estimate| estimate.n),
                    predicate.threshold.to_string(),
                    predicate.verdict,
                );
            }
            text.push('\n');
        }
    }
    text
}

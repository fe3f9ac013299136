//! The verdicts as a Markdown table, for a page beside the results.

use crate::overview::{Overview, summary};
use crate::{Claim, ClaimVerdict};

/// A sentence and a table with a row for each claim: the claim in a sentence, its verdict on every model with the
/// number of its predicates that hold, and why it fails where it fails. Ends with a newline.
#[must_use]
pub fn results_markdown(claims: &[Claim], verdicts: &[ClaimVerdict]) -> String {
    let rows = Overview::of(claims, verdicts);
    if rows.is_empty() {
        return "No claim was tried.\n".to_owned();
    }
    let mut text = format!(
        "{} In brackets the predicates that hold.\n\n\
         | claim | verdict on each model | why it fails, where it fails |\n|---|---|---|\n",
        summary(&rows)
    );
    for row in rows {
        let models = row.verdicts.iter().map(|verdict| {
            let word = verdict.verdict.to_string().to_lowercase();
            format!("{} **{word}** ({})", cell(&verdict.model), verdict.share())
        });
        text += &format!(
            "| **{}** {} | {} | {} |\n",
            cell(&row.claim.id),
            cell(&row.claim.statement),
            models.collect::<Vec<_>>().join("<br>"),
            cell(&row.reason().unwrap_or_default()),
        );
    }
    text
}

/// Text that stays inside its cell and is not read as HTML.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
        .replace('<', "&lt;")
        .replace('\n', " ")
}

//! The verdicts: a sentence, the table of claims with the models they were tried on, and the predicates of a claim.

use super::escape::escape;
use super::table::{Align, Cell, Row, table};
use crate::number::{MISSING, percent, with_error};
use crate::overview::{Overview, summary};
use crate::{ClaimVerdict, Verdict};

/// What came out, in a paragraph.
pub(super) fn lead(rows: &[Overview<'_>]) -> String {
    let text = match rows {
        [] => "No claim was tried.".to_owned(),
        rows => summary(rows),
    };
    format!("<p class=\"lead\">{}</p>\n", escape(&text))
}

/// A row for each claim, with a chip for every model that it was tried on.
pub(super) fn overview(rows: &[Overview<'_>]) -> String {
    let columns = [
        ("Claim", Align::Start),
        (
            "Verdict on each model, and how many predicates hold",
            Align::Start,
        ),
    ];
    let rows = rows.iter().map(|row| {
        let claim = row.claim;
        let name = format!(
            "<a href=\"#{id}\"><strong>{id} {title}</strong></a><br><span class=\"formula\">{statement}</span>",
            id = escape(&claim.id),
            title = escape(&claim.title),
            statement = escape(&claim.statement),
        );
        let chips: String = row.verdicts.iter().map(|verdict| chip(verdict)).collect();
        let reason = row.reason().map_or_else(String::new, |reason| {
            format!(
                "<p class=\"reason\"><strong>Why it fails:</strong> {}</p>",
                escape(&reason)
            )
        });
        vec![
            Cell::Html(name),
            Cell::Html(format!("<ul class=\"chips\">{chips}</ul>{reason}")),
        ]
    });
    table(
        "Verdict on each claim for each model that it was tried on",
        &columns,
        rows,
    )
}

fn chip(verdict: &ClaimVerdict) -> String {
    format!(
        "<li><span class=\"model\">{}</span> {} <span class=\"quiet\">{}</span></li>",
        escape(&verdict.model),
        badge(verdict.verdict),
        verdict.share()
    )
}

/// Every predicate of one claim for every model.
pub(super) fn predicates(overview: &Overview<'_>) -> String {
    let columns = [
        ("Predicate", Align::Start),
        ("Verdict", Align::Start),
        ("Mean ± s.e.", Align::End),
        ("Seeds", Align::End),
        ("Needed", Align::End),
        ("Measurement error", Align::End),
    ];
    let rows = overview.verdicts.iter().flat_map(|row| {
        let heading = Row::Heading(row.model.clone());
        std::iter::once(heading).chain(row.predicates.iter().map(|predicate| {
            let value = predicate
                .estimate
                .map_or(MISSING.to_owned(), |e| with_error(e.mean, e.standard_error));
            let error = predicate.relative_measurement_error;
            Row::Cells(vec![
                Cell::Html(format!(
                    "{}<br><span class=\"formula\">{}</span>",
                    escape(&predicate.text),
                    escape(&predicate.formula)
                )),
                Cell::Html(badge(predicate.verdict)),
                Cell::from(value),
                Cell::from(
                    predicate
                        .estimate
                        .map_or(0, |estimate| estimate.n)
                        .to_string(),
                ),
                Cell::from(predicate.threshold.to_string()),
                Cell::from(error.map_or(MISSING.to_owned(), percent)),
            ])
        }))
    });
    table(
        &format!("Predicates of {}", overview.claim.id),
        &columns,
        rows,
    )
}

/// A verdict as word, sign and colour.
fn badge(verdict: Verdict) -> String {
    let (class, sign, word) = match verdict {
        Verdict::Holds => ("holds", "✓", "holds"),
        Verdict::Fails => ("fails", "✗", "fails"),
        Verdict::Undecided => ("undecided", "?", "undecided"),
    };
    format!("<span class=\"badge {class}\"><span aria-hidden=\"true\">{sign}</span> {word}</span>")
}

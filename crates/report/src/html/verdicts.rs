//! The verdicts: a paragraph in plain words, the table of claims and models, and the predicates of a claim.

use super::escape::escape;
use super::table::{Align, Cell, Row, table};
use crate::number::{MISSING, percent, with_error};
use crate::{Claim, ClaimVerdict, Verdict};

/// What came out, in a paragraph.
pub(super) fn summary(claims: &[Claim], verdicts: &[ClaimVerdict]) -> String {
    if verdicts.is_empty() {
        return "<p class=\"lead\">No claim was tried.</p>\n".to_owned();
    }
    let count = |verdict| verdicts.iter().filter(|row| row.verdict == verdict).count();
    let claims_tried = tried(claims, verdicts).count();
    let mut text = format!(
        "Of {} verdicts ({claims_tried} claims on {} models), {}, {} and {}.",
        verdicts.len(),
        models(verdicts).len(),
        plural(count(Verdict::Holds), "holds", "hold"),
        plural(count(Verdict::Fails), "fails", "fail"),
        plural(count(Verdict::Undecided), "is undecided", "are undecided"),
    );
    for claim in claims {
        let parts: Vec<String> = [Verdict::Holds, Verdict::Fails, Verdict::Undecided]
            .into_iter()
            .filter_map(|verdict| outcome(claim, verdicts, verdict))
            .collect();
        if !parts.is_empty() {
            text += &format!(
                " {} ({}) {}.",
                claim.id,
                lower_first(&claim.title),
                parts.join(", and ")
            );
        }
    }
    format!("<p class=\"lead\">{}</p>\n", escape(&text))
}

/// Such as `holds for logistic and mlp`; `None` when no model came out so.
fn outcome(claim: &Claim, verdicts: &[ClaimVerdict], verdict: Verdict) -> Option<String> {
    let of_claim = || verdicts.iter().filter(|row| row.claim == claim.id);
    let same = of_claim().filter(|row| row.verdict == verdict);
    let models: Vec<&str> = same.map(|row| row.model.as_str()).collect();
    let phrase = match verdict {
        Verdict::Holds => "holds for",
        Verdict::Fails => "fails for",
        Verdict::Undecided => "is undecided for",
    };
    let (last, others) = models.split_last()?;
    if others.len() > 1 && models.len() == of_claim().count() {
        return Some(format!("{phrase} every model"));
    }
    Some(if others.is_empty() {
        format!("{phrase} {last}")
    } else {
        format!("{phrase} {} and {last}", others.join(", "))
    })
}

/// Claims in rows, models in columns, a verdict and the number of predicates that hold in each cell.
pub(super) fn matrix(claims: &[Claim], verdicts: &[ClaimVerdict]) -> String {
    let models = models(verdicts);
    let columns: Vec<(&str, Align)> = [("Claim", Align::Start)]
        .into_iter()
        .chain(models.iter().map(|&model| (model, Align::Start)))
        .collect();
    let rows = tried(claims, verdicts).map(|claim| {
        let name = format!(
            "<a href=\"#{id}\"><strong>{id}</strong> {title}</a>",
            id = escape(&claim.id),
            title = escape(&claim.title)
        );
        let cells = models.iter().map(|model| {
            let mut rows = verdicts.iter();
            rows.find(|row| row.claim == claim.id && row.model == *model)
                .map_or_else(
                    || Cell::from(MISSING),
                    |row| {
                        let holding = row
                            .predicates
                            .iter()
                            .filter(|p| p.verdict == Verdict::Holds);
                        Cell::Html(format!(
                            "{} <span class=\"quiet\">{} of {}</span>",
                            badge(row.verdict),
                            holding.count(),
                            row.predicates.len()
                        ))
                    },
                )
        });
        std::iter::once(Cell::Html(name))
            .chain(cells)
            .collect::<Vec<_>>()
    });
    table(
        "Verdict on each claim for each model, with the number of its predicates that hold",
        &columns,
        rows,
    )
}

/// Every predicate of one claim for every model.
pub(super) fn predicates(claim: &Claim, verdicts: &[ClaimVerdict]) -> String {
    let columns = [
        ("Predicate", Align::Start),
        ("Verdict", Align::Start),
        ("Mean ± s.e.", Align::End),
        ("Seeds", Align::End),
        ("Needed", Align::End),
        ("Measurement error", Align::End),
    ];
    let of_claim = verdicts.iter().filter(|row| row.claim == claim.id);
    let rows = of_claim.flat_map(|row| {
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
    table(&format!("Predicates of {}", claim.id), &columns, rows)
}

/// The claims that have a verdict.
pub(super) fn tried<'a>(
    claims: &'a [Claim],
    verdicts: &'a [ClaimVerdict],
) -> impl Iterator<Item = &'a Claim> {
    claims
        .iter()
        .filter(|claim| verdicts.iter().any(|row| row.claim == claim.id))
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

fn models(verdicts: &[ClaimVerdict]) -> Vec<&str> {
    let mut models: Vec<&str> = Vec::new();
    for row in verdicts {
        if !models.contains(&row.model.as_str()) {
            models.push(&row.model);
        }
    }
    models
}

fn plural(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// A title inside a sentence; names in capitals, such as `L2`, keep theirs.
fn lower_first(title: &str) -> String {
    let mut characters = title.chars();
    match (characters.next(), characters.next()) {
        (Some(first), Some(second)) if second.is_lowercase() || second == ' ' => first
            .to_lowercase()
            .chain([second])
            .chain(characters)
            .collect(),
        _ => title.to_owned(),
    }
}

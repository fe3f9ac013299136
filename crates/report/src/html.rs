//! The report as one HTML file: styles and plots inside, no script, no request to anywhere.

mod escape;
mod optimizers;
mod runs;
mod settings;
mod table;
mod training;
mod verdicts;

use std::fmt::Write as _;

use flatness_records::Record;

use self::escape::escape;
use crate::overview::Overview;
use crate::plot::palette;
use crate::{Claim, ClaimVerdict, Figure, Reproduction, correlations};

const STYLE: &str = include_str!("html/style.css");
const TITLE: &str = "Flatness is a false friend: a reproduction";

/// The whole page.
#[must_use]
pub fn report_html(
    reproduction: &Reproduction,
    claims: &[Claim],
    verdicts: &[ClaimVerdict],
    figures: &[Figure],
) -> String {
    let rows = Overview::of(claims, verdicts);
    let sections: String = rows
        .iter()
        .map(|row| claim_section(reproduction, row, figures))
        .collect();
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n\
         <style>\n{palette}{STYLE}</style>\n</head>\n<body>\n<main>\n\
         <header>\n<h1>{title}</h1>\n{lead}</header>\n\
         <section>\n<h2>Verdicts</h2>\n{overview}{rule}</section>\n\
         {sections}\
         <section id=\"settings\">\n<h2>Settings</h2>\n{experiments}{measurement}</section>\n\
         <section id=\"provenance\">\n<h2>Provenance</h2>\n{provenance}</section>\n\
         <section id=\"runs\">\n<h2>Runs</h2>\n{diverged}\
         <details>\n<summary>Every run at the end of its training</summary>\n{runs}</details>\n\
         <p class=\"quiet\">Every measurement at full precision is in <code>results.csv</code>, every verdict and record in <code>results.json</code>, both beside this page.</p>\n\
         </section>\n</main>\n</body>\n</html>\n",
        title = escape(TITLE),
        palette = palette(":root"),
        lead = verdicts::lead(&rows),
        overview = verdicts::overview(&rows),
        rule = RULE,
        experiments = settings::experiments(reproduction),
        measurement = settings::measurement(reproduction),
        provenance = settings::provenance(reproduction),
        diverged = runs::diverged(reproduction),
        runs = runs::completed(reproduction),
    )
}

const RULE: &str = "<p class=\"quiet\">A predicate holds when the whole one-sided 95&nbsp;% Student interval of its mean over seeds lies beyond its threshold, \
    fails when the whole interval lies on the other side, and is undecided otherwise. A claim fails on a model when any of its predicates fails, and is undecided when any is undecided. \
    Thresholds were fixed before the runs. A failed claim is a result.</p>\n";

fn claim_section(
    reproduction: &Reproduction,
    overview: &Overview<'_>,
    figures: &[Figure],
) -> String {
    let claim = overview.claim;
    let mut html = format!(
        "<section id=\"{id}\">\n<h2><span class=\"quiet\">{id}</span> {title}</h2>\n<p>{statement}</p>\n<p class=\"quiet\">{note}</p>\n",
        id = escape(&claim.id),
        title = escape(&claim.title),
        statement = escape(&claim.statement),
        note = escape(&claim.note),
    );
    if let Some(reason) = overview.reason() {
        html += &format!(
            "<p><strong>Why it fails:</strong> {}</p>\n",
            escape(&reason)
        );
    }
    for figure in figures.iter().filter(|figure| figure.claim == claim.id) {
        html += &figure_html(figure);
    }
    html += &verdicts::predicates(overview);
    let records: Vec<&Record> = reproduction.records_of(&claim.id).collect();
    if claim.id == "C3" {
        html += "<p>Where each optimiser ends: means over the seeds ± one standard error, at the last iterate and, where there is one, at the average.</p>\n";
        html += &optimizers::ends(&records);
        html += "<p>Against SGD, seed by seed: ratios are geometric means over the seeds ± one standard error.</p>\n";
        html += &optimizers::ratios(&records);
    }
    if claim.id == "C8" {
        html += "<details>\n<summary>Rank correlations as numbers</summary>\n";
        html += &runs::correlations(&correlations(&records));
        html += "</details>\n";
    }
    if let Some(row) = overview.verdicts.first() {
        // Writing to a String cannot fail.
        let _ = writeln!(
            html,
            "<p class=\"quiet\">Made by <code>{}</code></p>",
            escape(&row.command)
        );
    }
    html + "</section>\n"
}

fn figure_html(figure: &Figure) -> String {
    let (title, caption) = (escape(figure.title), escape(figure.caption));
    let panels = figure.panels.iter();
    let panels: String = panels
        .map(|panel| format!("<div role=\"img\" aria-label=\"{title}\">\n{panel}</div>\n"))
        .collect();
    format!(
        "<figure>\n<figcaption><strong>{title}</strong> {caption}</figcaption>\n<div class=\"panels\">\n{panels}</div>\n</figure>\n"
    )
}

//! The report as one HTML file: styles and plots inside, no request to anywhere; a short script sorts the table of runs.

use std::collections::BTreeSet;

use flatness_records::{Outcome, Segment};

use crate::number::{MISSING, counted, percent, significant};
use crate::reproduction::{distinct, models};
use crate::results::{claim_table, overview, runs, summary};
use crate::settings::{Fields, block, fields, own, shared};
use crate::svg::palette;
use crate::table::{Cell, Table, attribute, badge, escape};
use crate::{
    Claim, ClaimVerdict, Error, Figure, Judged, PredicateVerdict, Reproduction, Summary, TableSpec,
    Verdict,
};

const STYLE: &str = include_str!("page/style.css");
const SORT: &str = include_str!("page/sort.js");
const TITLE: &str = "Flatness is a false friend: a reproduction";

/// The whole page.
///
/// # Errors
/// [`Error::Settings`] when a spec has no TOML form.
pub fn report_html(
    reproduction: &Reproduction,
    claims: &[Claim],
    verdicts: &[ClaimVerdict],
    figures: &[Figure],
) -> Result<String, Error> {
    let of = |claim: &Claim| -> Vec<&ClaimVerdict> {
        verdicts
            .iter()
            .filter(|row| row.claim == claim.id)
            .collect()
    };
    let tried = || claims.iter().filter(|claim| !of(claim).is_empty());
    let contents = tried().map(|claim| {
        let badges = distinct(of(claim).into_iter().filter_map(|row| row.verdict));
        let badges: String = badges.into_iter().map(badge).collect();
        let (id, title) = (escape(&claim.id), escape(&claim.title));
        format!("<li><a href=\"#{id}\">{id} {title}</a> {badges}</li>\n")
    });
    let contents: String = contents.collect();
    let sections: String = tried()
        .map(|claim| section(reproduction, claim, &of(claim), figures))
        .collect();
    Ok(format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n\
         <style>\n{palette}{STYLE}</style>\n</head>\n<body>\n<main>\n<header>\n<h1>{title}</h1>\n\
         <p class=\"lead\">{abstract_}</p>\n{PAPER}{facts}</header>\n\
         <nav aria-label=\"Contents\"><h2>Contents</h2>\n<ol>\n<li><a href=\"#verdicts\">Verdicts</a></li>\n{contents}\
         <li><a href=\"#how\">How it was decided, and what the signs mean</a></li>\n<li><a href=\"#settings\">Settings</a></li>\n\
         <li><a href=\"#runs\">Runs</a></li>\n</ol></nav>\n\
         <section id=\"verdicts\">\n<h2>Verdicts</h2>\n<p>{summary}</p>\n{overview}</section>\n{sections}\
         <section id=\"how\">\n<h2>How it was decided, and what the signs mean</h2>\n{RULES}{networks}</section>\n\
         <section id=\"settings\">\n<h2>Settings</h2>\n{settings}</section>\n\
         <section id=\"runs\">\n<h2>Runs</h2>\n{diverged}<details>\n<summary>Every run at the end of its training</summary>\n{runs}</details>\n\
         <p>Everything at full precision: <a href=\"results.csv\">results.csv</a>, <a href=\"results.json\">results.json</a>; \
         the figures as files: <a href=\"plots/\">plots</a>.</p>\n</section>\n</main>\n<script>\n{SORT}</script>\n</body>\n</html>\n",
        title = escape(TITLE),
        palette = palette(),
        abstract_ = escape(&abstract_of(reproduction, verdicts)),
        facts = facts(reproduction),
        summary = escape(&summary(verdicts)),
        overview = overview(claims, verdicts).html("stacked"),
        networks = networks(reproduction),
        settings = settings(reproduction)?,
        diverged = diverged(reproduction),
        runs = runs(reproduction).html("sortable stacked"),
    ))
}

const PAPER: &str = "<p>The paper: D. Granziol, <cite>Flatness is a False Friend</cite>, \
    <a href=\"https://arxiv.org/abs/2006.09091\">arXiv 2006.09091</a> (2020). Its own table cells (accuracy, spectral norm, trace, \
    Frobenius and weight norm of each model) were not available: what is compared is the direction of its claims, and the one factor \
    that its abstract states, 30.</p>\n";

const RULES: &str = "<p>A claim is tested on a model by its <em>predicates</em>, numbers with thresholds that were fixed before any run. \
    <em>Gates</em> come first: conditions, met in every seed, without which the runs say nothing about the claim. Where one is not met the \
    verdict is <strong>not tested</strong>, with the gate and by how much. A predicate <strong>holds</strong> where Student's t over the seeds puts its mean \
    beyond the threshold at 5\u{a0}%, and the claim holds where all do. The claim <strong>fails</strong> where one predicate lies on the other side, at 5\u{a0}% \
    over all of them together (Holm's correction). Otherwise it is <strong>undecided</strong>. Where all seeds agree to the last digit an exact test stands in for t: \
    n seeds lie on one side with p = 2<sup>−n</sup>, so that four or fewer decide nothing, and order k runs alike with p = (k!)<sup>−n</sup>. \
    While runs are missing, and where a seed has diverged, nothing holds or fails. A failed claim is a result.</p>\n\
    <p>Factors are shown with the 95\u{a0}% interval of their geometric mean, other numbers with one standard error; n is the number of seeds. \
    The <em>measurement error</em> is that of one reading by itself, probes and residuals. It may exceed the error of an effect: runs of a seed share their random probes, \
    so that in a ratio or difference the error cancels, and what is left is in the spread over the seeds. Where nothing is shared it is \
    in the interval. Of more than a thousand points of a kind a figure draws every second, third and so on, and the table of runs has the first five thousand.</p>\n\
    <dl><dt>L</dt><dd>mean cross-entropy over the examples, without the L2 term; H is its Hessian by the parameters θ, P of them, G the \
    Gauss-Newton part of H.</dd><dt>λ₁</dt><dd>spectral norm: the largest magnitude of an eigenvalue of H.</dd><dt>Tr H, ‖H‖<sub>F</sub></dt><dd>sum of the eigenvalues, \
    root of the sum of their squares.</dd><dt>τ</dt><dd>Kendall's rank correlation: 1 where two numbers order all pairs of runs alike, −1 where \
    opposite. Granulated: over runs that differ in one setting only.</dd><dt>‖θ<sub>BN</sub>‖</dt><dd>norm of the weights whose scale batch-norm takes away.</dd>\
    <dt>dose</dt><dd>sum over the steps of rate × decay / (1 − momentum): how much weight decay there was.</dd></dl>\n";

fn abstract_of(reproduction: &Reproduction, verdicts: &[ClaimVerdict]) -> String {
    let named = |what: &str, verdict: Verdict| {
        let rows = verdicts.iter().filter(|row| row.verdict == Some(verdict));
        match distinct(rows.map(|row| row.claim.as_str()))
            .join(", ")
            .as_str()
        {
            "" => String::new(),
            claims => format!(" {what}: {claims}."),
        }
    };
    format!(
        "Do flat minima generalise? The paper says that L2 regularisation and adaptive optimisers find solutions that are sharper and better, so that flatness is no friend. \
         {} {}{}{}{}{}",
        reproduction.description,
        summary(verdicts),
        named("Holds on a model at least", Verdict::Holds),
        named("Fails on a model", Verdict::Fails),
        named("Undecided on a model", Verdict::Undecided),
        named("Not tested on a model", Verdict::NotTested),
    )
}

/// Data, seeds, hardware and commit.
fn facts(reproduction: &Reproduction) -> String {
    let records = || reproduction.records().map(|(_, record)| record);
    let words =
        |of: fn(&Summary) -> String, between: &str| distinct(records().map(of)).join(between);
    let segments = |of: fn(&Segment) -> String| {
        let segments = records().flat_map(|record| &record.setting.segments);
        distinct(segments.map(of)).join("; ")
    };
    let seeds: BTreeSet<u64> = records().map(|record| record.seed).collect();
    let seeds = seeds.len();
    let counts = |of: fn(&Summary) -> usize| {
        let counts: BTreeSet<usize> = records().map(of).collect();
        let counts: Vec<String> = counts.iter().map(usize::to_string).collect();
        counts.join(", ")
    };
    let machine = |one: &Segment| {
        let threads = counted(one.threads, "thread");
        let among = match one.ranks {
            1 => String::new(),
            ranks => format!(" in each of {ranks} processes"),
        };
        format!("{}, {}, {threads}{among}", one.cpu, one.device)
    };
    let program = |one: &Segment| {
        let changed = if one.dirty { " with changes" } else { "" };
        let commit = one.commit.get(..12).unwrap_or(&one.commit);
        format!("{} at {commit}{changed}", one.version)
    };
    let facts = [
        (
            "Data",
            words(
                |record| {
                    format!(
                        "{} ({})",
                        record.setting.data.set, record.setting.data.source
                    )
                },
                "; ",
            ),
        ),
        (
            "Training images",
            counts(|record| record.setting.data.train_examples),
        ),
        (
            "Test images",
            counts(|record| record.setting.data.test_examples),
        ),
        ("Seeds", format!("up to {seeds} of each run")),
        ("Runs", records().count().to_string()),
        ("Machine", segments(machine)),
        ("Program", segments(program)),
        ("Made by", reproduction.command.clone()),
    ];
    let rows = facts.map(|(name, value)| format!("<dt>{name}</dt><dd>{}</dd>", escape(&value)));
    format!("<dl>{}</dl>\n", rows.concat())
}

/// What was claimed, what came out and why, then figures, predicates and tables.
fn section(
    reproduction: &Reproduction,
    claim: &Claim,
    verdicts: &[&ClaimVerdict],
    figures: &[Figure],
) -> String {
    let id = escape(&claim.id);
    let mut html = format!(
        "<section id=\"{id}\">\n<h2>{id} {}</h2>\n<p><strong>Claimed:</strong> {} <span class=\"quiet\">({})</span></p>\n<ul class=\"verdicts\">\n",
        escape(&claim.title),
        escape(&claim.statement),
        escape(&claim.source),
    );
    for (row, verdict) in verdicts.iter().filter_map(|row| Some((row, row.verdict?))) {
        // The predicates that have made it fail or undecided.
        let own = |one: &&PredicateVerdict| {
            matches!(verdict, Verdict::Fails | Verdict::Undecided) && one.verdict == Some(verdict)
        };
        let named = row.predicates.iter().filter(own).take(3);
        let named: String = named
            .map(|one| format!("; {}: {}", one.text, one.shown()))
            .collect();
        html += &format!(
            "<li><strong>{}</strong> {} {}</li>\n",
            escape(&row.model),
            badge(verdict),
            escape(&(row.summary() + &named)),
        );
    }
    html += "</ul>\n";
    let fails = verdicts
        .iter()
        .any(|row| row.verdict == Some(Verdict::Fails));
    if let Some(reason) = claim.reason.as_ref().filter(|_| fails) {
        html += &format!("<p><strong>Why it fails:</strong> {}</p>\n", escape(reason));
    }
    for text in [&claim.note].into_iter().chain(&claim.changes) {
        html += &format!("<p class=\"quiet\">{}</p>\n", escape(text));
    }
    let figures = figures.iter().filter(|figure| figure.claim == claim.id);
    html += &figures.map(figure_html).collect::<String>();
    for row in verdicts {
        let open = if row.verdict == Some(Verdict::Holds) {
            ""
        } else {
            " open=\"\""
        };
        html += &format!(
            "<details{open}>\n<summary>{}: {} predicates, {}</summary>\n{}</details>\n",
            escape(&row.model),
            row.predicates.len(),
            row.verdict
                .map_or_else(|| "reported only".to_owned(), |verdict| verdict.to_string()),
            predicates(row).html("stacked"),
        );
    }
    let has_runs = |spec: &&TableSpec| reproduction.records_of(&spec.experiment).next().is_some();
    for spec in claim.tables.iter().filter(has_runs) {
        let table = claim_table(reproduction, spec).html("stacked");
        html += &format!("<h3>{}</h3>\n{table}", escape(&spec.title));
    }
    if let Some(row) = verdicts.first() {
        let command = escape(&row.command);
        html += &format!("<p class=\"quiet\">Made by <code>{command}</code></p>\n");
    }
    html + "</section>\n"
}

fn figure_html(figure: &Figure) -> String {
    let (title, caption) = (escape(&figure.title), escape(&figure.caption));
    let label = attribute(&figure.title);
    let panels = figure.panels.iter();
    let panels: String = panels
        .map(|panel| format!("<div role=\"img\" aria-label=\"{label}\">\n{panel}</div>\n"))
        .collect();
    format!(
        "<figure>\n<figcaption><strong>{title}</strong> {caption}</figcaption>\n<div class=\"panels\">\n{panels}</div>\n</figure>\n"
    )
}

fn predicates(row: &ClaimVerdict) -> Table {
    let mut table = Table::new(
        &format!("{} on {}", row.claim, row.model),
        "Statement|Verdict|#Found|#n|Needed|#p|#Measurement error",
    );
    let judged = |one: &&PredicateVerdict| one.threshold.is_some();
    let (tested, reported): (Vec<_>, Vec<_>) = row.predicates.iter().partition(judged);
    let groups = [
        ("Gates", row.gates.iter().collect()),
        ("Predicates", tested),
        ("Reported", reported),
    ];
    for (heading, tests) in groups.into_iter().filter(|(_, tests)| !tests.is_empty()) {
        table.push_heading(heading.to_owned());
        for one in tests {
            table.push(cells(one));
        }
    }
    table
}

fn cells(one: &PredicateVerdict) -> [Cell; 7] {
    let missing = || MISSING.to_owned();
    let chosen = match one.sample.chosen.as_slice() {
        [] => String::new(),
        chosen => format!("; chosen decays: {}", chosen.join(", ")),
    };
    let small = one.formula.clone() + &chosen;
    let statement = Cell {
        small,
        ..one.text.clone().into()
    };
    let every = if one.judged == Judged::Every {
        ", in every seed"
    } else {
        ""
    };
    let needed = one
        .threshold
        .map(|threshold| threshold.words(one.logarithmic) + every);
    let p = one.test.filter(|_| one.judged == Judged::Mean).map(|test| {
        let p = match one.verdict {
            Some(Verdict::Fails) => test.p_fails,
            _ => test.p_holds,
        };
        let exact = if test.exact { " (exact)" } else { "" };
        if p < 1e-12 {
            "< 10⁻¹²".to_owned()
        } else {
            significant(p, 2) + exact
        }
    });
    let error = one.relative_measurement_error.filter(|error| *error > 0.0);
    [
        statement,
        one.verdict
            .map_or_else(|| "reported".to_owned().into(), Cell::from),
        one.shown().into(),
        one.sample.seeds.len().to_string().into(),
        needed.unwrap_or_else(missing).into(),
        p.unwrap_or_else(missing).into(),
        error.map_or_else(missing, percent).into(),
    ]
}

/// The networks that were trained.
fn networks(reproduction: &Reproduction) -> String {
    let columns = "Network|#Parameters P|#Hidden units|#Classes|Batch-norm in H|Numbers";
    let mut table = Table::new("Networks", columns);
    let mut seen = Vec::new();
    for model in reproduction
        .records()
        .map(|(_, record)| &record.setting.model)
    {
        if !seen.contains(&&model.name) {
            seen.push(&model.name);
            table.push([
                model.name.clone(),
                model.parameters.to_string(),
                model.hidden_units.to_string(),
                model.classes.to_string(),
                model.batch_norm.clone(),
                format!("{:?}", model.dtype).to_lowercase(),
            ]);
        }
    }
    format!("<h3>Networks</h3>\n{}", table.html("stacked"))
}

/// For each experiment and model what all runs share, and what they vary.
fn settings(reproduction: &Reproduction) -> Result<String, Error> {
    let mut html = String::new();
    for experiment in &reproduction.experiments {
        for model in models(&experiment.records) {
            let runs = || {
                experiment
                    .records
                    .iter()
                    .filter(|record| record.setting.model.name == model)
            };
            // Those that differ in more than the seed.
            let mut different: Vec<&Summary> = Vec::new();
            for record in runs() {
                let spec = &record.setting.spec;
                let is_like = |other: &&Summary| *spec == other.setting.spec;
                if !different.iter().any(is_like) {
                    different.push(record);
                }
            }
            let specs = different.iter().map(|record| fields(record));
            let specs: Vec<Fields> = specs.collect::<Result<_, _>>()?;
            let shared = shared(&specs);
            let varied = different.iter().zip(&specs).map(|(record, spec)| {
                format!(
                    "# {}\n{}",
                    record.setting.optimizer.clone(),
                    block(own(spec, &shared))
                )
            });
            html += &format!(
                "<details>\n<summary>{}, {}: {} runs</summary>\n<pre>{}</pre>\n<p>Varied, besides the seeds:</p>\n<pre>{}</pre>\n</details>\n",
                escape(&experiment.name),
                escape(&model),
                runs().count(),
                escape(&block(shared.iter())),
                escape(&distinct(varied).join("\n")),
            );
        }
    }
    Ok(html)
}

fn diverged(reproduction: &Reproduction) -> String {
    let rows = reproduction.records().filter_map(|(experiment, record)| {
        let Outcome::Diverged { epoch, .. } = record.outcome else {
            return None;
        };
        let (model, seed) = (&record.setting.model.name, record.seed);
        let name = record.setting.optimizer.clone();
        let row = format!("{experiment}, {model}, {name}, seed {seed}: in epoch {epoch}");
        Some(format!("<li>{}</li>\n", escape(&row)))
    });
    match rows.collect::<String>().as_str() {
        "" => String::new(),
        rows => format!("<p>Diverged, and missing from the means:</p>\n<ul>\n{rows}</ul>\n"),
    }
}

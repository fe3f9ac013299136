//! The page and its companions hold every verdict, text is whole, figures are well-formed.

mod synthetic;

use std::collections::BTreeSet;

use flatness_records::Record;
use flatness_report::{
    Claim, ClaimVerdict, Figure, Reproduction, figures, report_html, results_csv, results_json,
    results_markdown, terminal_table,
};
use roxmltree::{Document, Node};
use serde_json::Value;

struct Outputs {
    records: Vec<(&'static str, Vec<Record>)>,
    reproduction: Reproduction,
    claims: Vec<Claim>,
    verdicts: Vec<ClaimVerdict>,
    figures: Vec<Figure>,
    page: String,
}

fn outputs() -> Outputs {
    let records = synthetic::everything();
    let reproduction = synthetic::reproduction(records.clone());
    let claims = Claim::embedded().unwrap();
    let verdicts = reproduction.judge(&claims);
    let figures = figures(&reproduction, &claims, &verdicts);
    let page = report_html(&reproduction, &claims, &verdicts, &figures).unwrap();
    Outputs {
        records,
        reproduction,
        claims,
        verdicts,
        figures,
        page,
    }
}

#[test]
fn every_claim_verdict_and_statement_is_on_the_page_and_in_the_tables() {
    let Outputs {
        claims,
        verdicts,
        page,
        ..
    } = outputs();
    let tried: BTreeSet<&str> = verdicts.iter().map(|row| row.claim.as_str()).collect();
    assert_eq!(tried.len(), 8);
    let texts = [
        terminal_table(&claims, &verdicts),
        results_markdown(&claims, &verdicts),
    ];
    for row in verdicts.iter().filter(|row| row.verdict.is_some()) {
        for text in &texts {
            assert!(text.contains(&row.summary()), "{}", row.summary());
        }
        let start = format!("<section id=\"{}\">", row.claim);
        let section = page.split(&start).nth(1).unwrap();
        let section = section.split("<section").next().unwrap();
        let word = row.verdict.unwrap().to_string();
        assert!(
            section.contains(&format!("</span> {word}</span>")),
            "{} {word}",
            row.claim
        );
        let of_claim = verdicts.iter().filter(|other| other.claim == row.claim);
        let statements: usize = of_claim
            .map(|other| other.gates.len() + other.predicates.len())
            .sum();
        assert_eq!(
            section.matches("<td data-label=\"Statement\"").count(),
            statements
        );
    }
    // What is not tested names its gate on top.
    assert!(page.contains("it must be that the dose of decay 5e-4 is at least a half: 0.28 where at least 0.5 is needed (5 of 5 seeds)"));
    assert!(page.contains("more than 10 times") && !page.contains("2.302585"));
}

#[test]
fn the_page_is_well_formed_and_says_what_it_is_of() {
    let Outputs { page, .. } = outputs();
    // XML knows no void elements and no document type of HTML; scripts and styles are not markup.
    let body = page
        .split("<body>")
        .nth(1)
        .unwrap()
        .split("<script>")
        .next()
        .unwrap();
    let body = format!("<body>{body}</body>");
    let document = Document::parse(&body).unwrap_or_else(|error| panic!("{error}"));
    let attributes = |name| {
        document
            .descendants()
            .filter_map(move |node| node.attribute(name))
    };
    let ids: BTreeSet<&str> = attributes("id").collect();
    for link in attributes("href").filter_map(|link| link.strip_prefix('#')) {
        assert!(ids.contains(link), "{link} leads nowhere");
    }
    for text in [
        "arxiv.org/abs/2006.09091",
        "were not available",
        "results.json",
        "results.csv",
        "&lt;b&gt;Imaginary&lt;/b&gt; &amp; Sons",
        "0123456789ab",
        "<dt>Training images</dt><dd>9500</dd>",
        "mlp &lt;&amp;&quot;’&gt;",
        "<dt>λ₁</dt>",
    ] {
        assert!(page.contains(text), "{text} is missing");
    }
    assert!(
        !page.contains("<b>Imaginary") && !page.contains("src=\"") && !page.contains("@import")
    );
}

#[test]
fn every_figure_of_the_claims_is_drawn_within_its_panel() {
    let Outputs {
        claims, figures, ..
    } = outputs();
    let drawn: BTreeSet<&str> = figures.iter().map(|figure| figure.id.as_str()).collect();
    let asked = claims.iter().flat_map(|claim| &claim.figures);
    let asked: BTreeSet<&str> = asked.map(|figure| figure.id.as_str()).collect();
    assert_eq!(drawn, asked);
    for figure in &figures {
        Document::parse(&figure.standalone()).unwrap();
        for panel in &figure.panels {
            let document = Document::parse(panel).unwrap();
            let root = document.root_element();
            let number = |node: Node<'_, '_>, name| -> f64 {
                node.attribute(name).unwrap().parse().unwrap()
            };
            let (width, height) = (number(root, "width"), number(root, "height"));
            let of = |tag: &'static str| {
                root.descendants()
                    .filter(move |node| node.has_tag_name(tag))
            };
            for text in of("text") {
                let letters: String = text
                    .descendants()
                    .filter_map(|node| node.is_text().then(|| node.text()).flatten())
                    .collect();
                // Half the size of the type, which common letters of a proportional face do not exceed on average.
                let length = 6.0 * letters.chars().count() as f64;
                let before = match text.attribute("text-anchor").unwrap() {
                    "start" => 0.0,
                    "middle" => 0.5,
                    _ => 1.0,
                };
                let left = number(text, "x") - length * before;
                let inside = left >= -1.0 && left + length <= width + 1.0;
                let inside = inside && number(text, "y") <= height;
                assert!(inside, "{}: `{letters}` is cut", figure.id);
            }
            for point in of("circle") {
                let (x, y) = (number(point, "cx"), number(point, "cy"));
                let inside = (0.0..=width).contains(&x) && (0.0..=height).contains(&y);
                assert!(inside, "{}", figure.id);
            }
        }
    }
}

#[test]
fn the_files_hold_every_number() {
    let Outputs {
        records,
        reproduction,
        verdicts,
        ..
    } = outputs();
    let mut text = Vec::new();
    results_csv(&reproduction, &mut text).unwrap();
    let mut reader = csv::Reader::from_reader(text.as_slice());
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let first = &records[0].1[0];
    let of = |name: &str| {
        let mut rows = rows.iter();
        rows.find(|row| &row[1] == first.id.as_str() && &row[10] == name)
            .unwrap()
    };
    let trace = first.measurements[0].measured.number("trace").unwrap();
    let row = of("hessian.trace");
    assert_eq!(
        [&row[11], &row[12]].map(|cell| cell.parse::<f64>().unwrap()),
        [trace.value, trace.error()]
    );
    let phi =
        |row: &csv::StringRecord| [&row[8], &row[9], &row[10]] == ["keskar.ball", "0.001", "phi"];
    assert!(rows.iter().any(phi));
    let all = || records.iter().flat_map(|(_, records)| records);
    let lines: String = all().map(|record| synthetic::line(record) + "\n").collect();
    let mut json = Vec::new();
    results_json(&reproduction, &verdicts, &mut lines.as_bytes(), &mut json).unwrap();
    let json: Value = serde_json::from_slice(&json).unwrap();
    let experiments = json["experiments"].as_array().unwrap().iter();
    for (experiment, (name, records)) in experiments.zip(&records) {
        assert_eq!(experiment["name"], *name);
        let expected = records.iter().map(synthetic::line);
        let expected: Vec<Value> = expected
            .map(|line| serde_json::from_str(&line).unwrap())
            .collect();
        assert_eq!(experiment["records"], Value::Array(expected));
    }
    assert_eq!(json["verdicts"].as_array().unwrap().len(), verdicts.len());
    assert_eq!(json["verdicts"][0]["verdict"], "not-tested");
    let test = &json["verdicts"][1]["predicates"][0]["test"];
    assert!(test["p_holds"].as_f64().unwrap() < 0.05);
    // Of fewer lines than records there is no file.
    let mut cut = &lines.as_bytes()[..lines.len() / 2];
    assert!(results_json(&reproduction, &verdicts, &mut cut, &mut Vec::new()).is_err());
}

#[test]
fn a_reproduction_without_runs_is_a_page_all_the_same() {
    let empty = synthetic::reproduction(Vec::new());
    let page = report_html(&empty, &Claim::embedded().unwrap(), &[], &[]).unwrap();
    assert!(page.contains("Of 0 verdicts"));
}

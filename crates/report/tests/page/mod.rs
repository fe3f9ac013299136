//! The HTML page: what it says, what it escapes, and that it asks nothing of the network.

use flatness_records::Outcome;
use flatness_report::{Claim, figures, report_html};

use crate::{judged, one_failure, synthetic};

fn page() -> String {
    let (reproduction, claims, verdicts) = judged();
    report_html(
        &reproduction,
        &claims,
        &verdicts,
        &figures(&reproduction).unwrap(),
    )
}

#[test]
fn the_page_makes_no_request_and_runs_no_script() {
    let page = page();
    // The name of the SVG namespace is an identifier; nothing is fetched from it.
    let rest = page.replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
    for forbidden in [
        "http:", "https:", "//", "src=", "<script", "<link", "@import", "url(",
    ] {
        assert!(!rest.contains(forbidden), "the page contains `{forbidden}`");
    }
    for reference in rest.split("href=\"").skip(1) {
        assert!(reference.starts_with('#'), "{}", &reference[..20]);
    }
    for needed in [
        "name=\"viewport\"",
        "prefers-color-scheme:dark",
        "<title>",
        "lang=\"en\"",
    ] {
        assert!(page.contains(needed), "the page lacks `{needed}`");
    }
}

#[test]
fn the_page_escapes_what_records_say() {
    let page = page();
    assert!(!page.contains("mlp <&"), "a model name is raw");
    assert!(!page.contains("<b>Imaginary"), "a processor name is raw");
    assert!(page.contains("mlp &lt;&amp;&quot;&#39;&gt;"));
    assert!(page.contains("&lt;b&gt;Imaginary&lt;/b&gt; &amp; Sons"));
}

#[test]
fn the_page_says_what_came_out() {
    let page = page();
    assert!(
        page.contains(
            "Of 16 verdicts (8 claims on 2 models), 16 hold, 0 fail and 0 are undecided."
        )
    );
    assert!(
        page.contains("84 runs, 83 completed, 1 diverged"),
        "24, 6, 6, 30 and three times 6 of the experiments are"
    );
    for expected in [
        "1 of the runs diverged",
        "5e−4",
        "from the embedded fixture",
        "; all eigenvalues, zero up to 1e−3 λ₁; ",
        "; Keskar’s sharpness by 2 ascents of 30 steps, ε 1e−4, 1e−3, subspace of 100 dimensions; ",
        "; rescaling by α 0.1, 1, 10</td>",
        "results.csv",
    ] {
        assert!(page.contains(expected), "the page lacks `{expected}`");
    }
    for claim in ["C1", "C2", "C3", "C4", "C5", "C6", "C7", "C8"] {
        assert!(page.contains(&format!("<section id=\"{claim}\">")));
        assert!(page.contains(&format!("--profile synthetic --only {claim}</code>")));
    }
}

#[test]
fn optimisers_are_compared_at_both_iterates_and_with_sgd() {
    let mut reproduction = synthetic::reproduction();
    let compared = &mut reproduction.experiments[3].records;
    let mut adam = compared.iter_mut().filter(|run| run.id.ends_with("Adam"));
    let diverged = adam.next().expect("there is a run of Adam");
    diverged.outcome = Outcome::Diverged {
        epoch: 2,
        learning_rate: 5e-4,
        step: None,
        loss: None,
        parameter_norm: None,
    };
    diverged.measurements.clear();
    let claims = Claim::embedded().unwrap();
    let verdicts = reproduction.judge(&claims);
    let page = report_html(&reproduction, &claims, &verdicts, &[]);
    // By hand for the logistic model: λ₁ is 1, 1.1 and 1.2 times e^k, k = 0 for SGD, 4 for the last
    // iterate of Gadam and 3 for its average, which has e³ = 20.09 times SGD's. The training loss is 0.3 (1 + k/10).
    for row in [
        "<td class=\"number\">1.100 ± 0.058</td>",
        "<td>Adam (1 of 3 runs diverged)</td>",
        "<td>Gadam</td><td class=\"number\">0.4200 ± 0</td>",
        "<td>Gadam, average</td><td class=\"number\">0.3900 ± 0</td>",
        "<td class=\"number\">22.1 ± 1.2</td>",
        "<td>Gadam</td><td class=\"number\">0.03000 ± 0</td><td class=\"number\">20.09 ± 0</td><td class=\"number\">about 30</td>",
    ] {
        assert!(page.contains(row), "the page lacks `{row}`");
    }
    assert!(!page.contains("SGD, average"));
}

/// Verdicts of which C5 fails on one of its models, and C1 on none.
#[test]
fn a_claim_is_told_with_the_models_it_was_tried_on_and_why_it_fails() {
    let (mut claims, verdicts) = one_failure();
    let reproduction = synthetic::reproduction();
    let page = |claims: &[Claim]| report_html(&reproduction, claims, &verdicts, &[]);
    let told = page(&claims);
    let reason = claims[4].reason.take().expect("C5 has failed before");
    let untold = page(&claims);

    // In the table and in the section of the claim, and nowhere else.
    assert_eq!(told.matches("Why it fails:").count(), 2);
    assert_eq!(told.matches(&reason[..40]).count(), 2);
    let predicate = &verdicts
        .iter()
        .find(|row| row.claim == "C5")
        .unwrap()
        .predicates[1];
    let words = format!("It does not hold that “{}”.", predicate.text);
    assert!(untold.contains(&words), "without a reason, the predicate");
    assert!(told.contains("</span> <span class=\"quiet\">2 of 3</span></li>"));
    // One chip for each verdict.
    assert_eq!(told.matches("<li>").count(), verdicts.len());
}

#[test]
fn a_page_without_runs_is_still_a_page() {
    let mut reproduction = synthetic::reproduction();
    reproduction.experiments.clear();
    let page = report_html(&reproduction, &[], &[], &figures(&reproduction).unwrap());
    assert!(page.contains("No claim was tried."));
    assert!(page.ends_with("</html>\n"));
}

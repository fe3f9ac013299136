//! The page docs/SPEC.md: its examples are specs, and it has every field that a spec has, by serde's own account.

use flatness_records::{Error, Spec};

const PAGE: &str = include_str!("../../../docs/SPEC.md");

/// The blocks of TOML.
fn examples() -> Vec<&'static str> {
    let blocks = PAGE.split("```toml\n").skip(1);
    blocks
        .map(|block| block.split("```").next().expect("a part"))
        .collect()
}

#[test]
fn the_examples_are_valid_specs() {
    assert_eq!(examples().len(), 3);
    for example in examples() {
        let spec = Spec::from_toml(example, "docs/SPEC.md").expect("a spec");
        spec.validate("docs/SPEC.md").expect("in range");
    }
}

#[test]
fn the_page_has_every_field_and_every_kind() {
    let whole = examples()[2];
    let (optimizer, schedule, average) = ("optimizer = {", "schedule = {", "average = {");
    let line = |start: &str| {
        let mut lines = whole.lines();
        lines
            .find(|line| line.starts_with(start))
            .expect("it is there")
            .to_owned()
    };
    // What is unknown in each table: the error names what is known there.
    let mut cases: Vec<(String, String)> = Vec::new();
    for at in [
        "seed = 2\n",
        "[data]\n",
        "[model]\n",
        "[train]\n",
        "[measure]\n",
    ] {
        cases.push((at.to_owned(), format!("{at}unknown = 1\n")));
    }
    for (start, tables) in [
        (
            optimizer,
            &[
                "kind = \"sgd\"",
                "kind = \"adam\"",
                "kind = \"amsgrad\"",
                "kind = \"padam\"",
                "kind = \"\"",
            ][..],
        ),
        (
            schedule,
            &[
                "kind = \"paper\"",
                "kind = \"averaging\"",
                "kind = \"step\"",
                "kind = \"cosine\"",
                "kind = \"\"",
            ],
        ),
        (
            average,
            &[
                "kind = \"uniform\"",
                "kind = \"exponential\"",
                "kind = \"tail\"",
                "kind = \"\"",
            ],
        ),
        ("warm_up = {", &[""]),
        ("augmentation = {", &[""]),
    ] {
        for table in tables {
            let comma = if table.is_empty() { "" } else { ", " };
            cases.push((line(start), format!("{start} {table}{comma}unknown = 1 }}")));
        }
    }
    for (good, bad) in [
        ("dtype = \"f32\"", "dtype = \"\""),
        ("\"biases\"", "\"\""),
        ("\"decoupled\"", "\"\""),
        ("\"frozen\"", "\"\""),
        ("each = [\"layer\"]", "matrices = [\"\"]"),
        ("each = [\"layer\"]", "split = \"\""),
        ("every = \"epoch\"", "every = \"\""),
    ] {
        cases.push((good.to_owned(), bad.to_owned()));
    }
    let mut names = 0;
    for (good, bad) in cases {
        let text = whole.replace(&good, &bad);
        assert_ne!(text, whole, "{good} is not in the example");
        let Err(Error::Syntax { message, .. }) = Spec::from_toml(&text, "page") else {
            panic!("{bad} is taken");
        };
        let known = message
            .split_once(", expected ")
            .unwrap_or_else(|| panic!("{bad}: {message}"))
            .1;
        for name in known.split('`').skip(1).step_by(2) {
            let written = [
                format!("`{name}`"),
                format!("\"{name}\""),
                format!("`[{name}]`"),
            ];
            let on_page = written.iter().any(|name| PAGE.contains(name));
            assert!(on_page, "{name} is not on the page");
            names += 1;
        }
    }
    assert!(names > 60, "{names}");
}

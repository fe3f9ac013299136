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
    assert_eq!(examples().len(), 4);
    for example in examples() {
        let spec = Spec::from_toml(example, "docs/SPEC.md").expect("a spec");
        spec.validate("docs/SPEC.md").expect("in range");
    }
}

#[test]
fn the_page_has_every_field_and_every_kind() {
    let whole = examples()[3];
    // What is replaced, and what is unknown there, of which the error names what is known.
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
    for (field, kinds) in [
        ("optimizer", "sgd adam amsgrad padam none"),
        ("schedule", "paper averaging step cosine none"),
        ("average", "uniform exponential tail none"),
        ("warm_up", ""),
        ("augmentation", ""),
    ] {
        let start = format!("{field} = {{");
        let line = whole.lines().find(|line| line.starts_with(&start));
        let line = line.expect("it is there").to_owned();
        let tables = kinds.split(' ').map(|kind| match kind {
            "" => String::new(),
            kind => format!("kind = \"{kind}\", "),
        });
        cases.extend(tables.map(|table| (line.clone(), format!("{start} {table}unknown = 1 }}"))));
    }
    for kind in "cross-entropy none".split(' ') {
        let loss = format!("loss = {{ kind = \"{kind}\", unknown = 1 }}\n[data]\n");
        cases.push(("[data]\n".to_owned(), loss));
    }
    for (good, bad) in [
        ("dtype = \"f32\"", "dtype = \"\""),
        ("\"biases\"", "\"\""),
        ("\"decoupled\"", "\"\""),
        ("\"frozen\"", "\"\""),
        ("each = [\"layer\"]", "matrices = [\"\"]"),
        ("each = [\"layer\"]", "split = \"\""),
        ("every = \"epoch\"", "every = \"\""),
        ("[model]\n", "[model]\ninitial = \"\"\n"),
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
        let (_, known) = message.split_once(", expected ").expect(&message);
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

//! Plans of exported files, evaluated by plain loops: PyTorch's names, shapes and losses.

mod evaluate;

use std::path::{Path, PathBuf};

use crate::import::import;
use crate::plan::Plan;

#[derive(serde::Deserialize)]
struct Case {
    name: String,
    examples: usize,
    input: Vec<usize>,
    classes: Option<usize>,
    tokens: bool,
    parameters: Vec<(String, Vec<usize>)>,
    frozen: Golden,
}

#[derive(serde::Deserialize)]
struct Golden {
    loss: f64,
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn cases() -> Vec<Case> {
    let text = std::fs::read_to_string(directory().join("golden.json")).expect("the golden values");
    serde_json::from_str(&text).expect("JSON")
}

/// The file's plan with its weights, each in its shape.
fn load(name: &str) -> (Plan, Vec<Vec<f64>>, Vec<String>) {
    let path = directory().join(format!("{name}.onnx"));
    let source =
        crate::file::decode(std::fs::read(path).expect("the file"), name).expect("a model");
    let import = import(&source, None, name).unwrap_or_else(|error| panic!("{error}"));
    let weights = import.plan.weights.iter().map(|weight| {
        let mut elements = vec![0.0; weight.shape.iter().product()];
        let initializer = &source.graph.initializer[weight.tensor];
        let see = &mut |place: usize, value: f64| elements[place] = value;
        crate::weights::read(initializer, weight, None, see).expect("elements");
        elements
    });
    let weights = weights.collect();
    (import.plan, weights, import.notes)
}

#[test]
fn parameters_have_pytorchs_names_and_shapes() {
    for case in cases() {
        let (plan, _, notes) = load(&case.name);
        println!("{}: {notes:#?}", case.name);
        if case.parameters.is_empty() {
            assert!(
                notes.iter().any(|note| note.contains("batch norms into")),
                "{notes:?}"
            );
            continue;
        }
        let mut got: Vec<_> = plan
            .weights
            .iter()
            .map(|weight| (weight.name.clone(), weight.shape.clone()))
            .collect();
        let mut expected = case.parameters.clone();
        got.sort();
        expected.sort();
        assert_eq!(got, expected, "{}", case.name);
    }
}

#[test]
fn plans_have_pytorchs_losses() {
    for case in cases() {
        let (plan, weights, _) = load(&case.name);
        let size: usize = case.input.iter().product();
        let mut loss = 0.0;
        for example in 0..case.examples {
            let element = |index: usize| {
                let place = example * size + index;
                match case.tokens {
                    true => ((5 * place + 2) % 16) as f64,
                    false => 2.0 * (1.0 + place as f64).sin(),
                }
            };
            let outputs = evaluate::plan(&plan, &weights, (0..size).map(element).collect());
            let rows = outputs.len() / case.classes.unwrap_or(outputs.len());
            for (row, logits) in outputs.chunks(outputs.len() / rows).enumerate() {
                let target = |place: usize| (1.0 + (example * outputs.len() + place) as f64).cos();
                loss += 1.0 / rows as f64
                    * match case.classes {
                        Some(classes) => {
                            let label = (7 * (example * rows + row) + 3) % classes;
                            let sum: f64 = logits.iter().map(|logit| logit.exp()).sum();
                            sum.ln() - logits[label]
                        }
                        None => logits
                            .iter()
                            .enumerate()
                            .map(|(place, y)| 0.5 * (y - target(place)).powi(2))
                            .sum(),
                    };
            }
        }
        // Batch norms that were multiplied into convolutions were so in float32.
        let tolerance = if case.parameters.is_empty() {
            1e-5
        } else {
            1e-10
        };
        let relative = (loss / case.frozen.loss - 1.0).abs();
        println!("{}: {loss} {relative:e}", case.name);
        assert!(
            relative <= tolerance,
            "{}: {loss}, expected {}",
            case.name,
            case.frozen.loss
        );
    }
}

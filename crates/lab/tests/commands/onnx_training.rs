//! Training of networks of ONNX files over files of tensors against PyTorch in float64: batch-norm and its statistics at an
//! average, sequences with ignored positions, every loss. The values are those of `crates/onnx/tests/golden/train.py`.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use serde_json::Value;

use super::common::flatness;
use super::onnx::{case, golden, saved, tensor, tensors};

/// Other orders of summation than PyTorch's, through six steps and the normalisation of eight values.
const TOLERANCE: f64 = 1e-8;

fn counted() -> impl Iterator<Item = f64> {
    (0..).map(f64::from)
}

/// `x` and `y` of a case for outputs of this shape, as `train.py` says.
fn data(trained: &Value, outputs: &[usize]) -> HashMap<String, Tensor> {
    let name = trained["network"].as_str().expect("a name");
    let mut network = case(name);
    network["examples"] = trained["examples"].clone();
    let examples = network["examples"].as_u64().expect("a number") as usize;
    let (classes, positions) = outputs.split_last().expect("outputs");
    let classes_of = |ignored: bool| {
        let numbers = counted().map(|row| match ignored && row % 5.0 == 4.0 {
            true => -100.0,
            false => (7.0 * row + 3.0) % *classes as f64,
        });
        let numbers = tensor(numbers, &[&[examples], positions].concat());
        numbers.to_dtype(DType::I64).expect("integers")
    };
    let cosines = || counted().map(|i| (1.0 + i).cos());
    let all = [&[examples], outputs].concat();
    let probabilities = || tensor(cosines().map(|cosine| 0.5 + 0.5 * cosine), &all);
    let y = match trained["labels"].as_str().expect("a kind") {
        "classes" => classes_of(false),
        "positions" => classes_of(true),
        "values" => tensor(cosines(), &all),
        "probabilities" => probabilities(),
        _ => {
            let sums = probabilities().sum_keepdim(1).expect("sums");
            probabilities().broadcast_div(&sums).expect("distributions")
        }
    };
    let x = tensors(&network, outputs).remove("x").expect("inputs");
    HashMap::from([("x".to_owned(), x), ("y".to_owned(), y)])
}

/// `{ a = 1, b = "c" }` of a JSON object.
fn table(fields: &Value) -> String {
    let fields = fields.as_object().expect("a table").iter();
    let fields: Vec<String> = fields
        .map(|(name, value)| format!("{name} = {value}"))
        .collect();
    format!("{{ {} }}", fields.join(", "))
}

fn spec(trained: &Value, data: &str) -> String {
    let mut optimizer = trained["optimizer"].clone();
    if optimizer["kind"] == "sgd" {
        optimizer["nesterov"] = false.into();
    }
    let mut loss = trained["loss"].clone();
    let loss = match loss.as_object().is_some_and(serde_json::Map::is_empty) {
        true => String::new(),
        false => {
            let kind = loss.get("kind").cloned().unwrap_or("cross-entropy".into());
            loss["kind"] = kind;
            format!("loss = {}", table(&loss))
        }
    };
    let average = trained["average_from"].as_u64();
    let average = average.map_or_else(String::new, |from| {
        format!("average = {{ kind = \"uniform\", from_epoch = {from}, every = \"step\" }}")
    });
    let network = trained["network"].as_str().expect("a name");
    format!(
        "seed = 0\n{loss}\n[data]\nset = \"{data}\"\n[model]\nname = \"{}\"\ndtype = \"f64\"\n[train]\nepochs = {}\n\
         batch_size = {}\noptimizer = {}\nschedule = {{ kind = \"constant\" }}\n{average}\n",
        golden().join(format!("{network}.onnx")).display(),
        trained["steps"],
        trained["examples"],
        table(&optimizer)
    )
}

/// Asserts that the loss of an evaluation and the parameters in a file are those of PyTorch.
fn check(what: &str, expected: &Value, loss: &Value, parameters: &Path) {
    let close = |name: &str, got: f64, expected: &Value| {
        let expected = expected.as_f64().expect("a number");
        let apart = (got - expected).abs() / expected.abs();
        assert!(
            apart < TOLERANCE,
            "{what}, {name}: {got}, expected {expected}"
        );
    };
    close("loss", loss.as_f64().expect("a loss"), &expected["loss"]);
    let file = candle_core::safetensors::load(parameters, &Device::Cpu).expect("parameters");
    for (name, expected) in expected["parameters"].as_object().expect("parameters") {
        let values = file[name]
            .flatten_all()
            .and_then(|flat| flat.to_vec1::<f64>());
        let values = values.expect("numbers");
        let dot = counted()
            .zip(values)
            .map(|(i, value)| (1.0 + i).sin() * value);
        close(name, dot.sum(), expected);
    }
}

#[test]
fn training_is_that_of_pytorch() {
    let directory = tempfile::tempdir().expect("a directory");
    let text = std::fs::read_to_string(golden().join("training.json")).expect("golden values");
    let cases: Vec<Value> = serde_json::from_str(&text).expect("JSON");
    for (index, trained) in cases.iter().enumerate() {
        let (network, loss) = (&trained["network"], &trained["loss"]);
        let what = format!("{network}, {}, {loss}", trained["labels"]);
        let outputs = match network.as_str() {
            Some("gpt") => vec![6, 16],
            Some("regression") => vec![2],
            _ => vec![10],
        };
        let data = saved(directory.path(), &data(trained, &outputs));
        let path = directory.path().join("spec.toml");
        std::fs::write(&path, spec(trained, &data)).expect("writable");
        let runs = directory.path().join(index.to_string());
        let (code, output, error) = flatness(&format!(
            "run {} --runs {} --threads 2 --quiet --json",
            path.display(),
            runs.display()
        ));
        assert_eq!((code, error.as_str()), (0, ""), "{what}");
        let record: Value = serde_json::from_str(&output).expect("JSON");
        let run = runs.join(record["id"].as_str().expect("a name"));
        let of = |evaluation: &str| &record[evaluation]["train"]["loss"];
        let files = ["checkpoint.safetensors", "average.safetensors"].map(|file| run.join(file));
        check(&what, &trained["last"], of("evaluation"), &files[0]);
        if trained.get("average").is_some() {
            let expected = &trained["average"];
            check(&what, expected, of("average_evaluation"), &files[1]);
        }
        let is_classified = trained["labels"] == "classes";
        assert_eq!(
            record["evaluation"]["train"].get("accuracy").is_some(),
            is_classified
        );
        assert!(record["evaluation"].get("test").is_none(), "{record}");
    }
}

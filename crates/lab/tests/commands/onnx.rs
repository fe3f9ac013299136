//! Networks of ONNX files over files of tensors: `product` against PyTorch's double backward, `measure` of every kind of label,
//! and what is refused. The files and their values are those of `crates/onnx/tests/golden/make.py`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use serde_json::Value;

use super::common::{flatness, refused};
use super::json;

/// Other orders of summation than PyTorch's.
const TOLERANCE: f64 = 1e-9;

pub(super) fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../onnx/tests/golden")
}

fn cases() -> Vec<Value> {
    let text = std::fs::read_to_string(golden().join("golden.json")).expect("golden values");
    serde_json::from_str(&text).expect("JSON")
}

pub(super) fn case(name: &str) -> Value {
    let mut cases = cases().into_iter();
    cases.find(|case| case["name"] == name).expect("a case")
}

fn shape(value: &Value) -> Vec<usize> {
    let extents = value.as_array().expect("a shape").iter();
    extents
        .map(|extent| extent.as_u64().expect("an extent") as usize)
        .collect()
}

pub(super) fn tensor(elements: impl Iterator<Item = f64>, shape: &[usize]) -> Tensor {
    let elements = elements.take(shape.iter().product()).collect();
    Tensor::from_vec(elements, shape, &Device::Cpu).expect("a tensor")
}

/// `x`, `y` and the vector of a case, as `make.py` says; numbers of tokens are integers.
pub(super) fn tensors(case: &Value, outputs: &[usize]) -> HashMap<String, Tensor> {
    let examples = case["examples"].as_u64().expect("examples") as usize;
    let counted = || (0..).map(f64::from);
    let of_inputs = [&[examples], shape(&case["input"]).as_slice()].concat();
    let x = if case["tokens"] == true {
        let tokens = tensor(counted().map(|i| (5.0 * i + 2.0) % 16.0), &of_inputs);
        tokens.to_dtype(candle_core::DType::I64).expect("integers")
    } else {
        tensor(counted().map(|i| 2.0 * (1.0 + i).sin()), &of_inputs)
    };
    let y = match case["classes"].as_f64() {
        Some(classes) => {
            let positions = [&[examples], &outputs[..outputs.len() - 1]].concat();
            let labels = tensor(counted().map(|row| (7.0 * row + 3.0) % classes), &positions);
            labels.to_dtype(candle_core::DType::I64).expect("integers")
        }
        None => tensor(
            counted().map(|i| (1.0 + i).cos()),
            &[&[examples], outputs].concat(),
        ),
    };
    let mut vector = counted().map(|i| (1.0 + i).sin());
    let mut tensors = HashMap::from([("x".to_owned(), x), ("y".to_owned(), y)]);
    for parameter in case["parameters"].as_array().expect("parameters") {
        let name = parameter[0].as_str().expect("a name");
        let piece = tensor(vector.by_ref(), &shape(&parameter[1]));
        tensors.insert(format!("v.{name}"), piece);
    }
    tensors
}

pub(super) fn saved(directory: &Path, tensors: &HashMap<String, Tensor>) -> String {
    let path = directory.join("data.safetensors");
    candle_core::safetensors::save(tensors, &path).expect("a file of tensors");
    path.display().to_string()
}

#[test]
fn products_are_those_of_double_backward() {
    let directory = tempfile::tempdir().expect("a directory");
    for (name, outputs) in [
        ("lenet", &[10][..]),
        ("cifar", &[10]),
        ("resnet-18", &[10]),
        ("mobilenet", &[10]),
        ("convnext", &[10]),
        ("group-norm", &[10]),
        ("vit", &[10]),
        ("gpt", &[6, 16]),
        ("regression", &[2]),
        ("segmenter", &[8, 10, 3]),
        // The same with its classes in the first axis of an example's outputs, as PyTorch's loss has them.
        ("pixels", &[8, 10, 3]),
    ] {
        let case = case(if name == "pixels" { "segmenter" } else { name });
        let data = saved(directory.path(), &tensors(&case, outputs));
        let examples = case["examples"].as_f64().expect("examples");
        let file = golden().join(format!("{name}.onnx"));
        for batch_norm in ["frozen", "batch"] {
            let Some(expected) = case[batch_norm].as_object() else {
                continue;
            };
            let product = |matrix: &str| {
                json(&format!(
                    "product --weights {} --data {data} --matrix {matrix} --batch-norm {batch_norm} --dtype f64 --repeat 1 \
                     --threads 2",
                    file.display()
                ))
            };
            let (of_hessian, of_gauss_newton) = (product("hessian"), product("gauss-newton"));
            for (got, value) in [
                (&of_hessian["loss"], "loss"),
                (&of_hessian["gradient_norm"], "gradient"),
                (&of_hessian["quadratic_form"], "vHv"),
                (&of_hessian["product_norm"], "Hv"),
                (&of_gauss_newton["quadratic_form"], "vGv"),
            ] {
                // Values are sums over the examples.
                let expected = expected[value].as_f64().expect("a value") / examples;
                let got = got.as_f64().expect("a number");
                let apart = (got - expected).abs() / expected.abs();
                assert!(
                    apart < TOLERANCE,
                    "{name} {batch_norm} {value}: {got}, expected {expected}"
                );
            }
        }
    }
}

#[test]
fn every_kind_of_label_is_measured() {
    let directory = tempfile::tempdir().expect("a directory");
    let measure = |name: &str, data: &str, options: &str| {
        let file = golden().join(format!("{name}.onnx"));
        json(&format!(
            "measure {} --data {data} --dtype f64 --what top --quiet --json {options}",
            file.display()
        ))
    };
    let number = |report: &Value, name: &str| report[name].as_f64().expect("a number");
    // Sequences, of which some positions are ignored: the mean is over those that count.
    let gpt = case("gpt");
    let mut whole = tensors(&gpt, &[6, 16]);
    let y = whole["y"].to_vec2::<i64>().expect("labels");
    let cut = |keep: &dyn Fn(usize) -> bool| {
        let row = |row: &Vec<i64>| {
            let row = row.iter().enumerate();
            row.map(|(place, &label)| if keep(place) { label } else { -100 })
                .collect()
        };
        let rows: Vec<Vec<i64>> = y.iter().map(row).collect();
        Tensor::new(rows, &Device::Cpu).expect("labels")
    };
    let mut losses = Vec::new();
    for keep in [
        &(|_| true) as &dyn Fn(usize) -> bool,
        &|place| place < 2,
        &|place| place >= 2,
    ] {
        whole.insert("y".to_owned(), cut(keep));
        let report = measure("gpt", &saved(directory.path(), &whole), "");
        assert_eq!(report["loss_function"], "cross-entropy");
        assert!(report.get("accuracy").is_none(), "{report}");
        losses.push(number(&report, "loss"));
    }
    let together = (2.0 * losses[1] + 4.0 * losses[2]) / 6.0;
    assert!(
        (together - losses[0]).abs() < 1e-12 * losses[0],
        "{losses:?}"
    );
    // Values, and classes as one-hot values.
    let regression = case("regression");
    let data = saved(directory.path(), &tensors(&regression, &[2]));
    let report = measure("regression", &data, "");
    assert_eq!(report["loss_function"], "squared-error");
    let data = saved(directory.path(), &tensors(&case("lenet"), &[10]));
    let plain = measure("lenet", &data, "");
    let smooth = measure("lenet", &data, "--label-smoothing 0.1");
    let squares = measure("lenet", &data, "--loss squared-error");
    let binary = measure("lenet", &data, "--loss binary-cross-entropy");
    let losses = [&plain, &smooth, &squares, &binary].map(|report| number(report, "loss"));
    for (index, loss) in losses.iter().enumerate() {
        assert!(
            losses[..index]
                .iter()
                .all(|other| (other - loss).abs() > 1e-3),
            "{losses:?}"
        );
    }
    assert_eq!(number(&plain, "accuracy"), number(&squares, "accuracy"));
    // One example of each of the classes 3, 0 and 7: with the weights of one class it is alone.
    let weights: Vec<f64> = (1..=10).map(f64::from).collect();
    let mut weighted = tensors(&case("lenet"), &[10]);
    let tensor = Tensor::new(weights.as_slice(), &Device::Cpu).expect("weights");
    weighted.insert("w".to_owned(), tensor);
    let data = saved(directory.path(), &weighted);
    let (mut sum, mut total) = (0.0, 0.0);
    for class in [3, 0, 7] {
        let alone: Vec<&str> = (0..10)
            .map(|other| if other == class { "2" } else { "0" })
            .collect();
        let alone = measure(
            "lenet",
            &data,
            &format!("--class-weights {}", alone.join(",")),
        );
        sum += weights[class] * number(&alone, "loss");
        total += weights[class];
    }
    let listed = measure("lenet", &data, "--class-weights 1,2,3,4,5,6,7,8,9,10");
    let named = measure("lenet", &data, "--class-weights w");
    for report in [&listed, &named] {
        let loss = number(report, "loss");
        assert!((loss - sum / total).abs() < 1e-14 * loss, "{report}");
        assert_eq!(report["matrices"], listed["matrices"]);
        assert_eq!(number(report, "accuracy"), number(&plain, "accuracy"));
    }
    assert_eq!(named["loss_function"], "cross-entropy, class weights w");
    assert_eq!(plain["model"]["name"], "lenet");
    assert_eq!(plain["data"]["set"], "tensors");
}

#[test]
fn what_cannot_be_measured_is_one_sentence() {
    let directory = tempfile::tempdir().expect("a directory");
    let lenet = golden().join("lenet.onnx").display().to_string();
    let gpt = golden().join("gpt.onnx").display().to_string();
    let data = saved(directory.path(), &tensors(&case("lenet"), &[10]));
    let line =
        |file: &str, options: &str| format!("measure {file} --data {data} --quiet {options}");
    refused(
        &line(&lenet, "--model mlp"),
        &["--model is for checkpoints", "leave it out"],
    );
    refused(
        &line(&lenet, "--data-set mnist"),
        &["--data-set is for data sets"],
    );
    refused(
        &line(&lenet, "--split test"),
        &["the split test", "has no x_test and y_test"],
    );
    refused(
        &line(&lenet, "--mean 0.5 --deviation 0.5"),
        &["--mean and --deviation", "are for data sets"],
    );
    refused(
        &line(&lenet, "--label-smoothing 1"),
        &["--label-smoothing must be from 0 and below 1, got 1"],
    );
    for (options, expected) in [
        (
            "1,2",
            "must be 10 numbers, one for each class of the network, got 2",
        ),
        ("w", "holds no w but"),
        ("x", "must have one axis, that of the classes"),
        ("0,0,0,0,0,0,0,0,0,0", "not all 0, got"),
        ("0,1,0,0,0,0,0,0,0,0", "above 0 for a class that there is"),
        ("nan,1,0,0,0,0,0,0,0,0", "finite numbers of at least 0"),
        (
            "1 --loss squared-error",
            "--class-weights is of --loss cross-entropy",
        ),
    ] {
        let options = format!("--class-weights {options}");
        refused(&line(&lenet, &options), &[expected]);
    }
    refused(
        &line(&gpt, ""),
        &["shape of the labels must be [3, 6]", "got [3]"],
    );
    refused(
        &format!("measure {lenet}"),
        &["lenet.onnx needs its data", "--data"],
    );
    let line = format!("measure {lenet} --data-set mnist --quiet");
    refused(&line, &["takes inputs of shape [1, 12, 12]", "[1, 28, 28]"]);
    let line = format!("measure {lenet} --data {lenet}");
    refused(
        &line,
        &[
            "--data",
            "neither the directory of a data set nor a file of tensors",
        ],
    );
    refused(
        &format!("measure {lenet} --constants fc9"),
        &["no initialiser fc9"],
    );
    let sequences = directory.path().join("of-gpt");
    std::fs::create_dir(&sequences).expect("a directory");
    let data = saved(&sequences, &tensors(&case("gpt"), &[6, 16]));
    let line = format!("measure {gpt} --data {data} --quiet --what confidence");
    refused(
        &line,
        &[
            "--what confidence is of the classes of examples",
            "leave it out",
        ],
    );
    let page = directory.path().join("page.onnx");
    std::fs::write(&page, "<!DOCTYPE html>").expect("writable");
    refused(
        &format!("measure {}", page.display()),
        &["page.onnx", "web page"],
    );
    let (code, ..) = flatness(&format!(
        "measure {lenet} --data {}",
        directory.path().join("no.npz").display()
    ));
    assert_eq!(code, 2);
}

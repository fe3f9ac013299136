//! `--what diagonal` against closed forms.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{Device, Tensor, safetensors};

use crate::oracle::{Of, of_logistic};
use crate::program::{Place, all_products, number, products, quantity, value};

/// aᵢᵢ of F Fᵀ.
fn exact(place: &Place, examples: usize) -> Vec<f64> {
    let columns = of_logistic(place, examples, Of::Hessian);
    let mut diagonal = vec![0.0; columns.0[0].len()];
    for column in &columns.0 {
        for (sum, entry) in diagonal.iter_mut().zip(column) {
            *sum += entry * entry;
        }
    }
    diagonal
}

/// Names, shapes and values of a file.
fn file(path: &Path) -> HashMap<String, (Vec<usize>, Vec<f64>)> {
    let tensors = safetensors::load(path, &Device::Cpu).expect("a safetensors file");
    let values = |tensor: &Tensor| tensor.flatten_all().and_then(|flat| flat.to_vec1());
    let tensors = tensors.into_iter();
    tensors
        .map(|(name, tensor)| {
            (
                name,
                (tensor.dims().to_vec(), values(&tensor).expect("doubles")),
            )
        })
        .collect()
}

/// Three examples have 27 eigenvalues besides zero, which 32 probes hold and 24 do not: nothing is left to
/// chance.
#[test]
fn a_sketch_of_the_whole_range_is_exact() {
    let place = Place::new("logistic");
    let exact = exact(&place, 3);
    let out = place.path("out");
    let line = format!(
        "--examples 3 --threads 1 --what diagonal --relative-error 1e-6 --out {}",
        out.display()
    );
    let report = place.json(&line);
    let sum: f64 = exact.iter().sum();
    let largest = exact.iter().copied().fold(0.0, f64::max);
    for (name, truth) in [
        ("diagonal_sum", sum),
        ("diagonal_max", largest),
        (
            "diagonal_min",
            exact.iter().copied().fold(f64::MAX, f64::min),
        ),
    ] {
        let away = (value(&report, name) - truth).abs();
        assert!(away <= 1e-9 * largest, "{name}: {away:e}");
        assert!(number(&report, name, "standard_error") <= 1e-6, "{name}");
        assert_eq!(products(&report, name), 64, "{name}");
        assert_eq!(number(&report, name, "probes"), 32.0, "{name}");
    }
    for name in ["diagonal_sum", "diagonal_norm", "diagonal_max"] {
        assert_eq!(quantity(&report, name)["stop"], "accurate", "{name}");
    }
    let norm = exact.iter().map(|entry| entry * entry).sum::<f64>().sqrt();
    let away = (value(&report, "diagonal_norm") - norm).abs();
    assert!(away <= 1e-9 * norm, "{away:e}");
    assert!(number(&report, "diagonal_norm", "relative_error") <= 1e-6);
    assert!(quantity(&report, "diagonal_sum")["relative_error"].is_null());
    // The place of the largest entry, read back.
    let at = quantity(&report, "diagonal_max")["at"].as_str();
    let at = at.expect("a place");
    let at = at
        .strip_prefix("fc.weight[")
        .and_then(|at| at.strip_suffix(']'));
    let at: Vec<usize> = at
        .expect("a weight: pixels are larger than one")
        .split(", ")
        .map(|index| index.parse().expect("an index"))
        .collect();
    let there = exact[at[0] * 784 + at[1]];
    assert!((there - largest).abs() <= 1e-12 * largest, "{at:?}");
    let files = [
        "diagonal.safetensors",
        "diagonal-standard-errors.safetensors",
    ];
    assert_eq!(report["files"], serde_json::json!(files));
    let [diagonal, errors] = files.map(|name| file(&out.join(name)));
    for (name, shape, range) in [
        ("fc.weight", vec![10, 784], 0..7840),
        ("fc.bias", vec![10], 7840..7850),
    ] {
        let (got_shape, got) = &diagonal[name];
        assert_eq!(got_shape, &shape, "{name}");
        for (got, exact) in got.iter().zip(&exact[range]) {
            assert!((got - exact).abs() <= 1e-9 * largest, "{got:e} {exact:e}");
        }
        assert_eq!(errors[name].0, shape, "{name}");
    }
    assert_eq!((diagonal.len(), errors.len()), (2, 2));
}

#[test]
fn the_diagonal_of_a_group_is_the_same_entries() {
    let place = Place::new("logistic");
    let exact = &exact(&place, 3)[7840..];
    let out = place.path("out");
    let line = format!(
        "--examples 3 --threads 1 --parameters fc.bias --what diagonal=10 --out {}",
        out.display()
    );
    let report = place.json(&line);
    let got = file(&out.join("diagonal.safetensors"));
    assert_eq!(got.keys().collect::<Vec<_>>(), ["fc.bias"]);
    for (got, exact) in got["fc.bias"].1.iter().zip(exact) {
        // As many probes as rows.
        assert!((got - exact).abs() <= 1e-9, "{got:e} {exact:e}");
    }
    let at = quantity(&report, "diagonal_max")["at"].as_str();
    let at = at.expect("a place");
    assert!(at.starts_with("fc.bias["), "{at}");
}

/// Fewer probes than eigenvalues: the sum is within four of its errors, over eight seeds.
#[test]
fn a_budget_takes_fewer_probes_and_says_so() {
    let place = Place::new("logistic");
    let sum: f64 = exact(&place, 12).iter().sum();
    for seed in 0..8 {
        let line =
            format!("--examples 12 --threads 1 --what diagonal=60 --budget 25 --seed {seed}");
        let report = place.json(&line);
        assert_eq!(number(&report, "diagonal_sum", "probes"), 12.0);
        assert_eq!(quantity(&report, "diagonal_sum")["stop"], "budget");
        let error = number(&report, "diagonal_sum", "standard_error");
        let away = (value(&report, "diagonal_sum") - sum).abs();
        assert!(
            away <= 4.0 * error && error < 0.5 * sum,
            "{away:e} {error:e} {sum:e}"
        );
    }
    let line = "--examples 12 --threads 1 --what diagonal=4";
    for name in ["diagonal_sum", "diagonal_norm"] {
        let report = place.json(line);
        assert!(quantity(&report, name)["stop"].is_null(), "{name}");
    }
    let table = place.table(line);
    let row = table.lines().find(|line| line.starts_with("diagonal_max"));
    let row = row.expect("a row");
    assert!(row.contains("at fc.weight["), "{table}");
    // Four probes leave errors as large as the entries, and the largest of thousands is one.
    let noise = "no more than the largest of so many errors";
    assert!(row.ends_with(noise), "{table}");
}

/// How accurate it is by then, and that more takes more products, have tests of the sketch itself.
#[test]
fn it_goes_on_until_the_whole_is_as_accurate_as_asked_and_says_how_accurate_it_is() {
    let place = Place::new("logistic");
    let line = "--examples 12 --threads 1 --what diagonal --relative-error 0.3";
    let report = place.json(line);
    assert_eq!(quantity(&report, "diagonal_norm")["stop"], "accurate");
    let relative = number(&report, "diagonal_norm", "relative_error");
    assert!(relative <= 0.3, "{relative}");
    let table = place.table(line);
    let row = table.lines().find(|line| line.starts_with("diagonal_norm"));
    let said = format!("; as accurate as asked; relative error {relative:.2e}");
    assert!(row.expect("a row").ends_with(&said), "{table}");
}

#[test]
fn products_and_memory_end_it_and_no_time_leaves_no_number() {
    let place = Place::new("logistic");
    for (options, stop, least, most) in [
        ("--budget 50", "budget", 48, 48),
        ("--budget 9", "budget", 8, 8),
        // Of 7,850 doubles for each vector: 16 for the block and its products beside those of the probes.
        ("--vector-memory 5", "memory", 16, 80),
    ] {
        let line = "--examples 12 --threads 1 --what diagonal --relative-error 1e-7";
        let report = place.json(&format!("{line} {options}"));
        for name in ["diagonal_sum", "diagonal_norm"] {
            assert_eq!(quantity(&report, name)["stop"], stop, "{options}");
            let products = products(&report, name);
            assert!((least..=most).contains(&products), "{options}: {products}");
        }
    }
    // The limit is looked at before the first product.
    for probes in ["", "=60"] {
        let line = format!("--examples 12 --threads 1 --what diagonal{probes} --time-limit 1e-9");
        let report = place.json(&line);
        let why = &report["matrices"][0]["undefined"][format!("diagonal{probes}")];
        let why = why.as_str().expect("a reason");
        assert!(why.contains("the time limit ended it"), "{why}");
        assert_eq!(all_products(&report), 0);
    }
}

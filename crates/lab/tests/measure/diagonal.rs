//! `--what diagonal` against closed forms.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{Device, Tensor, safetensors};

use crate::oracle::{Of, of_logistic};
use crate::program::{Place, ended, number, value};

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

/// Three examples have 27 eigenvalues besides zero, which 32 probes hold: nothing is left to chance.
#[test]
fn a_sketch_of_the_whole_range_is_exact() {
    let place = Place::new("logistic");
    let exact = exact(&place, 3);
    let out = place.path("out");
    let line = format!(
        "--examples 3 --threads 1 --what diagonal --out {}",
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
        assert_eq!(report[name]["products"], 64, "{name}");
        assert_eq!(report[name]["probes"], 32, "{name}");
    }
    assert!(report["diagonal_max"]["stop"].is_null());
    // The place of the largest entry, read back.
    let at = report["diagonal_max"]["at"].as_str().expect("a place");
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
    assert_eq!(report["pictures"], serde_json::json!(files));
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
    let at = report["diagonal_max"]["at"].as_str().expect("a place");
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
        assert_eq!(report["diagonal_sum"]["probes"], 12);
        assert_eq!(report["diagonal_sum"]["stop"], "the budget ended it");
        let error = number(&report, "diagonal_sum", "standard_error");
        let away = (value(&report, "diagonal_sum") - sum).abs();
        assert!(
            away <= 4.0 * error && error < 0.5 * sum,
            "{away:e} {error:e} {sum:e}"
        );
    }
    let (_, table, _) = ended(place.start("--examples 12 --threads 1 --what diagonal=4"));
    let row = table.lines().find(|line| line.starts_with("diagonal_max"));
    let row = row.expect("a row");
    assert!(row.contains("at fc.weight["), "{table}");
    // Four probes leave errors as large as the entries, and the largest of thousands is one.
    let noise = "no more than the largest of so many errors";
    assert!(row.ends_with(noise), "{table}");
}

//! `--what diagonal` against closed forms.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

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
        assert_eq!(report[name]["products"], 64, "{name}");
        assert_eq!(report[name]["probes"], 32, "{name}");
    }
    for name in ["diagonal_sum", "diagonal_norm", "diagonal_max"] {
        assert_eq!(report[name]["stop"], "as accurate as asked", "{name}");
    }
    let norm = exact.iter().map(|entry| entry * entry).sum::<f64>().sqrt();
    let away = (value(&report, "diagonal_norm") - norm).abs();
    assert!(away <= 1e-9 * norm, "{away:e}");
    assert!(number(&report, "diagonal_norm", "relative_error") <= 1e-6);
    assert!(report["diagonal_sum"]["relative_error"].is_null());
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
    let line = "--examples 12 --threads 1 --what diagonal=4";
    for name in ["diagonal_sum", "diagonal_norm"] {
        assert!(place.json(line)[name]["stop"].is_null(), "{name}");
    }
    let (_, table, _) = ended(place.start(line));
    let row = table.lines().find(|line| line.starts_with("diagonal_max"));
    let row = row.expect("a row");
    assert!(row.contains("at fc.weight["), "{table}");
    // Four probes leave errors as large as the entries, and the largest of thousands is one.
    let noise = "no more than the largest of so many errors";
    assert!(row.ends_with(noise), "{table}");
}

/// ‖d - diag A‖ and ‖diag A‖.
fn distance(got: &HashMap<String, (Vec<usize>, Vec<f64>)>, exact: &[f64]) -> [f64; 2] {
    let entries = got["fc.weight"].1.iter().chain(&got["fc.bias"].1);
    let squares = entries
        .zip(exact)
        .fold([0.0, 0.0], |[away, norm], (got, exact)| {
            [away + (got - exact).powi(2), norm + exact * exact]
        });
    squares.map(f64::sqrt)
}

#[test]
fn it_goes_on_until_the_whole_is_as_accurate_as_asked() {
    let place = Place::new("logistic");
    let exact = exact(&place, 12);
    let mut before = 0;
    for goal in [1.0, 0.3, 0.05] {
        let out = place.path(&format!("out-{goal}"));
        let line = format!(
            "--examples 12 --threads 1 --what diagonal --relative-error {goal} --out {}",
            out.display()
        );
        let report = place.json(&line);
        let norm = &report["diagonal_norm"];
        assert_eq!(norm["stop"], "as accurate as asked", "{goal}");
        let products = norm["products"].as_u64().expect("a number");
        assert!(products > before, "{goal}: {products}");
        before = products;
        let relative = number(&report, "diagonal_norm", "relative_error");
        assert!(relative <= goal, "{goal}: {relative}");
        let [away, truth] = distance(&file(&out.join("diagonal.safetensors")), &exact);
        // The bound holds 95 % of the time, and of so many entries it is twice what is needed.
        assert!(away <= relative * truth, "{goal}: {away:e} {relative:e}");
        assert!(
            away >= 0.1 * relative * truth,
            "{goal}: {away:e} {relative:e}"
        );
    }
    // The same numbers for people.
    let line = "--examples 12 --threads 1 --what diagonal --relative-error 0.3";
    let relative = number(&place.json(line), "diagonal_norm", "relative_error");
    let (_, table, _) = ended(place.start(line));
    let row = table.lines().find(|line| line.starts_with("diagonal_norm"));
    let said = format!("; as accurate as asked; relative error {relative:.2e}");
    assert!(row.expect("a row").ends_with(&said), "{table}");
}

#[test]
fn products_time_and_memory_end_it() {
    let place = Place::new("logistic");
    for (options, stop, least, most) in [
        ("--budget 50", "the budget ended it", 48, 48),
        ("--budget 9", "the budget ended it", 8, 8),
        ("--time-limit 1e-9", "the time limit ended it", 16, 16),
        // Of 7,850 doubles for each vector: 16 for the block and its products beside those of the probes.
        ("--vector-memory 5", "the memory ended it", 16, 80),
    ] {
        let line = "--examples 12 --threads 1 --what diagonal --relative-error 1e-7";
        let report = place.json(&format!("{line} {options}"));
        for name in ["diagonal_sum", "diagonal_norm"] {
            assert_eq!(report[name]["stop"], stop, "{options}");
            let products = report[name]["products"].as_u64().expect("a number");
            assert!((least..=most).contains(&products), "{options}: {products}");
        }
    }
    // So many probes end early by time alone.
    let line = "--examples 12 --threads 1 --what diagonal=60 --time-limit 1e-9";
    let report = place.json(line);
    assert_eq!(report["diagonal_sum"]["stop"], "the time limit ended it");
    assert_eq!(report["diagonal_sum"]["probes"], 8);
}

#[test]
fn a_killed_sketch_goes_on_to_the_same_bits() {
    let place = Place::new("logistic");
    let line =
        "--examples 200 --threads 1 --what diagonal --relative-error 0.2 --budget 300 --json";
    let (code, whole, error) = ended(place.start(line));
    assert_eq!((code, error.as_str()), (0, ""));
    let journal = place.path("journal");
    let line = format!("{line} --journal {}", journal.display());
    let mut child = place.start(&line);
    let started = Instant::now();
    // Forty vectors of 7,850 doubles: beyond the first probes.
    while fs::metadata(&journal).map_or(0, |file| file.len()) < 40 * 62_800 {
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "it does not grow"
        );
        sleep(Duration::from_millis(1));
    }
    child.kill().expect("the child is ours");
    child.wait().expect("the child is ours");
    assert!(journal.exists());
    let (code, resumed, error) = ended(place.start(&line));
    assert_eq!((code, error.as_str()), (0, ""));
    assert_eq!(resumed, whole);
    assert!(!journal.exists());
}

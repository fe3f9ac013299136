//! Processes that share the examples measure what one process does.

use std::path::Path;

use candle_core::{Device, Tensor};
use flatness_data::LabelledTensors;
use flatness_engine::{JournalFile, Resources};
use flatness_layers::Workers;
use flatness_records::{BatchNorm, Matrix, Measured, Request, What};
use flatness_testkit::{Activation, Problem, coupled_images, on_ranks};
use serde_json::Value;

use crate::oracle::{EXAMPLES, Place, WIDTHS, problem, request};

/// All numbers of a measurement but their errors and what they took, by where they stand.
fn values(measured: &Measured) -> Vec<(String, f64)> {
    fn add(place: &str, value: &Value, values: &mut Vec<(String, f64)>) {
        match value {
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    add(&format!("{place}[{index}]"), item, values);
                }
            }
            Value::Object(fields) => {
                let beside = [
                    "rounding",
                    "residual",
                    "resolution",
                    "gap",
                    "cost",
                    "products",
                    "steps",
                ];
                let is_beside = |name: &str| name.ends_with("error") || beside.contains(&name);
                for (name, field) in fields.iter().filter(|(name, _)| !is_beside(name)) {
                    add(&format!("{place}.{name}"), field, values);
                }
            }
            Value::Number(number) => {
                values.push((place.to_owned(), number.as_f64().expect("a number")));
            }
            _ => (),
        }
    }
    let mut found = Vec::new();
    let measured = serde_json::to_value(measured).expect("JSON");
    add("", &measured, &mut found);
    found
}

type Make<'m> = &'m (dyn Fn() -> Problem + Sync);

fn on(size: usize, threads: usize, problem: Make<'_>, asked: &Request) -> Vec<Measured> {
    on_ranks(size, |ranks| {
        let workers = Workers::new(threads).expect("threads").among(ranks);
        Place::of(problem()).with(workers).measure(asked)
    })
}

/// What is asked of the measures that take numbers: nothing that is beyond rounding. Loss rises are from 1e-2 of the loss on.
const NUMBERS: [(&str, &str); 12] = [
    ("top", "2"),
    ("bottom", "1"),
    ("diagonal", "4"),
    ("rank", "0.1"),
    ("log-determinant", "10"),
    ("count", "0.1:100"),
    ("pac-bayes", "0.1"),
    ("keskar", "1e-3"),
    ("keskar-ball", "1e-3"),
    ("quadratic", "0.1:0.3"),
    ("scaling", "1:2"),
    ("rescaling", "1:2"),
];

/// Products of the search, and steps of the quadrature behind it: together fewer than the rank of any of the matrices. Ritz
/// values beyond that are what rounding makes of zero, and the entropy of an effective rank has no derivative there.
const STEPS: usize = 4;

/// Those of the layers of a network, which batch-norm refuses.
const OF_LAYERS: [&str; 2] = ["scaling", "rescaling"];

/// All that can be asked for but what is `left_out`: eigenvalues, whose search would go on for the others, what else is of a
/// matrix, and what is of the network.
fn everything(left_out: &[&str]) -> [Request; 3] {
    let names = What::NAMES.split(", ").map(|name| {
        let end = name.find(['[', '=']).unwrap_or(name.len());
        &name[..end]
    });
    let asked = names.filter(|name| !left_out.contains(name)).map(|name| {
        let number = NUMBERS.iter().find(|(named, _)| *named == name);
        let what = number.map_or_else(|| name.to_owned(), |(_, number)| format!("{name}={number}"));
        what.parse::<What>().expect(name)
    });
    let (of_matrix, of_network): (Vec<What>, _) = asked.partition(What::of_matrix);
    let is_end = |what: &What| matches!(what, What::Top(_) | What::Bottom(_));
    let (ends, of_matrix) = of_matrix.into_iter().partition(is_end);
    let of = |what: Vec<What>, matrices: &[Matrix]| Request {
        what,
        matrices: matrices.to_vec(),
        search: STEPS,
        steps: STEPS,
        ..request("top")
    };
    let matrices = [
        Matrix::Hessian,
        Matrix::GaussNewton,
        Matrix::Residual,
        Matrix::EmpiricalFisher,
        Matrix::GradientCovariance,
    ];
    [
        of(ends, &matrices),
        of(of_matrix, &matrices),
        of(of_network, &[Matrix::Hessian]),
    ]
}

/// Rounding of sums.
const ROUNDING: f64 = 1e-12;

/// That of single nodes of a rule, which stems and a logarithmic density show: where one lies is the worse determined the less
/// weight it has. Numbers are sums over all nodes by their weights.
const OF_NODES: f64 = 1e-9;

/// As many ranks with as many threads have one rank's values and each the same bits.
fn check(what: &str, problem: Make<'_>, asked: &Request, sizes: &[(usize, usize)]) {
    let alone = values(&Place::of(problem()).measure(asked));
    for &(size, threads) in sizes {
        let measured = on(size, threads, problem, asked);
        for one in &measured[1..] {
            assert_eq!(one, &measured[0], "{what}: ranks of {size} differ");
        }
        let together = values(&measured[0]);
        assert_eq!(together.len(), alone.len(), "{what}, {size} ranks");
        for ((place, got), (expected_place, expected)) in together.iter().zip(&alone) {
            assert_eq!(place, expected_place);
            let of_nodes = [".stems", ".log_density"]
                .iter()
                .any(|of| place.contains(of));
            let rounding = if of_nodes { OF_NODES } else { ROUNDING };
            let close = (got - expected).abs() <= rounding * expected.abs().max(1.0);
            assert!(
                close,
                "{what}, {size} ranks: {place} is {got:e}, alone {expected:e}"
            );
        }
    }
}

#[test]
fn every_measure_is_the_same_on_several_ranks() {
    // With one hidden layer the residual has its eigenvalues in pairs of either sign, and a norm takes the sign of one.
    let relu = || problem(&[5, 4, 4, 3], Activation::Relu);
    for asked in everything(&[]) {
        let what = format!("{:?}", asked.what);
        // More than there are examples at the end.
        check(&what, &relu, &asked, &[(2, 1), (3, 2), (EXAMPLES + 1, 1)]);
        let repeated = [0; 2].map(|_| on(3, 2, &relu, &asked));
        assert_eq!(repeated[0], repeated[1], "{what}: the bits do not repeat");
    }
}

#[test]
fn every_measure_of_batch_norm_is_the_same_on_several_ranks_in_both_meanings() {
    let problem = || coupled_images(EXAMPLES, 5).swap_remove(1).1;
    for batch_norm in [BatchNorm::Frozen, BatchNorm::Batch] {
        let with = |asked| Request {
            batch_norm,
            batch_size: Some(5),
            ..asked
        };
        for asked in everything(&OF_LAYERS).map(with) {
            let what = format!("{batch_norm:?}, {:?}", asked.what);
            // More than there are batches at the end.
            check(&what, &problem, &asked, &[(2, 2), (4, 1)]);
        }
        for name in OF_LAYERS {
            let refusal = Place::of(problem()).refusal(&with(request(&format!("{name}=2"))));
            assert!(
                refusal.starts_with(&format!("--what {name}: ")),
                "{refusal}"
            );
        }
    }
}

/// The sampling error multiplies the folds of the sample one by one.
#[test]
fn the_error_of_a_sample_is_the_same_on_several_ranks() {
    let mut asked = request("top,trace");
    asked.sample = Some(EXAMPLES - 2);
    check(
        "a sample",
        &|| problem(&WIDTHS, Activation::Tanh),
        &asked,
        &[(2, 1), (3, 2), (4, 1), (EXAMPLES + 1, 1)],
    );
}

/// Clock, memory and journal are those of one rank, and all others do as it does.
#[test]
fn what_ranks_cannot_both_know_is_decided_by_one() {
    let asked = request("top=2,trace");
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("journal");
    let measure = |path: Option<&Path>, expired_on: Option<usize>| {
        on_ranks(2, |ranks| {
            let rank = ranks.rank();
            let mut place = Place::new();
            // A megabyte less on one of them.
            place.vectors = (32 << 20) - ((rank as u64) << 20);
            let place = place.with(Workers::new(1).expect("a thread").among(ranks));
            let resources = Resources {
                interrupt: &|| expired_on == Some(rank),
                journal: path.map(|path| JournalFile { path, identity: "" }),
                ..place.resources()
            };
            let found = place.found_with(&place.subject(), &resources, &asked);
            found.expect("a measurement").measured
        })
    };
    let plain = measure(None, Some(1));
    assert!(
        plain[0].number("lambda_max").is_some(),
        "the clock of rank 1 counts for nothing"
    );
    let expired = measure(None, Some(0));
    assert!(expired.iter().all(|one| one.number("lambda_max").is_none()));
    for _ in 0..2 {
        let journalled = measure(Some(&file), None);
        assert_eq!(journalled[0].numbers, plain[0].numbers);
        assert_eq!(journalled[0], journalled[1]);
        assert!(file.exists());
    }
}

/// A rank with something else is found out before the first sum.
#[test]
fn ranks_that_do_not_measure_the_same_are_told_in_what_they_differ() {
    let asked = request("trace");
    let refused = |rank: usize, change: &(dyn Fn(&mut Place, &mut Request) -> Workers + Sync)| {
        let errors = on_ranks(3, |ranks| {
            let (mut place, mut asked) = (Place::new(), asked.clone());
            let mut workers = Workers::new(1).expect("a thread");
            if ranks.rank() == rank {
                workers = change(&mut place, &mut asked);
            }
            let found = place.with(workers.among(ranks)).found(&asked);
            found.expect_err("a refusal").to_string()
        });
        assert!(errors.iter().all(|error| *error == errors[0]), "{errors:?}");
        errors[0].clone()
    };
    let one = || Workers::new(1).expect("a thread");
    let says = |error: String, what: &str| {
        let expected = format!("rank 2 differs from rank 0 in {what}; start all ranks");
        assert!(error.starts_with(&expected), "{error}");
    };
    says(
        refused(2, &|place, _| {
            let mut theta = place.problem.theta.clone();
            let last = theta.last_mut().expect("parameters");
            *last = f64::from_bits(last.to_bits() ^ 1);
            place.weights.theta = Tensor::new(theta, &Device::Cpu).expect("a vector");
            one()
        }),
        "weights",
    );
    says(
        refused(2, &|_, asked| {
            asked.tolerance *= 2.0;
            one()
        }),
        "request",
    );
    says(
        refused(2, &|place, _| {
            *place = Place::of(problem(&WIDTHS, Activation::Tanh));
            one()
        }),
        "network",
    );
    says(
        refused(2, &|place, _| {
            let inputs = (&place.problem.inputs * 2.0).expect("a tensor");
            let labels = &place.problem.labels;
            let data = LabelledTensors::new("toy", &inputs, labels, place.problem.classes());
            place.data = data.expect("examples");
            one()
        }),
        "data",
    );
    says(
        refused(2, &|_, _| Workers::new(2).expect("threads")),
        "threads",
    );
    // Where the first is the odd one, the second is the first that differs from it.
    let error = refused(0, &|_, asked| {
        asked.what.push(What::Frobenius);
        Workers::new(2).expect("threads")
    });
    assert!(
        error.starts_with("rank 1 differs from rank 0 in threads, request; "),
        "{error}"
    );
}

#[test]
fn a_rank_that_ends_ends_the_others_in_a_sentence() {
    let errors = on_ranks(3, |ranks| {
        let rank = ranks.rank();
        let place = Place::new().with(Workers::new(1).expect("a thread").among(ranks));
        if rank == 2 {
            return None;
        }
        let found = place.found(&request("top"));
        Some(found.expect_err("no measurement").to_string())
    });
    let first = errors[0].as_ref().expect("rank 0 was at work");
    assert!(
        first.contains("rank 2 has ended before the others"),
        "{first}"
    );
    assert!(
        errors[1]
            .as_ref()
            .expect("rank 1 was at work")
            .contains("has ended")
    );
}

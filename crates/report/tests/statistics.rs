//! Every kind of statistic on records whose answer is known by hand.

mod synthetic;

use flatness_records::{Outcome, Record};
use flatness_report::{Sample, Statistic};

use synthetic::{answers, curve, path, record, sgd, with};

fn evaluate(statistic: &str, runs: &[Record], model: &str) -> Sample {
    #[derive(serde::Deserialize)]
    struct Holder {
        statistic: Statistic,
    }
    let holder: Holder = toml::from_str(&format!("statistic = {statistic}")).expect("a statistic");
    holder
        .statistic
        .evaluate(&runs.iter().collect::<Vec<_>>(), model)
}

/// The one number, to rounding.
fn check(statistic: &str, runs: &[Record], expected: f64) {
    let sample = evaluate(statistic, runs, "mlp");
    let [seed] = sample.seeds.as_slice() else {
        panic!("{statistic}: {sample:?}");
    };
    assert!(
        (seed.value - expected).abs() < 1e-12,
        "{statistic}: {} is not {expected}",
        seed.value
    );
}

fn mlp(decay: f64, pairs: &[(&str, f64)]) -> Record {
    with(record("mlp", 0, &sgd(decay)), pairs)
}

#[test]
fn runs_of_a_seed_are_compared() {
    let runs = [
        mlp(
            0.0,
            &[
                ("trace", 2.0),
                ("parameter_norm", 10.0),
                ("validation.accuracy", 0.7),
            ],
        ),
        mlp(
            1e-4,
            &[
                ("trace", 6.0),
                ("parameter_norm", 5.0),
                ("validation.accuracy", 0.9),
                ("test.accuracy", 0.95),
            ],
        ),
        mlp(
            5e-4,
            &[
                ("trace", 8.0),
                ("parameter_norm", 5.0),
                ("validation.accuracy", 0.8),
            ],
        ),
        with(record("cnn", 0, &sgd(5e-4)), &[("trace", 16.0)]),
    ];
    let sides = "treatment = { weight_decay = 5e-4 }, control = { weight_decay = 0.0 }";
    check(
        &format!("{{ kind = 'log-ratio', quantity = 'trace * parameter_norm^2', {sides} }}"),
        &runs,
        0.0,
    );
    check(
        &format!("{{ kind = 'difference', quantity = 'trace', {sides} }}"),
        &runs,
        6.0,
    );
    check(
        "{ kind = 'value', quantity = 'trace', select = { weight_decay = { up_to = 1e-4 } } }",
        &runs,
        4.0,
    );
    check(
        "{ kind = 'value', quantity = 'trace', select = { weight_decay = [1e-4, 5e-4] } }",
        &runs,
        7.0,
    );
    check(
        "{ kind = 'factor', quantity = 'trace / parameters', select = { weight_decay = 0.0 } }",
        &runs,
        (2.0f64 / 9960.0).ln(),
    );
    check(
        "{ kind = 'value', quantity = 'trace', select = { train.optimizer.weight_decay = 5e-4 } }"
            .replace(
                "train.optimizer.weight_decay",
                "\"train.optimizer.weight_decay\"",
            )
            .as_str(),
        &runs,
        8.0,
    );
    // A twin of another name.
    check(
        "{ kind = 'difference', quantity = 'trace', treatment = { model = 'cnn' }, control = { model = '{model}', weight_decay = 5e-4 } }",
        &runs,
        8.0,
    );
    let best = "{ kind = 'accuracy-gain', treatment = { weight_decay = { above = 0.0 }, highest = 'validation.accuracy' }, control = { weight_decay = 0.0 } }";
    check(best, &runs, 0.95 - 0.9);
    assert_eq!(evaluate(best, &runs, "mlp").chosen, ["1e-4"]);
    // Two runs fit: nobody knows which is meant.
    assert!(evaluate("{ kind = 'difference', quantity = 'trace', treatment = {}, control = { weight_decay = 0.0 } }", &runs, "mlp").seeds.is_empty());
    let mut diverged = runs;
    diverged[2].outcome = Outcome::Diverged {
        epoch: 1,
        learning_rate: 0.1,
        step: 1,
        loss: f64::NAN,
        parameter_norm: 1.0,
    };
    assert!(
        evaluate(
            &format!("{{ kind = 'difference', quantity = 'trace', {sides} }}"),
            &diverged,
            "mlp"
        )
        .seeds
        .is_empty()
    );
}

#[test]
fn an_accuracy_gain_has_mcnemars_error() {
    // Images 0 to 29 only with decay, 30 to 39 only without, 40 to 899 with both: b = 30, c = 10.
    let runs = [
        answers(mlp(0.0, &[("test.accuracy", 0.87)]), |image| {
            (30..900).contains(&image)
        }),
        answers(mlp(5e-4, &[("test.accuracy", 0.89)]), |image| {
            image < 30 || (40..900).contains(&image)
        }),
    ];
    let statistic = "{ kind = 'accuracy-gain', treatment = { weight_decay = 5e-4 }, control = { weight_decay = 0.0 } }";
    let error = evaluate(statistic, &runs, "mlp").shared_error.unwrap();
    let expected = (40.0f64 - 400.0 / 1000.0).sqrt() / 1000.0;
    assert!((error - expected).abs() < 1e-15, "{error} {expected}");
    // Without the answers the two accuracies count as independent.
    let bare = runs.map(|run| Record {
        test_correct: None,
        ..run
    });
    let expected = ((0.87 * 0.13 + 0.89 * 0.11) / 1000.0f64).sqrt();
    assert!((evaluate(statistic, &bare, "mlp").shared_error.unwrap() - expected).abs() < 1e-15);
}

#[test]
fn numbers_along_training_and_curves() {
    let along = |pairs: [[f64; 3]; 4]| -> Record {
        let rows = pairs.map(|[loss, lambda, accuracy]| {
            [
                ("train.loss", loss),
                ("spectral_norm", lambda),
                ("train.accuracy", accuracy),
            ]
        });
        path(mlp(0.0, &[]), &rows.each_ref().map(|row| row.as_slice()))
    };
    let run = [along([
        [4.0, 1.0, 0.5],
        [1.0, 8.0, 1.0],
        [0.25, 4.0, 1.0],
        [0.0625, 2.0, 1.0],
    ])];
    check(
        "{ kind = 'end-over-peak', quantity = 'spectral_norm', along = 'training' }",
        &run,
        0.25,
    );
    check(
        "{ kind = 'range', quantity = 'spectral_norm', along = 'training' }",
        &run,
        7.0,
    );
    check(
        "{ kind = 'log-range', quantity = 'spectral_norm', along = 'training' }",
        &run,
        8f64.ln(),
    );
    // λ₁ = 8 √L once all are classified.
    check(
        "{ kind = 'slope', x = 'train.loss', y = 'spectral_norm', along = 'training', once = { quantity = 'train.accuracy', at_least = 1.0 } }",
        &run,
        0.5,
    );
    // Of six pairs loss and λ₁ agree in three and disagree in three.
    check(
        "{ kind = 'rank-correlation', x = 'train.loss', y = 'spectral_norm', along = 'training' }",
        &run,
        0.0,
    );
    // Half-way in logarithms between 1 and 0.25, and exactly at a point.
    check(
        "{ kind = 'value', quantity = 'spectral_norm', at = { quantity = 'train.loss', falls_to = 0.5 } }",
        &run,
        32f64.sqrt(),
    );
    check(
        "{ kind = 'value', quantity = 'spectral_norm', at = { quantity = 'train.loss', falls_to = 0.25 } }",
        &run,
        4.0,
    );
    // Matched at the lowest loss that both reach: 0.25, where the first has 4 and the second, at its end, 16.
    let mut other = along([
        [4.0, 1.0, 0.5],
        [1.0, 8.0, 1.0],
        [0.5, 9.0, 1.0],
        [0.25, 16.0, 1.0],
    ]);
    other.spec = record("mlp", 0, &sgd(5e-4)).spec;
    let [one] = run;
    check(
        "{ kind = 'log-ratio', quantity = 'spectral_norm', treatment = { weight_decay = 5e-4 }, control = { weight_decay = 0.0 }, at = { quantity = 'train.loss' } }",
        &[one, other],
        4f64.ln(),
    );

    let rows: [&[(&str, f64)]; 2] = [
        &[("ratio", 1.5), ("rise", 3.0)],
        &[("ratio", 3.0), ("rise", 12.0)],
    ];
    let run = [curve(
        mlp(0.0, &[]),
        "rise.random",
        &[(1e-3, rows[0]), (1e-2, rows[1])],
    )];
    check(
        "{ kind = 'value', quantity = 'ratio * rise', at = { curve = 'rise.random', x = 1e-2 } }",
        &run,
        36.0,
    );
    check(
        "{ kind = 'slope', x = 'x', y = 'rise', along = 'rise.random' }",
        &run,
        4f64.ln() / 10f64.ln(),
    );
}

#[test]
fn slopes_and_ranks_over_runs() {
    // scipy.stats.linregress(np.log([1, 2, 4, 8]), np.log([3, 5, 11, 30])): slope and stderr
    let runs: Vec<Record> = [(1.0, 3.0), (2.0, 5.0), (4.0, 11.0), (8.0, 30.0)]
        .iter()
        .zip([0.0, 1e-4, 5e-4, 1e-3])
        .map(|((x, y), decay)| mlp(decay, &[("spectral_norm", *x), ("trace", *y)]))
        .collect();
    let slope = "{ kind = 'slope', x = 'spectral_norm', y = 'trace' }";
    check(slope, &runs, 1.1103287808412023);
    assert!((evaluate(slope, &runs, "mlp").seeds[0].error - 0.11252131842616607).abs() < 1e-12);

    // scipy.stats.kendalltau of each pair of columns, then Kendall's formula with 0.6, 0.7333 and 0.3333.
    let rows = [
        (1.0, 2.0, 1.0),
        (2.0, 1.0, 3.0),
        (3.0, 4.0, 2.0),
        (4.0, 3.0, 5.0),
        (5.0, 6.0, 4.0),
        (6.0, 5.0, 6.0),
    ];
    let runs: Vec<Record> = (1..)
        .zip(rows)
        .map(|(place, (x, y, z))| {
            mlp(
                1e-4 * f64::from(place),
                &[("trace", x), ("test.loss", y), ("parameter_norm", z)],
            )
        })
        .collect();
    check(
        "{ kind = 'rank-correlation', x = 'trace', y = 'test.loss' }",
        &runs,
        0.6,
    );
    check(
        "{ kind = 'rank-correlation', x = 'trace', y = 'test.loss', beyond = 'parameter_norm' }",
        &runs,
        0.6 - 1.0 / 3.0,
    );
    check(
        "{ kind = 'rank-correlation', x = 'trace', y = 'test.loss', given = ['parameter_norm'] }",
        &runs,
        0.554700196225229,
    );
}

#[test]
fn granulated_tau_compares_runs_that_differ_in_one_setting() {
    // Two decays by two rates. Along the decay x and y agree at both rates; along the rate once they do, once they do not.
    let run = |decay: f64, rate: &str, x: f64, y: f64| {
        with(
            record("mlp", 0, &sgd(decay).replace("0.03", rate)),
            &[("trace", x), ("test.loss", y)],
        )
    };
    let runs = [
        run(0.0, "0.03", 1.0, 1.0),
        run(1e-3, "0.03", 4.0, 4.0),
        run(0.0, "0.1", 2.0, 2.0),
        run(1e-3, "0.1", 5.0, 3.0),
    ];
    check(
        "{ kind = 'rank-correlation', x = 'trace', y = 'test.loss', granulated = ['weight_decay', 'learning_rate'] }",
        &runs,
        0.5,
    );
    // Over all pairs: five agree, one does not.
    check(
        "{ kind = 'rank-correlation', x = 'trace', y = 'test.loss' }",
        &runs,
        4.0 / 6.0,
    );
}

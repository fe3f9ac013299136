//! Every kind of statistic on records whose answer is known by hand.

mod synthetic;

use flatness_records::{Outcome, Record};
use flatness_report::{Sample, Statistic};
use serde_json::{Value, json};

use synthetic::{answers, curve, path, record, sgd, summaries, with};

fn evaluate(statistic: &str, runs: &[Record], model: &str) -> Sample {
    #[derive(serde::Deserialize)]
    struct Holder {
        statistic: Statistic,
    }
    let holder: Holder = toml::from_str(&format!("statistic = {statistic}")).expect("a statistic");
    let runs = summaries(runs);
    holder
        .statistic
        .evaluate(&runs.iter().collect::<Vec<_>>(), model)
}

/// Each row is a statistic and its one number, to rounding: `KIND ( FIELDS ) = NUMBER`.
fn check(rows: &str, runs: &[Record]) {
    for row in rows
        .trim()
        .lines()
        .map(str::trim)
        .filter(|row| !row.starts_with('#'))
    {
        let (statistic, expected) = row.rsplit_once(") = ").expect(row);
        let (kind, fields) = statistic.split_once(" ( ").expect(row);
        let sample = evaluate(&format!("{{ kind = '{kind}', {fields} }}"), runs, "mlp");
        let [seed] = sample.seeds.as_slice() else {
            panic!("{row}: {sample:?}");
        };
        let expected: f64 = expected.parse().expect(row);
        assert!(
            (seed.value - expected).abs() < 1e-12,
            "{row}: got {}",
            seed.value
        );
    }
}

fn mlp(decay: f64, values: &Value) -> Record {
    with(record("mlp", 0, &sgd(decay)), values)
}

#[test]
fn runs_of_a_seed_are_compared() {
    let of = |trace, norm, accuracy| json!({ "trace": trace, "parameter_norm": norm, "validation.accuracy": accuracy });
    let runs = [
        mlp(0.0, &of(2.0, 10.0, 0.7)),
        with(
            mlp(1e-4, &of(6.0, 5.0, 0.9)),
            &json!({ "test.accuracy": 0.95 }),
        ),
        mlp(5e-4, &of(8.0, 5.0, 0.8)),
        with(record("cnn", 0, &sgd(5e-4)), &json!({ "trace": 16.0 })),
    ];
    let best = "treatment = { weight_decay = { above = 0.0 }, highest = 'validation.accuracy' }, control = { weight_decay = 0.0 }";
    let sides = "treatment = { weight_decay = 5e-4 }, control = { weight_decay = 0.0 }";
    let rows = r#"
        log-ratio ( quantity = 'trace * parameter_norm^2', SIDES ) = 0
        difference ( quantity = 'trace', SIDES ) = 6
        value ( quantity = 'trace', select = { weight_decay = { up_to = 1e-4 } } ) = 4
        value ( quantity = 'trace', select = { weight_decay = [1e-4, 5e-4] } ) = 7
        value ( quantity = 'trace', select = { "train.optimizer.weight_decay" = 5e-4 } ) = 8
        # The logarithm of 2 / 9960.
        factor ( quantity = 'trace / parameters', select = { weight_decay = 0.0 } ) = -8.513185170018698
        # A twin of another name.
        difference ( quantity = 'trace', treatment = { model = 'cnn' }, control = { model = '{model}', weight_decay = 5e-4 } ) = 8
        accuracy-gain ( BEST ) = 0.05"#;
    check(&rows.replace("SIDES", sides).replace("BEST", best), &runs);
    let best = evaluate(
        &format!("{{ kind = 'accuracy-gain', {best} }}"),
        &runs,
        "mlp",
    );
    assert_eq!(best.chosen, ["1e-4"]);
    // Two runs fit: nobody knows which is meant.
    let ambiguous = "{ kind = 'difference', quantity = 'trace', treatment = {}, control = { weight_decay = 0.0 } }";
    assert!(evaluate(ambiguous, &runs, "mlp").seeds.is_empty());
    let mut diverged = runs;
    diverged[2].outcome = Outcome::Diverged {
        epoch: 1,
        learning_rate: 0.1,
        step: 1,
        loss: f64::NAN,
        parameter_norm: 1.0,
    };
    let difference = format!("{{ kind = 'difference', quantity = 'trace', {sides} }}");
    assert!(evaluate(&difference, &diverged, "mlp").seeds.is_empty());
}

#[test]
fn an_accuracy_gain_has_mcnemars_error() {
    // Images 0 to 29 only with decay, 30 to 39 only without, 40 to 899 with both: b = 30, c = 10.
    let without = mlp(0.0, &json!({ "test.accuracy": 0.87 }));
    let decayed = mlp(5e-4, &json!({ "test.accuracy": 0.89 }));
    let runs = [
        answers(without, |image| (30..900).contains(&image)),
        answers(decayed, |image| image < 30 || (40..900).contains(&image)),
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
    let along = |rows: [[f64; 3]; 4]| -> Record {
        let rows = rows.map(|[loss, lambda, accuracy]| {
            json!({ "train.loss": loss, "spectral_norm": lambda, "train.accuracy": accuracy })
        });
        path(&mlp(0.0, &json!({})), rows)
    };
    let first = [[4.0, 1.0, 0.5], [1.0, 8.0, 1.0]];
    let [first, second] = [
        [[0.25, 4.0, 1.0], [0.0625, 2.0, 1.0]],
        [[0.5, 9.0, 1.0], [0.25, 16.0, 1.0]],
    ]
    .map(|[third, last]| along([first[0], first[1], third, last]));
    check(
        "
        end-over-peak ( quantity = 'spectral_norm', along = 'training' ) = 0.25
        range ( quantity = 'spectral_norm', along = 'training' ) = 7
        # ln 8.
        log-range ( quantity = 'spectral_norm', along = 'training' ) = 2.0794415416798357
        # λ₁ = 8 √L once all are classified.
        slope ( x = 'train.loss', y = 'spectral_norm', along = 'training', once = { quantity = 'train.accuracy', at_least = 1.0 } ) = 0.5
        # Of six pairs loss and λ₁ agree in three and disagree in three.
        rank-correlation ( x = 'train.loss', y = 'spectral_norm', along = 'training' ) = 0
        # Half-way in logarithms between 1 and 0.25, which is the root of 32, and exactly at a point.
        value ( quantity = 'spectral_norm', at = { quantity = 'train.loss', falls_to = 0.5 } ) = 5.656854249492381
        value ( quantity = 'spectral_norm', at = { quantity = 'train.loss', falls_to = 0.25 } ) = 4",
        std::slice::from_ref(&first),
    );
    // Matched at the lowest loss that both reach: 0.25, where the first has 4 and the second, at its end, 16.
    let spec = record("mlp", 0, &sgd(5e-4)).spec;
    check(
        "log-ratio ( quantity = 'spectral_norm', treatment = { weight_decay = 5e-4 }, control = { weight_decay = 0.0 }, at = { quantity = 'train.loss' } ) = 1.3862943611198906",
        &[first, Record { spec, ..second }],
    );

    let points = [
        (1e-3, json!({ "ratio": 1.5, "rise": 3.0 })),
        (1e-2, json!({ "ratio": 3.0, "rise": 12.0 })),
    ];
    // The slope is ln 4 / ln 10.
    check(
        "
        value ( quantity = 'ratio * rise', at = { curve = 'rise.random', x = 1e-2 } ) = 36
        slope ( x = 'x', y = 'rise', along = 'rise.random' ) = 0.6020599913279623",
        &[curve(mlp(0.0, &json!({})), "rise.random", points)],
    );
}

#[test]
fn slopes_and_ranks_over_runs() {
    // scipy.stats.linregress(np.log([1, 2, 4, 8]), np.log([3, 5, 11, 30])): slope and stderr
    let points = [(1.0, 3.0), (2.0, 5.0), (4.0, 11.0), (8.0, 30.0)].iter();
    let runs = points.zip([0.0, 1e-4, 5e-4, 1e-3]);
    let runs = runs.map(|((x, y), decay)| mlp(decay, &json!({ "spectral_norm": *x, "trace": *y })));
    let runs: Vec<Record> = runs.collect();
    check(
        "slope ( x = 'spectral_norm', y = 'trace' ) = 1.1103287808412023",
        &runs,
    );
    let slope = "{ kind = 'slope', x = 'spectral_norm', y = 'trace' }";
    assert!((evaluate(slope, &runs, "mlp").seeds[0].error - 0.11252131842616607).abs() < 1e-12);

    // scipy.stats.kendalltau of each pair of columns, then Kendall's formula with 0.6, 0.7333 and 0.3333.
    let (x, y, z) = ([1, 2, 3, 4, 5, 6], [2, 1, 4, 3, 6, 5], [1, 3, 2, 5, 4, 6]);
    let runs = (0..6).map(|place| {
        let [x, y, z] = [x, y, z].map(|column| f64::from(column[place]));
        let decay = 1e-4 * (place + 1) as f64;
        mlp(
            decay,
            &json!({ "trace": x, "test.loss": y, "parameter_norm": z }),
        )
    });
    check(
        "
        rank-correlation ( x = 'trace', y = 'test.loss' ) = 0.6
        # 0.6 − 1/3.
        rank-correlation ( x = 'trace', y = 'test.loss', beyond = 'parameter_norm' ) = 0.26666666666666666
        rank-correlation ( x = 'trace', y = 'test.loss', given = ['parameter_norm'] ) = 0.554700196225229",
        &runs.collect::<Vec<_>>(),
    );
}

#[test]
fn granulated_tau_compares_runs_that_differ_in_one_setting() {
    // Two decays by two rates. Along the decay x and y agree at both rates; along the rate once they do, once they do not.
    let run = |decay: f64, rate: &str, x: f64, y: f64| {
        let run = record("mlp", 0, &sgd(decay).replace("0.03", rate));
        with(run, &json!({ "trace": x, "test.loss": y }))
    };
    let runs = [
        run(0.0, "0.03", 1.0, 1.0),
        run(1e-3, "0.03", 4.0, 4.0),
        run(0.0, "0.1", 2.0, 2.0),
        run(1e-3, "0.1", 5.0, 3.0),
    ];
    check(
        "
        rank-correlation ( x = 'trace', y = 'test.loss', granulated = ['weight_decay', 'learning_rate'] ) = 0.5
        # Over all pairs: five agree, one does not, which is 4/6.
        rank-correlation ( x = 'trace', y = 'test.loss' ) = 0.6666666666666666",
        &runs,
    );
}

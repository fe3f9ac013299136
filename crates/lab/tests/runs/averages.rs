//! Averages against plain sums over the checkpoints of all epochs, and batch-norm against plain loops.

use crate::program::{BATCH_NORM, CIFAR_EXAMPLES, Place, network, pixel, trained, weights};

const UNIFORM: &str = r#"kind = "uniform", from_epoch = 2, every = "epoch""#;

fn spec(average: &str) -> String {
    include_str!("averages.toml").replace("AVERAGE", &format!("{{ {average} }}"))
}

/// The average is that of the iterates by their `shares`.
fn check_average(average: &str, shares: &[f64]) {
    let place = Place::new(&spec(average));
    let finished = place.finish("runs");
    let directory = place.run_directory("runs");
    let model = network("logistic", &[1, 28, 28], 10);
    let of = |name: &str| weights(&directory.join(format!("{name}.safetensors")), &model).0;
    let epochs = 1..=shares.len();
    let iterates: Vec<_> = epochs
        .map(|epoch| of(&format!("checkpoint-{epoch}")))
        .collect();
    let got = of("average");
    for (place, got) in got.iter().enumerate() {
        let terms = iterates.iter().zip(shares);
        let expected: f64 = terms.map(|(iterate, share)| share * iterate[place]).sum();
        // A few roundings of numbers below 1.
        assert!(
            (got - expected).abs() < 1e-14,
            "{average}, {place}: {got}, {expected}"
        );
    }
    let last = of("checkpoint");
    assert_eq!(iterates.last(), Some(&last));
    let measured = finished.record["measurements"].as_array().expect("a list");
    let of = |measurement: &serde_json::Value| {
        let norm = measurement["numbers"]["parameter_norm"]["value"].as_f64();
        let norm = norm.expect("a number");
        (measurement["weights"].as_str().map(str::to_owned), norm)
    };
    let norm = |values: &[f64]| values.iter().map(|value| value * value).sum::<f64>().sqrt();
    let [(first, of_last), (second, of_average)] = [of(&measured[0]), of(&measured[1])];
    assert_eq!((first, second.as_deref()), (None, Some("average")));
    assert_eq!(measured.len(), 2);
    assert!((of_last - norm(&last)).abs() < 1e-12 * of_last);
    assert!((of_average - norm(&got)).abs() < 1e-12 * of_average);
}

#[test]
fn averages_are_plain_sums_over_the_epochs() {
    let third = 1.0 / 3.0;
    let of_two = [0.0, 0.0, 0.0, 0.5, 0.5];
    for (average, shares) in [
        (UNIFORM, [0.0, 0.0, third, third, third]),
        (
            r#"kind = "exponential", decay = 0.75, from_epoch = 1, every = "epoch""#,
            [0.0, 0.421_875, 0.140_625, 0.187_5, 0.25],
        ),
        (r#"kind = "tail", window = 2, every = "epoch""#, of_two),
        // One batch per epoch, so that steps are epochs.
        (
            r#"kind = "uniform", from_epoch = 3, every = "step""#,
            of_two,
        ),
    ] {
        check_average(average, &shares);
    }
}

#[test]
fn evaluations_along_training_end_with_what_is_measured() {
    let spec = spec(UNIFORM).replace("[train]\n", "[train]\nevaluate_every = 2\n");
    let place = Place::new(&spec);
    let finished = place.finish("runs");
    let metrics = std::fs::read_to_string(place.run_directory("runs").join("metrics.jsonl"));
    let lines: Vec<serde_json::Value> = (metrics.expect("a file").lines())
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let with = |name: &str| -> Vec<usize> {
        let epochs = lines.iter().zip(1..);
        epochs
            .filter(|(line, _)| line.get(name).is_some())
            .map(|(_, epoch)| epoch)
            .collect()
    };
    assert_eq!(with("evaluation"), [2, 4, 5]);
    assert_eq!(with("average_evaluation"), [4, 5]);
    for (index, name) in ["evaluation", "average_evaluation"].into_iter().enumerate() {
        let measured = &finished.record["measurements"][index];
        for (split, value) in [
            ("train", "loss"),
            ("test", "loss"),
            ("test", "accuracy"),
            ("train", "top5_accuracy"),
        ] {
            let got = lines[4][name][split][value].as_f64().expect("a number");
            let expected = measured["evaluation"][split][value].as_f64();
            let expected = expected.expect("a number");
            // Sums over batches of other sizes.
            assert!(
                (got - expected).abs() < 1e-12,
                "{name} {split} {value}: {got}, {expected}"
            );
        }
    }
}

#[test]
fn running_statistics_of_an_average_are_those_of_its_own_training_pass() {
    let place = Place::new(trained(BATCH_NORM));
    place.finish("runs");
    let directory = place.run_directory("runs");
    let model = network("preresnet-8", &[3, 32, 32], 100);
    let of = |name: &str| weights(&directory.join(name), &model);
    let (theta, buffers) = of("average.safetensors");
    let (_, of_last) = of("checkpoint.safetensors");
    // The first batch-norm takes what the first convolution gives: 3 x 3, no bias, 16 planes.
    assert_eq!(model.layout().parameters()[0].name, "conv1.weight");
    assert_eq!(model.layout().parameters()[0].shape, [16, 3, 3, 3]);
    assert!(
        model.buffers().parameters()[0]
            .name
            .ends_with("running_mean")
    );
    for plane in 0..16 {
        let expected = mean_of_convolution(&theta[27 * plane..27 * (plane + 1)]);
        // Single precision.
        let error = (buffers[plane] - expected).abs();
        assert!(
            error < 1e-5,
            "{plane}: {} instead of {expected}",
            buffers[plane]
        );
    }
    let moved = buffers
        .iter()
        .zip(&of_last)
        .filter(|(a, b)| (*a - *b).abs() > 1e-3);
    assert!(moved.count() > 0, "they are those of the last iterate");
}

/// Mean over the training images and all places of their convolution with `kernel` (3, 3, 3).
fn mean_of_convolution(kernel: &[f64]) -> f64 {
    // MATHS.md, section 4.
    let means = [0.4914, 0.4822, 0.4465];
    let deviations = [0.2023, 0.1994, 0.2010];
    let mut sum = 0.0;
    for index in 0..CIFAR_EXAMPLES {
        for (weight, place) in kernel.iter().zip(0..) {
            let (channel, row, column) = (place / 9, place / 3 % 3, place % 3);
            // The places of the image that this weight meets, with one zero around the image.
            let range = |shift: usize| shift.saturating_sub(1)..(31 + shift).min(32);
            for y in range(row) {
                for x in range(column) {
                    let byte = pixel(index, 1024 * channel + 32 * y + x);
                    let value = f64::from(byte) / 255.0;
                    sum += weight * (value - means[channel]) / deviations[channel];
                }
            }
        }
    }
    sum / (1024.0 * f64::from(CIFAR_EXAMPLES))
}

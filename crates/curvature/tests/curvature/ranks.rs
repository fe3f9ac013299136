//! What only training and evaluation ask for is the same on several ranks as on one.

use candle_core::DType;
use flatness_curvature::MeanLoss;
use flatness_layers::{Loss, Workers};
use flatness_testkit::{Problem, assert_close, coupled_images, on_ranks, values};

use crate::setup::{data, settings, theta};

/// Loss and hits, then gradient and statistics of a step, then the statistics of all batches.
fn asked(problem: &Problem, workers: &Workers) -> (Vec<bool>, Vec<f64>) {
    let (data, theta) = (data(problem), theta(problem));
    let settings = settings(DType::F64, 4);
    let network = &problem.network;
    let mean_loss = MeanLoss::new(network, &data, Loss::CrossEntropy, workers, settings).unwrap();
    let (evaluation, hits) = mean_loss.evaluate_each(&theta).unwrap();
    let step = mean_loss
        .training_gradient(&theta, &[0, 9, 3, 7, 1, 2], 0)
        .unwrap();
    let statistics = mean_loss.batch_statistics(&theta).unwrap();
    let mut numbers = vec![evaluation.loss, evaluation.accuracy, step.evaluation.loss];
    for tensor in [&step.gradient, &step.statistics, &statistics] {
        numbers.extend(values(tensor));
    }
    (hits, numbers)
}

#[test]
fn training_and_evaluation_are_the_same_on_several_ranks() {
    let problem = || coupled_images(10, 21).swap_remove(1).1;
    let one = Workers::new(1).unwrap();
    let (hits, numbers) = asked(&problem(), &one);
    assert!(hits.contains(&true) && hits.contains(&false), "{hits:?}");
    for size in [2, 3, 5] {
        let all = on_ranks(size, |ranks| {
            asked(&problem(), &Workers::new(1).unwrap().among(ranks))
        });
        for (own_hits, own) in all {
            assert_eq!(own_hits, hits, "{size} ranks");
            assert_close(&format!("{size} ranks"), &own, &numbers, 1e-12);
        }
    }
}

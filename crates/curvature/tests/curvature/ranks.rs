//! What only training and evaluation ask for is the same on several ranks as on one, and ranks that come apart are told.

use candle_core::{DType, Device, Tensor};
use flatness_curvature::{MeanLoss, Retention};
use flatness_layers::{Loss, Workers};
use flatness_operator::LinearOperator;
use flatness_testkit::{Activation, Problem, assert_close, coupled_images, on_ranks, values};

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

/// What a rank says of a product with vectors, or of a loss at parameters, that one of three ranks has `changed`.
fn apart(changed: impl Fn(&mut [f64]) + Sync) -> Vec<[Option<String>; 2]> {
    on_ranks(3, |ranks| {
        let problem = Problem::new(&[9, 12, 4], Activation::Tanh, Loss::CrossEntropy, 6, 3);
        let (data, theta) = (data(&problem), theta(&problem));
        let rank = ranks.rank();
        let workers = Workers::new(1).unwrap().among(ranks);
        let settings = settings(DType::F64, 4);
        let (network, loss) = (&problem.network, problem.loss);
        let mean_loss = MeanLoss::new(network, &data, loss, &workers, settings).unwrap();
        let curvature = mean_loss.curvature(&theta, Retention::Retain).unwrap();
        let of = |vector: &[f64]| {
            let mut vector = vector.to_vec();
            if rank == 1 {
                changed(&mut vector);
            }
            Tensor::new(vector, &Device::Cpu).unwrap()
        };
        let vectors = [&theta, &of(&problem.theta)].map(|row| row.unsqueeze(0).unwrap());
        let vectors = Tensor::cat(&vectors, 0).unwrap();
        let product = curvature.hessian().apply_block(&vectors);
        let loss = mean_loss.evaluate(&of(&problem.theta));
        [
            product.err().map(|error| error.to_string()),
            loss.err().map(|error| error.to_string()),
        ]
    })
}

#[test]
fn ranks_that_come_apart_by_rounding_are_an_error_and_no_wrong_sum() {
    // As other processors would round: the last bit of many elements, here of nine in ten.
    let rounded = apart(|vector| {
        for (index, element) in vector.iter_mut().enumerate() {
            if index % 10 > 0 {
                *element = f64::from_bits(element.to_bits() ^ 1);
            }
        }
    });
    for [product, loss] in &rounded {
        for (error, what) in [
            (product, "the vectors to multiply"),
            (loss, "the parameters"),
        ] {
            let expected = format!("rank 1 differs from rank 0 in {what}; start all ranks");
            let error = error.as_deref().expect("an error");
            assert!(error.contains(&expected), "{error}");
        }
    }
    // One element of those that are compared, the first; P = 172, of which every second or third is.
    let one = apart(|vector| vector[0] = f64::from_bits(vector[0].to_bits() ^ 1));
    assert!(one.iter().flatten().all(Option::is_some), "{one:?}");
    // What it cannot see: one element that is not compared.
    let other = apart(|vector| vector[1] = f64::from_bits(vector[1].to_bits() ^ 1));
    assert!(other.iter().flatten().all(Option::is_none), "{other:?}");
    let same = apart(|_| ());
    assert!(same.iter().flatten().all(Option::is_none), "{same:?}");
}

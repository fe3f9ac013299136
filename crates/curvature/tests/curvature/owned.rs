//! Operators that own what they are made of, against those that borrow it.

use std::sync::Arc;

use candle_core::DType;
use flatness_curvature::{Matrix, OwnedOperator, Retention};
use flatness_layers::{Loss, Workers};
use flatness_operator::LinearOperator;
use flatness_testkit::{Activation, Problem, gaussian, values};

use crate::setup::{data, settings, theta, with_mean_loss};

/// Kept by somebody who knows no lifetimes, and moved to a thread.
struct Keeper(Box<dyn LinearOperator + Send>);

#[test]
fn an_owned_operator_in_another_thread_has_the_bits_of_a_borrowed_one() {
    let problem = Problem::new(&[4, 6, 3], Activation::Tanh, Loss::CrossEntropy, 10, 17);
    let (data, theta) = (Arc::new(data(&problem)), theta(&problem));
    let vectors = gaussian((2, problem.dim()), 18);
    for matrix in Matrix::ALL {
        let borrowed = with_mean_loss(&problem, data.as_ref(), (2, 4), |mean_loss, theta| {
            let curvature = mean_loss.curvature(theta, Retention::Recompute).unwrap();
            let operator = curvature.operator(matrix).unwrap();
            (operator.apply_block(&vectors).unwrap(), operator.scale())
        });
        let moved = theta.copy().unwrap();
        let owned = OwnedOperator::new(
            Arc::new(problem.network.clone()),
            data.clone(),
            problem.loss,
            Arc::new(Workers::new(2).unwrap()),
            settings(DType::F64, 4),
            &moved,
            matrix,
        );
        let keeper = Keeper(Box::new(owned.unwrap()));
        // Whoever goes on training changes θ in place.
        moved.slice_set(&theta.zeros_like().unwrap(), 0, 0).unwrap();
        let given = vectors.clone();
        let work = move || (keeper.0.apply_block(&given).unwrap(), keeper.0.scale());
        let (product, scale) = std::thread::spawn(work).join().unwrap();
        assert_eq!(values(&product), values(&borrowed.0), "{matrix}");
        assert_eq!(scale, borrowed.1);
    }
}

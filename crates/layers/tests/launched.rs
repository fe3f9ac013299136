//! Whole networks by the kernels of a device, run as C++, against the CPU's own path.

use candle_core::Tensor;
use flatness_testkit::{
    Problem, as_cpp, assert_close, coupled_images, gaussian, independent_images,
};

/// Gradient, and products of the Hessian and of the Gauss-Newton matrix with two vectors.
fn derivatives(problem: &Problem, vectors: &Tensor) -> [Vec<f64>; 3] {
    [
        problem.gradient(&problem.theta),
        problem.hessian_product(vectors),
        problem.gauss_newton_product(vectors),
    ]
}

#[test]
fn gradients_and_products_are_those_of_the_cpu() {
    let mut problems = independent_images(3, 1);
    problems.extend(coupled_images(3, 2));
    let vectors = |problem: &Problem| gaussian((2, problem.dim()), 3);
    let all = || {
        let problems = problems.iter();
        let each = problems.map(|(_, problem)| derivatives(problem, &vectors(problem)));
        each.collect::<Vec<_>>()
    };
    let Some(got) = as_cpp(all) else {
        return;
    };
    for ((what, problem), got) in problems.iter().zip(got) {
        let expected = derivatives(problem, &vectors(problem));
        for (got, expected) in got.iter().zip(expected) {
            assert_close(what, got, &expected, 1e-10);
        }
    }
}

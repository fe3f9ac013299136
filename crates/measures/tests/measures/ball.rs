//! The greatest rise in a ball against closed forms, against the quadratic model maximised exactly, and
//! against its own starts.

use candle_core::Tensor;
use flatness_layers::Loss;
use flatness_measures::{Ascent, AscentSettings, Stop, Watch, ball_rise};
use flatness_testkit::{Activation, Problem, dense_matrix, values};
use nalgebra::{DMatrix, DVector, SymmetricEigen};

use crate::toy::{Toy, classifier, refused, vector};
use crate::two_parameters::linear;

const EXAMPLES: usize = 9;

const ASCENT: AscentSettings = AscentSettings {
    random_starts: 4,
    max_iterations: 2000,
    tolerance: 1e-9,
    seed: 4,
};

fn rise(toy: &Toy, decay: f64, theta: &[f64], radius: f64, directions: &[Tensor]) -> Ascent {
    let theta = vector(theta);
    let rise = toy.on_decayed(decay, |objective| {
        ball_rise(
            objective,
            &theta,
            radius,
            directions,
            &ASCENT,
            Watch::NOBODY,
        )
    });
    rise.unwrap()
}

/// A network with its gradient and Hessian at θ, both means.
fn curved() -> (Toy, DVector<f64>, DMatrix<f64>) {
    let problem = classifier(&[4, 5, 3], Activation::Tanh, EXAMPLES, 71);
    let gradient = DVector::from_vec(problem.gradient(&problem.theta)) / EXAMPLES as f64;
    let hessian = problem.hessian() / EXAMPLES as f64;
    (Toy::new(problem), gradient, hessian)
}

/// max of g·d + ½ dᵀHd over ‖d‖ = r: d = (μ − H)⁻¹ g with the μ > λ_max that gives it this length, which
/// halving finds.
fn quadratic_model(gradient: &DVector<f64>, hessian: &DMatrix<f64>, radius: f64) -> f64 {
    let eigen = SymmetricEigen::new(hessian.clone());
    let slopes = eigen.eigenvectors.transpose() * gradient;
    let at = |mu: f64| slopes.zip_map(&eigen.eigenvalues, |slope, value| slope / (mu - value));
    let largest = eigen.eigenvalues.max();
    let (mut low, mut high) = (largest, largest + 2.0 * gradient.norm() / radius);
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if at(middle).norm() > radius {
            low = middle;
        } else {
            high = middle;
        }
    }
    let d = at(high);
    assert!((d.norm() - radius).abs() < 1e-9 * radius);
    let curved = d.component_mul(&d).dot(&eigen.eigenvalues);
    slopes.dot(&d) + 0.5 * curved
}

/// ½ Σ (θ_c x − t_c)² is a paraboloid of curvature m = mean x², and with the L2 term γ one of curvature m + γ
/// around another point: the rise is ‖g‖ r + ½ m r² at any r.
#[test]
fn on_a_paraboloid_it_is_the_closed_form() {
    let toy = Toy::new(Problem::of(linear(), Loss::SquaredError, EXAMPLES, 5));
    let (x, labels) = (values(&toy.problem.inputs), values(&toy.problem.labels));
    let mean =
        |terms: &dyn Fn(usize) -> f64| (0..EXAMPLES).map(terms).sum::<f64>() / EXAMPLES as f64;
    let targets = [0.0, 1.0].map(|class| mean(&|i| if labels[i] == class { x[i] } else { 0.0 }));
    let square = mean(&|i| x[i] * x[i]);
    for (decay, radius) in [0.0, 0.4]
        .into_iter()
        .flat_map(|decay| [1e-3, 0.1, 5.0].map(|radius| (decay, radius)))
    {
        let curvature = square + decay;
        let best = targets.map(|target| target / curvature);
        for theta in [[0.3, -0.8], best] {
            let slope = curvature * (theta[0] - best[0]).hypot(theta[1] - best[1]);
            let ascent = rise(&toy, decay, &theta, radius, &[]);
            let truth = slope * radius + 0.5 * curvature * radius * radius;
            // The search may stop a billionth short; a loss of order one rounds at 1e-16.
            let (allowed, got) = (1e-8 * truth + 1e-15, ascent.rise);
            assert!(
                (got - truth).abs() <= allowed,
                "{radius}: {got:e} {truth:e}"
            );
            assert_eq!(ascent.stop, Stop::Converged, "{ascent:?}");
            assert!((ascent.displacement_norm / radius - 1.0).abs() < 1e-9);
        }
    }
}

#[test]
fn at_small_radii_it_tends_to_the_quadratic_model_and_to_the_gradient() {
    let (toy, gradient, hessian) = curved();
    let theta = toy.problem.theta.clone();
    let norm = SymmetricEigen::new(hessian.clone()).eigenvalues.amax();
    let errors = [0.02, 0.01, 0.005, 0.0025].map(|radius| {
        let got = rise(&toy, 0.0, &theta, radius, &[]).rise;
        let beyond_slope = got - gradient.norm() * radius;
        let most = 0.6 * norm * radius * radius;
        assert!(beyond_slope.abs() <= most, "{beyond_slope:e}");
        got - quadratic_model(&gradient, &hessian, radius)
    });
    // The first term left out is of third order: an eighth at half the radius, up to the fourth.
    for pair in errors.windows(2) {
        let ratio = pair[0] / pair[1];
        assert!((7.0..9.0).contains(&ratio), "{errors:?}");
    }
}

#[test]
fn both_ends_of_the_top_eigenvector_are_in_the_ball_and_a_larger_ball_holds_a_smaller() {
    let (toy, _, hessian) = curved();
    let theta = toy.problem.theta.clone();
    let eigen = SymmetricEigen::new(hessian.clone());
    let top = eigen.eigenvectors.column(eigen.eigenvalues.imax());
    // The operator that the direction would come from is that matrix.
    let dense = toy.curved(&toy.theta(), |curvature| dense_matrix(&curvature.hessian()));
    assert!((dense - hessian).amax() < 1e-13);
    let here = toy.loss(&theta);
    // Twice as long: only where it points to counts.
    let direction = vector((2.0 * top).as_slice());
    let mut smaller = 0.0;
    for radius in [0.01, 0.1, 0.3, 1.0, 3.0] {
        let ascent = rise(&toy, 0.0, &theta, radius, std::slice::from_ref(&direction));
        assert_eq!(ascent.start_rises.len(), 1 + 2 + 4);
        for sign in [-1.0, 1.0] {
            let moved = DVector::from_column_slice(&theta) + sign * radius * top;
            let end = toy.loss(moved.as_slice()) - here;
            assert!(ascent.rise >= end - 1e-14, "{radius}: {ascent:?} {end}");
        }
        assert!(ascent.rise > smaller, "{radius}: {ascent:?} {smaller}");
        assert!(ascent.displacement_norm <= radius * (1.0 + 1e-12));
        smaller = ascent.rise;
    }
}

#[test]
fn settings_that_make_no_sense_are_errors() {
    let (toy, ..) = curved();
    let theta = toy.theta();
    let of = |radius: f64, direction: &[f64], ascent: AscentSettings| {
        let directions = [vector(direction)];
        toy.on(|loss| ball_rise(loss, &theta, radius, &directions, &ascent, Watch::NOBODY))
    };
    let along = vec![1.0; toy.problem.dim()];
    let none = vec![0.0; toy.problem.dim()];
    let idle = AscentSettings {
        max_iterations: 0,
        ..ASCENT
    };
    refused(of(0.0, &along, ASCENT), "the radius is 0");
    refused(of(f64::NAN, &along, ASCENT), "the radius is NaN");
    refused(of(0.1, &[1.0], ASCENT), "a direction of the ball has shape");
    refused(
        of(0.1, &none, ASCENT),
        "a direction of the ball has no length",
    );
    refused(of(0.1, &along, idle), "max_iterations");
}

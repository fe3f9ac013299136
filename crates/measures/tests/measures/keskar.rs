//! Keskar's φ against grid search in two dimensions and against all corners of the box, with losses
//! from their textbook formulas.

use crate::toy::{Toy, classifier, counted, refused, vector};
use crate::two_parameters::{CASES, linear};
use flatness_layers::{Affine, Loss, Network};
use flatness_measures::{
    AscentSettings, Error, KeskarSettings, KeskarSharpness, Stop, Watch, keskar_sharpness,
};
use flatness_testkit::{Activation, Problem, gaussian, values};

const EXAMPLES: usize = 9;

/// From no direction.
fn settings(epsilons: &[f64], random_starts: usize) -> KeskarSettings<'_> {
    let ascent = AscentSettings {
        random_starts,
        max_iterations: 200,
        tolerance: 1e-6,
        seed: 3,
    };
    KeskarSettings {
        epsilons,
        directions: &[],
        ascent,
    }
}

fn search(toy: &Toy, theta: &[f64], settings: &KeskarSettings<'_>) -> Vec<KeskarSharpness> {
    let theta = vector(theta);
    toy.on(|loss| keskar_sharpness(loss, &theta, settings, Watch::NOBODY).unwrap())
}

/// Holds φ to a grid of points over the box, borders included: the grid's own maximum is feasible, and the search
/// may beat it between its points by half a cell times the largest slope seen between neighbours.
fn check_by_grid(phi: f64, loss: impl Fn([f64; 2]) -> f64, half_widths: [f64; 2]) {
    const POINTS: i32 = 201;
    let offset = |i: i32, axis: usize| {
        half_widths[axis] * (2.0 * f64::from(i) / f64::from(POINTS - 1) - 1.0)
    };
    let at = |i, j| loss([offset(i, 0), offset(j, 1)]);
    let center = loss([0.0, 0.0]);
    let (mut most, mut missed) = (0.0_f64, 0.0_f64);
    for i in 0..POINTS {
        let mut before = at(i, 0);
        for j in 0..POINTS {
            let here = at(i, j);
            most = most.max(here - center);
            missed = missed.max((here - before).abs());
            before = here;
        }
    }
    let [expected, missed] = [most, 2.0 * missed].map(|rise| rise / (1.0 + center));
    assert!(phi >= expected * (1.0 - 1e-9), "{phi:e} below {expected:e}");
    assert!(phi <= expected + missed, "{phi:e} far above {expected:e}");
}

#[test]
fn the_box_agrees_with_grid_search_in_two_dimensions() {
    for (network, loss, formula, theta) in CASES {
        let toy = Toy::new(Problem::of(network(), loss, EXAMPLES, 5));
        let (x, y) = (values(&toy.problem.inputs), values(&toy.problem.labels));
        let settings = settings(&[1e-3, 0.03, 0.5, 2.0], 12);
        for result in search(&toy, &theta, &settings) {
            let half_widths = theta.map(|weight| result.epsilon * (weight.abs() + 1.0));
            let plane = |y0: [f64; 2]| formula(&x, &y, [theta[0] + y0[0], theta[1] + y0[1]]);
            check_by_grid(result.phi, plane, half_widths);
            assert_eq!(result.ascent.stop, Stop::Converged, "{result:?}");
            let starts = 13 + usize::from(result.epsilon > 1e-3);
            assert_eq!(result.ascent.start_rises.len(), starts);
        }
    }
}

/// Logistic regression is convex: its maximum over a box is at one of the 2ᴾ corners.
#[test]
fn the_maximum_of_a_convex_loss_is_the_best_corner() {
    let network = Network::chain(&[2], vec![("fc".to_owned(), Box::new(Affine::new(2, 3)))]);
    let problem = Problem::of(network.unwrap(), Loss::CrossEntropy, EXAMPLES, 7);
    let toy = Toy::new(problem);
    let theta = &toy.problem.theta;
    let (x, y) = (values(&toy.problem.inputs), values(&toy.problem.labels));
    let loss = |theta: &[f64]| {
        let losses = (0..EXAMPLES).map(|i| {
            let z =
                |c: usize| theta[2 * c] * x[2 * i] + theta[2 * c + 1] * x[2 * i + 1] + theta[6 + c];
            (0..3).map(|c| z(c).exp()).sum::<f64>().ln() - z(y[i] as usize)
        });
        losses.sum::<f64>() / EXAMPLES as f64
    };
    let settings = settings(&[1e-4, 1e-2, 0.3], 20);
    let results = search(&toy, theta, &settings);
    for result in &results {
        let corner = |signs: u32| -> Vec<f64> {
            let step = |(i, weight): (usize, &f64)| {
                let sign = 1.0 - 2.0 * f64::from(signs >> i & 1);
                weight + sign * result.epsilon * (weight.abs() + 1.0)
            };
            theta.iter().enumerate().map(step).collect()
        };
        let corners = (0..1 << theta.len()).map(|signs| loss(&corner(signs)));
        let most = corners.fold(0.0, f64::max);
        let expected = (most - loss(theta)) / (1.0 + loss(theta));
        // Rounding of the losses, against a rise of 1e-4 at least.
        assert!(
            (result.phi - expected).abs() <= 1e-11 * expected.max(1e-2),
            "{result:?} {expected:e}"
        );
        assert_eq!(result.ascent.gap, 0.0);
        let rise = &result.ascent;
        assert!(rise.start_rises.iter().all(|&start| start <= rise.rise));
        assert!(rise.cost.gradients >= 21 && rise.cost.products == 0);
    }
    assert!(results.windows(2).all(|pair| pair[0].phi < pair[1].phi));
    // The same seed gives the same bits.
    assert_eq!(search(&toy, theta, &settings), results);
}

#[test]
fn the_ends_of_a_direction_are_starts_and_phi_is_no_less_than_their_rises() {
    let problem = classifier(&[4, 5, 3], Activation::Tanh, EXAMPLES, 8);
    let toy = Toy::new(problem);
    let (theta, mean_loss) = (toy.theta(), toy.mean_loss());
    let direction = gaussian(toy.problem.dim(), 9);
    let settings = KeskarSettings {
        directions: std::slice::from_ref(&direction),
        ..settings(&[0.02], 0)
    };
    let (result, sweeps) = counted(u64::MAX, |watch| {
        toy.on(|loss| keskar_sharpness(loss, &theta, &settings, watch))
    });
    let result = result.unwrap().remove(0);
    assert_eq!(result.ascent.start_rises.len(), 3);
    let cost = result.ascent.cost;
    assert_eq!(sweeps, cost.losses + cost.gradients);
    let pairs = values(&direction).into_iter().zip(&toy.problem.theta);
    let reaches = pairs.map(|(d, weight)| 0.02 * (weight.abs() + 1.0) / d.abs());
    let reach = reaches.fold(f64::INFINITY, f64::min);
    for sign in [-1.0, 1.0] {
        let end = (&theta + (&direction * (sign * reach)).unwrap()).unwrap();
        let rise = mean_loss.evaluate(&end).unwrap().loss - result.loss;
        assert!(result.ascent.rise >= rise, "{rise:e}");
    }
}

#[test]
fn settings_that_make_no_sense_are_errors() {
    let toy = Toy::new(Problem::of(linear(), Loss::CrossEntropy, EXAMPLES, 5));
    let theta = toy.theta();
    let [zero, long] = [vec![0.0, 0.0], vec![1.0, 2.0, 3.0]].map(|one| [vector(&one)]);
    type Change<'s> = &'s dyn Fn(&mut KeskarSettings<'s>);
    let cases: [(Change<'_>, &str); 8] = [
        (&|it| it.epsilons = &[], "the number of epsilons is 0; set"),
        (&|it| it.epsilons = &[0.0], "epsilon is 0; set it to a"),
        (&|it| it.epsilons = &[f64::NAN], "epsilon is NaN"),
        (
            &|it| it.epsilons = &[0.2, 0.1],
            "epsilons must increase, got 0.1 behind 0.2",
        ),
        (&|it| it.ascent.max_iterations = 0, "max_iterations is 0"),
        (&|it| it.ascent.tolerance = -1.0, "tolerance is -1"),
        (
            &|it| it.directions = &zero,
            "a direction of the box has no length",
        ),
        (
            &|it| it.directions = &long,
            "a direction of the box has shape [3] where (2) is expected",
        ),
    ];
    let sound = settings(&[0.1], 1);
    for (change, expected) in cases {
        let mut settings = sound;
        change(&mut settings);
        let result = toy.on(|loss| keskar_sharpness(loss, &theta, &settings, Watch::NOBODY));
        refused(result, expected);
    }
    let infinite = vector(&[f64::INFINITY, 0.0]);
    let result = toy.on(|loss| keskar_sharpness(loss, &infinite, &sound, Watch::NOBODY));
    assert!(matches!(result, Err(Error::NotFinite { .. })));
}

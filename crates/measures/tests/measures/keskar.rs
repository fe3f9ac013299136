//! Keskar's φ against grid search in two dimensions and against all corners of the box, with losses
//! from their textbook formulas.

use crate::toy::{Toy, classifier, counted, vector};
use crate::two_parameters::{CASES, linear};
use flatness_layers::{Affine, Loss, Network};
use flatness_measures::{
    AscentSettings, BoxSpace, Error, KeskarSettings, KeskarSharpness, Stop, Watch, keskar_sharpness,
};
use flatness_testkit::{Activation, Problem, gaussian, values};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

const EXAMPLES: usize = 9;

fn ascent(random_starts: usize) -> AscentSettings {
    AscentSettings {
        random_starts,
        max_iterations: 200,
        tolerance: 1e-6,
        seed: 3,
    }
}

/// Of the full box, from no direction.
fn settings(epsilons: &[f64], random_starts: usize) -> KeskarSettings<'_> {
    KeskarSettings {
        epsilons,
        space: BoxSpace::Full,
        directions: &[],
        ascent: ascent(random_starts),
    }
}

fn search(toy: &Toy, theta: &[f64], settings: &KeskarSettings<'_>) -> Vec<KeskarSharpness> {
    let theta = vector(theta);
    toy.on(|loss| keskar_sharpness(loss, &theta, settings, Watch::NOBODY).unwrap())
}

/// φ by a grid of points over the box, borders included, and the largest rise that the grid can have
/// missed: half a cell times the largest slope seen between neighbours.
fn grid(loss: impl Fn([f64; 2]) -> f64, half_widths: [f64; 2]) -> (f64, f64) {
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
    (most / (1.0 + center), 2.0 * missed / (1.0 + center))
}

#[test]
fn the_full_box_agrees_with_grid_search_in_two_dimensions() {
    for (network, loss, formula, theta) in CASES {
        let toy = Toy::new(Problem::of(network(), loss, EXAMPLES, 5));
        let (x, y) = (values(&toy.problem.inputs), values(&toy.problem.labels));
        let settings = settings(&[1e-3, 0.03, 0.5, 2.0], 12);
        for result in search(&toy, &theta, &settings) {
            let half_widths = theta.map(|weight| result.epsilon * (weight.abs() + 1.0));
            let plane = |y0: [f64; 2]| formula(&x, &y, [theta[0] + y0[0], theta[1] + y0[1]]);
            let (expected, missed) = grid(plane, half_widths);
            let phi = result.phi;
            // The grid's own maximum is feasible; the search may beat it between its points.
            assert!(phi >= expected * (1.0 - 1e-9), "{phi:e} below {expected:e}");
            assert!(phi <= expected + missed, "{phi:e} far above {expected:e}");
            assert_eq!(result.ascent.stop, Stop::Converged, "{result:?}");
            assert_eq!(
                result.ascent.start_rises.len(),
                13 + usize::from(result.epsilon > 1e-3)
            );
        }
    }
}

#[test]
fn two_random_columns_agree_with_grid_search() {
    let problem = classifier(&[3, 4, 3], Activation::Relu, EXAMPLES, 6);
    let toy = Toy::new(problem);
    let dim = toy.problem.dim();
    let settings = KeskarSettings {
        space: BoxSpace::RandomColumns {
            dimension: 2,
            seed: 17,
        },
        ..settings(&[1e-3, 0.05, 0.4], 16)
    };
    let columns = [0, 1].map(|stream| {
        let mut rng = ChaCha8Rng::seed_from_u64(17);
        rng.set_stream(stream);
        (0..dim)
            .map(|_| rng.sample(StandardNormal))
            .collect::<Vec<f64>>()
    });
    let theta = &toy.problem.theta;
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    // A⁺ θ by Cramer's rule on the two normal equations.
    let (aa, ab, bb) = (
        dot(&columns[0], &columns[0]),
        dot(&columns[0], &columns[1]),
        dot(&columns[1], &columns[1]),
    );
    let (ta, tb) = (dot(&columns[0], theta), dot(&columns[1], theta));
    let determinant = aa * bb - ab * ab;
    let coordinates = [
        (ta * bb - tb * ab) / determinant,
        (tb * aa - ta * ab) / determinant,
    ];
    for result in search(&toy, theta, &settings) {
        let half_widths = coordinates.map(|z| result.epsilon * (z.abs() + 1.0));
        let plane = |z: [f64; 2]| {
            let moved: Vec<f64> = (0..dim)
                .map(|i| theta[i] + z[0] * columns[0][i] + z[1] * columns[1][i])
                .collect();
            toy.loss(&moved)
        };
        let (expected, missed) = grid(plane, half_widths);
        let phi = result.phi;
        assert!(phi >= expected * (1.0 - 1e-9), "{phi:e} below {expected:e}");
        assert!(phi <= expected + missed, "{phi:e} far above {expected:e}");
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
    let reach = pairs
        .map(|(d, weight)| 0.02 * (weight.abs() + 1.0) / d.abs())
        .fold(f64::INFINITY, f64::min);
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
    let columns = |dimension| BoxSpace::RandomColumns { dimension, seed: 0 };
    let [zero, long] = [vec![0.0, 0.0], vec![1.0, 2.0, 3.0]].map(|one| [vector(&one)]);
    type Change<'s> = &'s dyn Fn(&mut KeskarSettings<'s>);
    let cases: [(Change<'_>, &str); 10] = [
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
            &|it| it.space = columns(0),
            "the dimension of the subspace is 0",
        ),
        (
            &|it| it.space = columns(3),
            "the subspace has 3 dimensions, but theta has 2",
        ),
        (
            &|it| it.directions = &zero,
            "a direction of the box has no length",
        ),
        (
            &|it| it.directions = &long,
            "a direction of the box: expected shape (2), got [3]",
        ),
    ];
    let sound = settings(&[0.1], 1);
    for (change, expected) in cases {
        let mut settings = sound;
        change(&mut settings);
        let result = toy.on(|loss| keskar_sharpness(loss, &theta, &settings, Watch::NOBODY));
        let message = result.unwrap_err().to_string();
        assert!(message.starts_with(expected), "{message}");
    }
    let infinite = vector(&[f64::INFINITY, 0.0]);
    let result = toy.on(|loss| keskar_sharpness(loss, &infinite, &sound, Watch::NOBODY));
    assert!(matches!(result, Err(Error::NotFinite { .. })));
}

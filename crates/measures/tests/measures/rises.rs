//! Loss rises, lines and planes against single losses and the dense Hessian; filter norms by loops.

use flatness_curvature::Retention;
use flatness_layers::Loss;
use flatness_measures::{
    filter_normalized_direction, loss_line, loss_plane, loss_rises, quadratic_form, unit,
};
use flatness_testkit::{Activation, Normalization, Problem, assert_close, gaussian, values, vgg};

use crate::toy::{Toy, unwatched, vector};

const EXAMPLES: usize = 7;

fn toy() -> Toy {
    let widths = [4, 5, 3];
    Toy::new(Problem::new(
        &widths,
        Activation::Tanh,
        Loss::CrossEntropy,
        EXAMPLES,
        61,
    ))
}

#[test]
fn rises_are_differences_of_losses_and_tend_to_the_quadratic_form() {
    let toy = toy();
    let (mean_loss, theta) = (toy.mean_loss(), toy.theta());
    let dim = toy.problem.dim();
    let units = [1, 2].map(|seed| unit(&gaussian(dim, seed)).unwrap());
    let radii = [0.2, 0.1, 0.05];
    let mut losses = 0;
    let rises = loss_rises(&mean_loss, &theta, &units, &radii, &mut |done| {
        losses += done
    });
    let rises = rises.unwrap();
    assert_eq!((losses, rises.cost.losses), (13, 13));
    let hessian = toy.problem.hessian();
    let curvature = mean_loss.curvature(&theta, Retention::Retain).unwrap();
    for (direction, along) in units.iter().zip(&rises.rises) {
        let u = values(direction);
        assert_close("unit", &[u.iter().map(|u| u * u).sum()], &[1.0], 1e-14);
        let pairs = (0..dim).flat_map(|i| (0..dim).map(move |j| (i, j)));
        let form = pairs
            .map(|(i, j)| u[i] * hessian[(i, j)] * u[j])
            .sum::<f64>();
        let form = form / EXAMPLES as f64;
        let got = quadratic_form(&curvature.hessian(), direction).unwrap();
        assert_close("form", &[got], &[form], 1e-12);
        let mut errors = Vec::new();
        for (rise, radius) in along.iter().zip(radii) {
            assert_eq!(rise.radius, radius);
            for (got, radius) in [(rise.up, radius), (rise.down, -radius)] {
                let moved: Vec<f64> = (0..dim)
                    .map(|i| toy.problem.theta[i] + radius * u[i])
                    .collect();
                let loss = mean_loss.evaluate(&vector(&moved)).unwrap().loss;
                // Rounding of a difference of losses of order one.
                assert!((got - (loss - rises.loss)).abs() < 1e-14);
            }
            errors.push(rise.even() - rise.quadratic(form));
        }
        // The first term left out is of fourth order: a sixteenth at half the radius, up to the sixth.
        for pair in errors.windows(2) {
            let ratio = pair[0] / pair[1];
            assert!((14.0..18.0).contains(&ratio), "{errors:?}");
        }
    }
}

#[test]
fn lines_and_planes_are_losses_at_their_points() {
    let toy = toy();
    let (mean_loss, theta) = (toy.mean_loss(), toy.theta());
    let dim = toy.problem.dim();
    let [first, second] = [3, 4].map(|seed| gaussian(dim, seed));
    let offsets: [&[f64]; 2] = [&[-0.4, 0.0, 0.3], &[0.1, 0.7]];
    let at = |a: f64, b: f64| {
        let (first, second) = (values(&first), values(&second));
        let moved = (0..dim).map(|i| toy.problem.theta[i] + a * first[i] + b * second[i]);
        mean_loss
            .evaluate(&vector(&moved.collect::<Vec<_>>()))
            .unwrap()
            .loss
    };
    let got = loss_line(&mean_loss, &theta, &first, offsets[0], &mut unwatched()).unwrap();
    let expected: Vec<f64> = offsets[0].iter().map(|&a| at(a, 0.0)).collect();
    assert_close("line", &got, &expected, 1e-14);
    let mut losses = 0;
    let got = loss_plane(
        &mean_loss,
        &theta,
        [&first, &second],
        offsets,
        &mut |done| losses += done,
    );
    let got = got.unwrap();
    assert_eq!(losses, 6);
    assert_eq!([got.first.as_slice(), got.second.as_slice()], offsets);
    for (row, &a) in got.losses.iter().zip(offsets[0]) {
        let expected: Vec<f64> = offsets[1].iter().map(|&b| at(a, b)).collect();
        assert_close("plane", row, &expected, 1e-14);
    }
}

#[test]
fn filters_of_the_direction_have_the_norms_of_those_of_theta() {
    let problem = Problem::of(vgg(Normalization::None), Loss::CrossEntropy, EXAMPLES, 62);
    let layout = problem.network.layout();
    let direction = filter_normalized_direction(layout, &vector(&problem.theta), 5).unwrap();
    let direction = values(&direction);
    let mut start = 0;
    for parameter in layout.parameters() {
        let range = start..start + parameter.len();
        start = range.end;
        let (weight, direction) = (&problem.theta[range.clone()], &direction[range]);
        if parameter.shape.len() == 1 {
            assert!(direction.iter().all(|&x| x == 0.0), "{}", parameter.name);
            continue;
        }
        let filter = parameter.len() / parameter.shape[0];
        let norms = |piece: &[f64]| -> Vec<f64> {
            let rows = piece.chunks(filter);
            rows.map(|row| row.iter().map(|x| x * x).sum::<f64>().sqrt())
                .collect()
        };
        assert_close(&parameter.name, &norms(direction), &norms(weight), 1e-13);
        assert_ne!(direction, weight);
    }
    let again = |seed| {
        let direction = filter_normalized_direction(layout, &vector(&problem.theta), seed);
        values(&direction.unwrap())
    };
    assert_eq!(again(5), direction);
    assert_ne!(again(6), direction);
}

#[test]
fn directions_and_lengths_that_make_no_sense_are_errors() {
    let toy = toy();
    let (mean_loss, theta) = (toy.mean_loss(), toy.theta());
    let dim = toy.problem.dim();
    let direction = gaussian(dim, 1);
    let long = gaussian(dim + 1, 1);
    let single = direction.to_dtype(candle_core::DType::F32).unwrap();
    let rises = |direction: &candle_core::Tensor, radius: f64| {
        let units = std::slice::from_ref(direction);
        let rises = loss_rises(&mean_loss, &theta, units, &[radius], &mut unwatched());
        rises.unwrap_err().to_string()
    };
    let along = |direction: &candle_core::Tensor, offset: f64| {
        let line = loss_line(&mean_loss, &theta, direction, &[offset], &mut unwatched());
        line.unwrap_err().to_string()
    };
    let messages = [
        (rises(&direction, 0.0), "a radius is 0"),
        (rises(&long, 0.1), "a direction: expected shape"),
        (
            rises(&single, 0.1),
            "a direction: expected f64 as theta, got f32",
        ),
        (along(&direction, f64::INFINITY), "an offset is inf"),
        (along(&long, 0.1), "a direction: expected shape"),
        (
            unit(&vector(&[0.0, 0.0])).unwrap_err().to_string(),
            "the vector to be normalised has no length",
        ),
    ];
    for (message, expected) in messages {
        assert!(message.starts_with(expected), "{message}");
    }
}

//! Loss rises, lines and planes against single losses, the dense Hessian and closed forms.

use candle_core::{DType, Tensor};
use flatness_curvature::MeanLoss;
use flatness_measures::{
    Error, Form, LossRise, Objective, Stop, Watch, loss_line, loss_plane, loss_rises,
    quadratic_form, rise_over_quadratic, unit,
};
use flatness_testkit::{Activation, assert_close, gaussian, independent_images, values};

use crate::toy::{Toy, classifier, counted, vector};

const EXAMPLES: usize = 7;

fn toy() -> Toy {
    Toy::new(classifier(&[4, 5, 3], Activation::Tanh, EXAMPLES, 61))
}

#[test]
fn rises_are_differences_of_losses_and_tend_to_the_quadratic_form() {
    let toy = toy();
    let theta = toy.theta();
    let dim = toy.problem.dim();
    let units = [1, 2].map(|seed| unit(&gaussian(dim, seed)).unwrap());
    let radii = [0.2, 0.1, 0.05];
    let (rises, losses) = counted(u64::MAX, |watch| {
        toy.on(|loss| loss_rises(loss, &theta, &units, &radii, watch))
    });
    let rises = rises.unwrap();
    assert_eq!((losses, rises.cost.losses), (13, 13));
    assert_eq!(rises.stop, Stop::Complete);
    let hessian = toy.problem.hessian();
    for (direction, along) in units.iter().zip(&rises.rises) {
        let u = values(direction);
        assert_close("unit", &[u.iter().map(|u| u * u).sum()], &[1.0], 1e-14);
        let pairs = (0..dim).flat_map(|i| (0..dim).map(move |j| (i, j)));
        let form = pairs
            .map(|(i, j)| u[i] * hessian[(i, j)] * u[j])
            .sum::<f64>();
        let form = form / EXAMPLES as f64;
        let got = toy.curved(&theta, |one| quadratic_form(&one.hessian(), direction));
        let got = got.unwrap();
        assert_close("form", &[got.value], &[form], 1e-12);
        assert!((got.value - form).abs() <= got.rounding, "{got:?} {form:e}");
        assert_eq!(got.cost.products, 1);
        let mut errors = Vec::new();
        for (rise, radius) in along.iter().zip(radii) {
            assert_eq!(rise.radius, radius);
            for (got, radius) in [(rise.up, radius), (rise.down, -radius)] {
                let moved: Vec<f64> = (0..dim)
                    .map(|i| toy.problem.theta[i] + radius * u[i])
                    .collect();
                // Rounding of a difference of losses of order one.
                assert!((got - (toy.loss(&moved) - rises.loss)).abs() < 1e-14);
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
    let theta = toy.theta();
    let dim = toy.problem.dim();
    let [first, second] = [3, 4].map(|seed| gaussian(dim, seed));
    let offsets: [&[f64]; 2] = [&[-0.4, 0.0, 0.3], &[0.1, 0.7]];
    let at = |a: f64, b: f64| {
        let (first, second) = (values(&first), values(&second));
        let moved = (0..dim).map(|i| toy.problem.theta[i] + a * first[i] + b * second[i]);
        toy.loss(&moved.collect::<Vec<_>>())
    };
    let got = toy.on(|loss| loss_line(loss, &theta, &first, offsets[0], Watch::NOBODY));
    let expected: Vec<f64> = offsets[0].iter().map(|&a| at(a, 0.0)).collect();
    assert_close("line", &got.unwrap().losses, &expected, 1e-14);
    let got = toy.on(|loss| loss_plane(loss, &theta, [&first, &second], offsets, Watch::NOBODY));
    let got = got.unwrap();
    assert_eq!((got.cost.losses, got.stop), (6, Stop::Complete));
    let points = offsets[0]
        .iter()
        .flat_map(|&a| offsets[1].iter().map(move |&b| (a, b)));
    let expected: Vec<f64> = points.map(|(a, b)| at(a, b)).collect();
    assert_close("plane", &got.losses, &expected, 1e-14);
    let largest = expected.iter().fold(0.0, |most: f64, loss| most.max(*loss));
    assert_close(
        "rounding",
        &[got.rounding],
        &[256.0 * f64::EPSILON * largest],
        1e-9,
    );
}

/// Steps that are nothing beside the rounding of the losses: what is seen is rounding, within what is said of it,
/// and no less than a hundredth of that in the worst of them.
#[test]
fn the_rounding_of_a_rise_holds_what_is_seen_of_steps_of_nothing() {
    let mut most = 0.0_f64;
    let tanh = classifier(&[9, 20, 5], Activation::Tanh, 40, 63);
    let images = independent_images(40, 64)
        .into_iter()
        .map(|(_, problem)| problem);
    // Sure of all labels, with logits of up to 50 and 200: these scatter most.
    let sure = [10.0, 20.0].map(|factor| {
        let mut sure = classifier(&[9, 20, 5], Activation::Relu, 40, 65);
        sure.theta.iter_mut().for_each(|weight| *weight *= factor);
        let views = sure.network.layout().views(&vector(&sure.theta)).unwrap();
        let logits = sure.network.forward(&views, &sure.inputs).unwrap();
        sure.labels = logits.argmax(1).unwrap();
        sure
    });
    for problem in images.chain([tanh]).chain(sure) {
        let toy = Toy::new(problem);
        let dim = toy.problem.dim();
        let units: Vec<Tensor> = (0..40)
            .map(|seed| unit(&gaussian(dim, seed)).unwrap())
            .collect();
        let rises = toy.on(|loss| {
            loss_rises(loss, &toy.theta(), &units, &[1e-12, 1e-10], Watch::NOBODY).unwrap()
        });
        for rise in rises.rises.iter().flatten() {
            assert!(rise.even().abs() <= rise.rounding, "{rise:?}");
            most = most.max(rise.even().abs() / rise.rounding);
        }
    }
    assert!((0.01..0.5).contains(&most), "{most}");
}

/// In softmax regression the even rise is the quadratic one up to r²: at small radii what is left is rounding.
#[test]
fn the_ratio_of_a_convex_loss_is_one_within_its_error() {
    for seed in 0..20 {
        let problem = classifier(&[6, 4], Activation::Relu, 50, seed);
        let toy = Toy::new(problem);
        let theta = toy.theta();
        let units: Vec<Tensor> = (0..8)
            .map(|index| unit(&gaussian(toy.problem.dim(), 100 * seed + index)).unwrap())
            .collect();
        let forms: Vec<Form> = toy.curved(&theta, |curvature| {
            let form = |unit| quadratic_form(&curvature.hessian(), unit).unwrap();
            units.iter().map(form).collect()
        });
        for (radius, curved) in [(1e-5, 1e-10), (1e-3, 1e-6)] {
            let rises = toy.on(|loss| loss_rises(loss, &theta, &units, &[radius], Watch::NOBODY));
            let rises: Vec<LossRise> = rises.unwrap().rises.concat();
            let ratio = rise_over_quadratic(&rises, &forms).unwrap();
            let error = (ratio.value - 1.0).abs();
            assert!(error <= ratio.rounding + curved, "{error:e} {ratio:?}");
            // What the rounding of losses of order one, 512 ε, is to a rise of some hundredths of r².
            assert!(ratio.rounding < 4e-12 / (radius * radius), "{ratio:?}");
            let alone = rise_over_quadratic(&rises[..1], &forms[..1]).unwrap();
            assert_eq!((alone.draws, alone.standard_error), (1, 0.0));
            assert!(
                (alone.value - 1.0).abs() <= alone.error() + curved,
                "{alone:?}"
            );
        }
    }
}

#[test]
fn single_precision_is_refused_and_its_double_is_the_same_loss() {
    let toy = toy();
    let double = toy.mean_loss();
    let mut settings = double.settings().clone();
    settings.dtype = DType::F32;
    let workers = flatness_layers::Workers::new(1).unwrap();
    let (network, problem) = (&toy.problem.network, &toy.problem);
    let single = MeanLoss::new(network, double.data(), problem.loss, &workers, settings).unwrap();
    let error = Objective::new(&single, 0.0).unwrap_err();
    assert!(matches!(error, Error::SinglePrecision), "{error}");
    let again = single.double(network).unwrap();
    let [got, expected] = [&again, &double].map(|loss| loss.evaluate(&toy.theta()).unwrap());
    assert_eq!(got, expected);
    let error = Objective::new(&double, -1.0).unwrap_err();
    assert!(error.to_string().starts_with("the decay is -1"), "{error}");
}

#[test]
fn directions_and_lengths_that_make_no_sense_are_errors() {
    let toy = toy();
    let theta = toy.theta();
    let dim = toy.problem.dim();
    let direction = gaussian(dim, 1);
    let long = gaussian(dim + 1, 1);
    let single = direction.to_dtype(DType::F32).unwrap();
    let rises = |direction: &Tensor, radius: f64| {
        let units = std::slice::from_ref(direction);
        let rises = toy.on(|loss| loss_rises(loss, &theta, units, &[radius], Watch::NOBODY));
        rises.unwrap_err().to_string()
    };
    let along = |direction: &Tensor, offset: f64| {
        let line = toy.on(|loss| loss_line(loss, &theta, direction, &[offset], Watch::NOBODY));
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

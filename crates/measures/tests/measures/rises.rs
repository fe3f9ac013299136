//! Loss rises, lines and planes against single losses, the dense Hessian and closed forms.

use candle_core::{DType, Tensor};
use flatness_curvature::MeanLoss;
use flatness_measures::{
    Error, Form, LossRise, Objective, Stop, Watch, loss_line, loss_plane, loss_rises,
    quadratic_form, rise_over_quadratic, unit,
};
use flatness_testkit::{Activation, assert_close, gaussian, independent_images, values};
use nalgebra::DVector;

use crate::toy::{Toy, classifier, counted, refused, vector};

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
    let hessian = toy.problem.hessian() / EXAMPLES as f64;
    for (direction, along) in units.iter().zip(&rises.rises) {
        let u = DVector::from_vec(values(direction));
        assert_close("unit", &[u.norm()], &[1.0], 1e-14);
        let form = u.dot(&(&hessian * &u));
        let got = toy.curved(&theta, |one| quadratic_form(&one.hessian(), direction));
        let got = got.unwrap();
        assert_close("form", &[got.value], &[form], 1e-12);
        assert!((got.value - form).abs() <= got.rounding, "{got:?} {form:e}");
        assert_eq!(got.cost.products, 1);
        let mut errors = Vec::new();
        for (rise, radius) in along.iter().zip(radii) {
            assert_eq!(rise.radius, radius);
            for (got, radius) in [(rise.up, radius), (rise.down, -radius)] {
                let moved = toy
                    .problem
                    .theta
                    .iter()
                    .zip(&u)
                    .map(|(t, u)| t + radius * u);
                let loss = toy.loss(&moved.collect::<Vec<_>>());
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
        sure.labels = sure.logits().argmax(1).unwrap();
        sure
    });
    for problem in images.chain([tanh]).chain(sure) {
        let toy = Toy::new(problem);
        let dim = toy.problem.dim();
        let units = (0..40).map(|seed| unit(&gaussian(dim, seed)).unwrap());
        let (units, radii) = (units.collect::<Vec<_>>(), [1e-12, 1e-10]);
        let rises = toy.on(|loss| loss_rises(loss, &toy.theta(), &units, &radii, Watch::NOBODY));
        for rise in rises.unwrap().rises.iter().flatten() {
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
fn single_precision_and_a_negative_decay_are_refused() {
    let toy = toy();
    let double = toy.mean_loss();
    let mut settings = double.settings().clone();
    settings.dtype = DType::F32;
    let workers = flatness_layers::Workers::new(1).unwrap();
    let (network, problem) = (&toy.problem.network, &toy.problem);
    let single = MeanLoss::new(network, double.data(), problem.loss, &workers, settings).unwrap();
    let error = Objective::new(&single, 0.0).unwrap_err();
    assert!(matches!(error, Error::SinglePrecision), "{error}");
    refused(Objective::new(&double, -1.0), "the decay is -1");
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
        toy.on(|loss| loss_rises(loss, &theta, units, &[radius], Watch::NOBODY))
    };
    let along = |direction: &Tensor, offset: f64| {
        toy.on(|loss| loss_line(loss, &theta, direction, &[offset], Watch::NOBODY))
    };
    refused(rises(&direction, 0.0), "a radius is 0");
    refused(rises(&long, 0.1), "a direction has shape");
    refused(
        rises(&single, 0.1),
        "a direction has dtype F32 where F64 is expected",
    );
    refused(along(&direction, f64::INFINITY), "an offset is inf");
    refused(along(&long, 0.1), "a direction has shape");
    let none = unit(&vector(&[0.0, 0.0]));
    refused(none, "the vector to be normalised has no length");
}

//! Measures of the network and its loss, against dense matrices and loops.

use candle_core::{DType, Device, Tensor};
use flatness_engine::Subject;
use flatness_layers::Loss;
use flatness_records::{BatchNorm, CurvePoint, Measured};
use flatness_testkit::{Activation, Problem, assert_close, gaussian};
use nalgebra::{DMatrix, DVector};

use crate::oracle::{
    EXAMPLES, Place, WIDTHS, check, eigenvalues, number, points, problem, request,
};

fn probabilities(logits: &[f64]) -> Vec<f64> {
    let largest = logits.iter().copied().fold(f64::MIN, f64::max);
    let sum: f64 = logits.iter().map(|z| (z - largest).exp()).sum();
    logits.iter().map(|z| (z - largest).exp() / sum).collect()
}

/// Mean loss, mean Tr A and smallest margin by loops.
fn confidence(problem: &Problem) -> [f64; 3] {
    let logits = problem.logits().to_vec2::<f64>().expect("logits");
    let labels = problem.labels.to_vec1::<u32>().expect("labels");
    let (mut loss, mut trace, mut margin) = (0.0, 0.0, f64::INFINITY);
    for (z, label) in logits.iter().zip(labels) {
        let (p, label) = (probabilities(z), label as usize);
        loss -= p[label].ln() / EXAMPLES as f64;
        trace += (1.0 - p.iter().map(|p| p * p).sum::<f64>()) / EXAMPLES as f64;
        let others = z.iter().enumerate().filter(|(class, _)| *class != label);
        let most = others.fold(f64::MIN, |most, (_, z)| most.max(*z));
        margin = margin.min(z[label] - most);
    }
    [loss, trace, margin]
}

/// The problem with its weights in layer l times a and its biases times aˡ.
fn scaled(factor: f64) -> Problem {
    let mut problem = problem(&WIDTHS, Activation::Relu);
    for (index, weight) in problem.theta.iter_mut().enumerate() {
        *weight *= if index < 60 { factor } else { factor * factor };
    }
    problem
}

#[test]
fn numbers_of_the_network_are_those_of_dense_matrices_and_loops() {
    let place = Place::new();
    let initial = place.weights.theta.zeros_like().expect("zeros");
    let subject = Subject {
        initial: Some(&initial),
        ..place.subject()
    };
    let what = request("norms,fisher-rao,adaptive,relative-flatness,confidence");
    let measured = place.measure_of(&subject, &what);
    let theta = DVector::from_vec(place.problem.theta.clone());
    let fisher_rao = (theta.transpose() * place.gauss_newton() * &theta)[0];
    let scale = DMatrix::from_diagonal(&theta.abs());
    let adaptive = eigenvalues(&(&scale * place.hessian() * &scale))[0];
    let [loss, trace, margin] = confidence(&place.problem);
    assert!((measured.loss - loss).abs() < 1e-12);
    let norm = |range: std::ops::Range<usize>| theta.rows(range.start, range.len()).norm();
    for (name, truth) in [
        ("fisher_rao", fisher_rao),
        ("adaptive_lambda_max", adaptive),
        ("confidence_trace", trace),
        ("smallest_margin", margin),
        ("parameter_norm", theta.norm()),
        ("distance_from_initialization", theta.norm()),
        ("norm(fc0)", norm(0..36)),
        ("norm(fc1)", norm(36..64)),
    ] {
        check(name, number(&measured, name), truth, truth.abs());
    }
    // κ = Σ ⟨w_s, w_t⟩ Tr H_st over the rows s, t of the last weight.
    let hessian = place.hessian();
    let row = |s: usize| theta.rows(36 + 6 * s, 6);
    let kappa: f64 = (0..4)
        .flat_map(|s| (0..4).map(move |t| (s, t)))
        .map(|(s, t)| row(s).dot(&row(t)) * hessian.view((36 + 6 * s, 36 + 6 * t), (6, 6)).trace())
        .sum();
    check(
        "kappa",
        number(&measured, "relative_flatness(fc1.weight)"),
        kappa,
        4.0 * kappa.abs(),
    );
    // Nothing was asked of a matrix.
    assert!(measured.matrices.is_empty());
}

#[test]
fn rises_are_quadratic_nearby_in_either_number_type() {
    let place = Place::new();
    let exact = eigenvalues(&place.hessian());
    let rises = |measured: &Measured| {
        let top = &points(measured, "rise.top")[0].numbers;
        let ratio = top["ratio"].clone();
        (ratio, top["rise"].value, top["predicted"].value)
    };
    let mut request = request("quadratic=1e-4,trace");
    request.tolerance = 1e-6;
    let measured = place.measure(&request);
    let (ratio, rise, predicted) = rises(&measured);
    check("ratio", &ratio, 1.0, 1.0);
    let radius = 1e-4 * DVector::from_vec(place.problem.theta.clone()).norm();
    let truth = 0.5 * radius * radius * exact[0];
    assert!((rise - truth).abs() < 1e-3 * truth && (predicted - truth).abs() < 1e-3 * truth);
    let random = &points(&measured, "rise.random")[0].numbers;
    check("random", &random["ratio"], 1.0, 1.0);
    let mean = 0.5 * radius * radius * exact.iter().sum::<f64>() / 64.0;
    check("predicted", &random["predicted"], mean, mean);
    // The same in a checkpoint of single precision, where a rise is far below the rounding of the loss.
    let single = place.weights.to(DType::F32, &Device::Cpu).expect("weights");
    let subject = Subject {
        weights: &single,
        ..place.subject()
    };
    let (ratio, _, _) = rises(&place.measure_of(&subject, &request));
    assert!((ratio.value - 1.0).abs() < 1e-3, "{ratio:?}");
}

/// The expected rise of plain noise is ½ σ² Tr H to second order, where that is small.
#[test]
fn noise_that_raises_the_loss_a_little_is_that_of_the_trace() {
    // Without hidden units no eigenvalue is negative, so that a few draws know their sum.
    let linear = [WIDTHS[0], WIDTHS[WIDTHS.len() - 1]];
    let loss = Loss::CrossEntropy;
    let place = Place::of(Problem::new(&linear, Activation::Relu, loss, EXAMPLES, 3));
    let measured = place.measure(&request("pac-bayes=1e-6"));
    let sigma = (2e-6 / place.hessian().trace()).sqrt();
    let found = number(&measured, "pac_bayes_sigma(1e-6)");
    check("sigma", found, sigma, sigma);
    assert!(measured.cost.losses > 100);
}

/// A ReLU close to its kink raises the loss more than any Hessian says, and few draws reach it: σ is less than half
/// of √(2 target / Tr H), within its error of that of many draws.
#[test]
fn noise_across_a_kink_is_held_by_its_error() {
    let mut place = Place::new();
    let measured = place.measure(&request("pac-bayes=1e-6"));
    let theta = place.problem.theta.clone();
    let draws = gaussian((1000, theta.len()), 17)
        .to_vec2::<f64>()
        .expect("draws");
    let mut rise = |sigma: f64| {
        let mut loss_at = |sign: f64, draw: &[f64]| {
            let noisy = theta
                .iter()
                .zip(draw)
                .map(|(theta, draw)| theta + sign * sigma * draw);
            place.problem.theta = noisy.collect();
            confidence(&place.problem)[0]
        };
        let pairs = draws
            .iter()
            .map(|draw| 0.5 * (loss_at(1.0, draw) + loss_at(-1.0, draw)));
        pairs.sum::<f64>() / draws.len() as f64 - measured.loss
    };
    let (mut below, mut above) = (1e-4_f64, 1e-3_f64);
    for _ in 0..10 {
        let middle = (below * above).sqrt();
        *if rise(middle) < 1e-6 {
            &mut below
        } else {
            &mut above
        } = middle;
    }
    let found = number(&measured, "pac_bayes_sigma(1e-6)");
    check("sigma", found, below, 2.0 * below);
    place.problem.theta = theta;
    assert!(
        below < 0.5 * (2e-6 / place.hessian().trace()).sqrt(),
        "{below:e}"
    );
}

#[test]
fn the_worst_rise_is_no_less_than_along_the_top_eigenvector() {
    let place = Place::new();
    let subject = Subject {
        loss: Loss::CrossEntropy,
        weight_decay: 0.5,
        ..place.subject()
    };
    let what = request("keskar=1e-2:1e-3,keskar-ball=1e-2:1e-3");
    let measured = place.measure_of(&subject, &what);
    for name in ["keskar.box", "keskar.ball"] {
        let points = points(&measured, name);
        assert_eq!([points[0].x, points[1].x], [1e-3, 1e-2]);
        for point in points {
            let [phi, predicted] = ["phi", "predicted"].map(|name| point.numbers[name].value);
            // The gradient's part comes on top: to second order, φ holds the better of both ends of the eigenvector.
            let holds = phi >= 0.95 * predicted && predicted > 0.0;
            assert!(holds, "{name}: {phi:e} below {predicted:e}");
        }
        assert!(points[1].numbers["phi"].value > points[0].numbers["phi"].value);
    }
    let predicted = |name: &str| points(&measured, name)[0].numbers["predicted"].value;
    let theta = DVector::from_vec(place.problem.theta.clone());
    let (loss, lambda) = (measured.loss, eigenvalues(&place.hessian())[0]);
    let regularized = loss + 0.25 * theta.norm_squared();
    let ratio = (lambda + 0.5) / lambda * (1.0 + loss) / (1.0 + regularized);
    assert!((predicted("keskar.ball") / predicted("keskar.box") - ratio).abs() < 1e-8 * ratio);
}

#[test]
fn scaling_is_dense_curvature_there_and_changes_no_prediction() {
    let place = Place::new();
    let measured = place.measure(&request("scaling=2:0.5"));
    let points = points(&measured, "scaling");
    assert_eq!([points[0].x, points[1].x], [0.5, 2.0]);
    for point in points {
        let there = Place::of(scaled(point.x));
        let [loss, _, margin] = confidence(&there.problem);
        let exact = eigenvalues(&there.hessian());
        let trace = there.gauss_newton().trace();
        let squares: f64 = exact.iter().map(|value| value * value).sum();
        for (name, truth) in [
            ("loss", loss),
            ("smallest_margin", margin),
            ("lambda_max", exact[0]),
            ("lambda_min", exact[63]),
            ("trace", trace),
            ("gauss_newton_trace", trace),
            ("frobenius", squares.sqrt()),
        ] {
            check(name, &point.numbers[name], truth, truth.abs().max(exact[0]));
        }
        let accuracy = |point: &CurvePoint| point.numbers["accuracy"].value;
        assert_eq!(accuracy(point), accuracy(&points[0]));
    }
}

#[test]
fn rescaling_changes_sharpness_but_neither_the_loss_nor_the_adaptive_one() {
    let place = Place::new();
    let measured = place.measure(&request("rescaling=0.1:1:10"));
    let points = points(&measured, "rescaling");
    let number = |point: usize, name: &str| points[point].numbers[name].value;
    for point in 0..3 {
        for (name, error) in [("loss", 1e-12), ("adaptive_lambda_max", 1e-6)] {
            let (here, there) = (number(point, name), number(1, name));
            assert_close(name, &[here], &[there], error);
        }
    }
    assert!(number(0, "spectral_norm") > 10.0 * number(1, "spectral_norm"));
}

#[test]
fn a_landscape_is_the_loss_on_a_grid_around_it() {
    let place = Place::new();
    let found = place.found(&request("landscape")).expect("a measurement");
    let (line, plane) = (found.line.expect("a line"), found.plane.expect("a plane"));
    let middle = line.steps.len() / 2;
    assert_eq!(plane.losses.len(), plane.first.len() * plane.second.len());
    let center = plane.losses[plane.losses.len() / 2];
    let middles = [line.losses[middle], line.quadratic[middle], center];
    assert_close("middles", &middles, &[found.measured.loss; 3], 1e-12);
    let close = |index: usize| (line.losses[index] - line.quadratic[index]).abs();
    assert!(close(middle + 1) < close(middle + 8) && close(middle + 1) < 1e-2);
}

/// Batches with statistics of their own need none of training.
#[test]
fn batch_statistics_need_no_running_ones() {
    let network = flatness_testkit::vgg(flatness_testkit::Normalization::Batch);
    let mut place = Place::of(Problem::of(network, Loss::CrossEntropy, EXAMPLES, 3));
    place.weights.buffers = Tensor::zeros(0, DType::F64, &Device::Cpu).expect("nothing");
    let mut request = request("norms,trace");
    (request.batch_norm, request.budget) = (BatchNorm::Batch, 80);
    let measured = place.measure(&request);
    assert!(number(&measured, "trace").value.is_finite());
    assert!(number(&measured, "scale_invariant_norm").value > 0.0);
    request.batch_norm = BatchNorm::Frozen;
    assert!(place.found(&request).is_err());
}

//! Numbers of a matrix.

use flatness_records::{Matrix, Request, Stop};
use flatness_testkit::{Activation, assert_close, values};
use nalgebra::{DMatrix, DVector};

use crate::oracle::{EXAMPLES, Place, check, eigenvalues, number, points, problem, request};

/// All five matrices, from dense factors.
fn dense(place: &Place) -> [(Matrix, DMatrix<f64>); 5] {
    let (hessian, gauss_newton) = (place.hessian(), place.gauss_newton());
    let labels = place.problem.labels.to_vec1::<u32>().expect("labels");
    let dim = place.problem.dim();
    let mut fisher = DMatrix::zeros(dim, dim);
    let mut mean = DVector::zeros(dim);
    let probabilities = place.problem.probabilities().into_iter();
    for ((jacobian, mut p), label) in place
        .problem
        .jacobians()
        .iter()
        .zip(probabilities)
        .zip(labels)
    {
        p[label as usize] -= 1.0;
        let gradient = jacobian.transpose() * p;
        fisher += &gradient * gradient.transpose() / EXAMPLES as f64;
        mean += gradient / EXAMPLES as f64;
    }
    [
        (Matrix::Hessian, hessian.clone()),
        (Matrix::GaussNewton, gauss_newton.clone()),
        (Matrix::Residual, hessian - gauss_newton),
        (Matrix::EmpiricalFisher, fisher.clone()),
        (
            Matrix::GradientCovariance,
            fisher - &mean * mean.transpose(),
        ),
    ]
}

#[test]
fn every_matrix_is_its_dense_form() {
    let place = Place::new();
    let truths = dense(&place);
    let mut request = request("top=2,bottom,trace,frobenius,spectrum,rank,nuclear-norm");
    request.matrices = truths.iter().map(|(matrix, _)| *matrix).collect();
    let measured = place.measure(&request);
    assert_eq!(measured.matrices.len(), truths.len());
    let mut products = 0;
    for (record, (matrix, truth)) in measured.matrices.iter().zip(&truths) {
        assert_eq!(record.matrix, *matrix);
        let exact = eigenvalues(truth);
        let last = exact.len() - 1;
        let norm = exact[0].abs().max(exact[last].abs());
        let squares: f64 = exact.iter().map(|value| value * value).sum();
        for (name, truth) in [
            ("lambda_max", exact[0]),
            ("lambda_max_2", exact[1]),
            ("lambda_min", exact[last]),
            ("spectral_norm", norm),
            ("trace", exact.iter().sum()),
            ("frobenius", squares.sqrt()),
            ("nuclear_norm", exact.iter().map(|value| value.abs()).sum()),
        ] {
            let number = number(&measured, &format!("{}.{name}", matrix.name()));
            check(name, number, truth, norm);
        }
        assert_close(matrix.name(), &record.eigenvalues, &exact, 1e-12);
        products += record.products;
    }
    let cost = measured.cost;
    assert_eq!(
        (cost.products, cost.losses, cost.gradients),
        (products, 0, 1)
    );
    let exact = eigenvalues(&truths[0].1);
    for point in points(&measured, "rank") {
        let above = exact
            .iter()
            .filter(|value| value.abs() > point.x * exact[0]);
        let rank = point.numbers["rank"].value;
        assert_eq!(rank, above.count() as f64, "{}", point.x);
    }
}

/// The search of 48 products and 16 probes; the check multiplies the first block of the search again and a row of the first
/// block of probes alone. No more than what the command line took before there was an engine.
#[test]
fn the_usual_numbers_cost_a_search_its_probes_and_a_check() {
    let place = Place::of(problem(&[20, 10, 5], Activation::Relu));
    let mut request = request("top,bottom,trace,frobenius");
    (request.relative_error, request.tolerance) = (0.3, 1e-3);
    let measured = place.measure(&request);
    assert_eq!(measured.matrices[0].products, 48 + 16 + 2);
    assert_eq!(number(&measured, "lambda_max").cost.products, 48);
    assert_eq!(number(&measured, "trace").cost.products, 64);
    let ends = ["lambda_max", "lambda_min", "spectral_norm"];
    for name in ends.into_iter().chain(["trace", "frobenius"]) {
        assert_eq!(number(&measured, name).stop, Some(Stop::Accurate), "{name}");
    }
}

#[test]
fn one_end_has_no_spectral_norm() {
    let place = Place::new();
    for what in ["top", "bottom", "trace"] {
        let measured = place.measure(&request(what));
        assert!(measured.number("spectral_norm").is_none(), "{what}");
    }
}

/// −λ_min is above the shift: the logarithm has no value, and everything else has.
#[test]
fn an_undefined_number_loses_no_other() {
    let place = Place::new();
    let exact = eigenvalues(&place.hessian());
    assert!(exact[63] < -1e-4, "{}", exact[63]);
    let what = "log-determinant=1e-6,nuclear-norm,effective-rank,density,norms";
    let measured = place.measure(&request(what));
    let record = &measured.matrices[0];
    let undefined: Vec<&String> = record.undefined.keys().collect();
    assert_eq!(undefined, ["log_determinant(1e-6)"]);
    for name in ["nuclear_norm", "effective_rank"] {
        assert!(record.numbers.contains_key(name), "{name}");
    }
    let density = record.density.as_ref().expect("a density");
    let width = density.grid[1] - density.grid[0];
    let integral: f64 = density.density.iter().map(|height| height * width).sum();
    assert!((integral - 1.0).abs() < 1e-3, "{integral}");
    assert!(measured.number("parameter_norm").is_some());
}

#[test]
fn a_diagonal_of_all_probes_is_the_dense_one() {
    let place = Place::new();
    let hessian = place.hessian();
    let found = place.found(&request("diagonal=64")).expect("a measurement");
    let named = found.diagonals[0].values.iter();
    let (names, entries): (Vec<&str>, Vec<Vec<f64>>) = named
        .map(|(name, tensor)| (name.as_str(), values(tensor)))
        .unzip();
    assert_eq!(names, ["fc0.weight", "fc0.bias", "fc1.weight", "fc1.bias"]);
    let truth = hessian.diagonal();
    assert_close("the diagonal", &entries.concat(), truth.as_slice(), 1e-10);
    let largest = number(&found.measured, "diagonal_max");
    let at = truth.imax();
    assert!((largest.value - truth[at]).abs() < 1e-10);
    let expected = match at {
        0..30 => format!("fc0.weight[{}, {}]", at / 5, at % 5),
        30..36 => format!("fc0.bias[{}]", at - 30),
        36..60 => format!("fc1.weight[{}, {}]", (at - 36) / 6, (at - 36) % 6),
        _ => format!("fc1.bias[{}]", at - 60),
    };
    assert_eq!(largest.at.as_deref(), Some(expected.as_str()));
    assert!((number(&found.measured, "diagonal_sum").value - hessian.trace()).abs() < 1e-9);
}

#[test]
fn an_l2_term_is_on_the_diagonal_of_matrices_and_of_the_adaptive_sharpness() {
    let place = Place::new();
    let l2 = 0.37;
    let mut request = request("top,bottom,trace,adaptive");
    request.l2 = l2;
    let measured = place.measure(&request);
    let shifted = place.hessian() + DMatrix::identity(64, 64) * l2;
    let (exact, trace) = (eigenvalues(&shifted), shifted.trace());
    let theta = DVector::from_vec(place.problem.theta.clone());
    let scale = DMatrix::from_diagonal(&theta.abs());
    let adaptive = eigenvalues(&(&scale * shifted * &scale))[0];
    for (name, truth, scale) in [
        ("lambda_max", exact[0], exact[0]),
        ("lambda_min", exact[63], exact[0]),
        ("trace", trace, trace),
        ("adaptive_lambda_max", adaptive, adaptive),
    ] {
        check(name, number(&measured, name), truth, scale);
    }
}

/// A mean over all examples has no sampling error; one over a part has some.
#[test]
fn a_sample_says_how_far_the_whole_may_be() {
    let place = Place::new();
    for (sample, certain) in [(EXAMPLES, true), (6, false)] {
        let mut request: Request = request("top,bottom,trace,frobenius");
        request.sample = Some(sample);
        let measured = place.measure(&request);
        let counts = (measured.examples, measured.sampled_from);
        assert_eq!(counts, (sample, Some(EXAMPLES)));
        for name in ["lambda_max", "lambda_min", "trace", "frobenius"] {
            let error = number(&measured, name).sampling_error.expect(name);
            assert_eq!(error == 0.0, certain, "{name} of {sample}: {error:e}");
        }
    }
}

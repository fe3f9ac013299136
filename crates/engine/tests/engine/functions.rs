//! Functions of the matrix.

use flatness_records::{Matrix, Stop};

use crate::oracle::{Place, check, eigenvalues, number, request};

/// The search finds all that is not zero and 64 steps resolve the rest: nothing is left to chance.
#[test]
fn functions_of_the_matrix_are_those_of_its_eigenvalues() {
    let place = Place::new();
    let exact = eigenvalues(&place.gauss_newton());
    let [low, high] = [0.1, 0.5].map(|share| share * exact[0]);
    let what =
        format!("rank=0.2,effective-rank,nuclear-norm,log-determinant=0.5,count={low}:{high}");
    let mut request = request(&what);
    (request.matrices, request.relative_error) = (vec![Matrix::GaussNewton], 1e-3);
    (request.steps, request.budget) = (64, 4000);
    let measured = place.measure(&request);
    let counted = |keep: &dyn Fn(f64) -> bool| exact.iter().filter(|value| keep(**value)).count();
    let rank = counted(&|value| value > 0.2 * exact[0]);
    let inside = counted(&|value| (low..=high).contains(&value));
    // Both leave some of the eigenvalues out.
    assert!(rank.min(inside) > 1 && rank.max(inside) < 30, "{exact:?}");
    let sum: f64 = exact.iter().sum();
    let shares = exact
        .iter()
        .map(|value| value / sum)
        .filter(|share| *share > 1e-12);
    let entropy: f64 = shares.map(|share| -share * share.ln()).sum();
    for (name, truth) in [
        ("rank(2e-1)".to_owned(), rank as f64),
        ("effective_rank".to_owned(), entropy.exp()),
        ("nuclear_norm".to_owned(), sum),
        (
            "log_determinant(5e-1)".to_owned(),
            exact.iter().map(|value| (value + 0.5).ln()).sum(),
        ),
        (format!("count({low:e}:{high:e})"), inside as f64),
    ] {
        let number = number(&measured, &format!("gauss-newton.{name}"));
        check(&name, number, truth, truth.abs());
        assert_eq!(number.stop, Some(Stop::Accurate), "{name}");
        let step_error = number.step_error.expect("of quadrature");
        assert!(step_error <= 1e-3 * truth.abs(), "{name}: {step_error:e}");
    }
}

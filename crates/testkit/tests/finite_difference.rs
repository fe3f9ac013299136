//! The differences against derivatives known in closed form.

use flatness_testkit::{assert_close, finite_difference};

const STEP: f64 = 1e-3;

#[test]
fn a_polynomial_of_degree_four_is_differentiated_up_to_rounding() {
    // Fourth order: the first term left out holds the fifth derivative.
    let quartic = |x: &[f64]| vec![x[0].powi(4) - 3.0 * x[0] * x[1].powi(3), x[1].powi(2)];
    let (at, direction) = ([0.7, -1.1], [0.4, 2.0]);
    let (x, y): (f64, f64) = (at[0], at[1]);
    let along = [
        (4.0 * x.powi(3) - 3.0 * y.powi(3)) * direction[0] - 9.0 * x * y.powi(2) * direction[1],
        2.0 * y * direction[1],
    ];
    let got = finite_difference::directional(quartic, &at, &direction, STEP);
    assert_close("directional", &got, &along, 1e-11);
}

#[test]
fn the_error_falls_with_the_fourth_power_of_the_step() {
    let error = |step| {
        let got = finite_difference::gradient(|x| x[0].exp(), &[1.0], step);
        (got[0] - std::f64::consts::E).abs()
    };
    let ratio = error(0.2) / error(0.1);
    assert!((ratio - 16.0).abs() < 0.5, "{ratio}");
}

#[test]
fn gradient_and_jacobian_have_their_elements_in_place() {
    // xᵀ M x with M not symmetric: gradient (M + Mᵀ) x, Hessian M + Mᵀ.
    let m = [[1.0, 2.0, -1.0], [0.0, 3.0, 0.5], [4.0, 0.0, -2.0]];
    let quadratic = |x: &[f64]| -> f64 {
        (0..3)
            .map(|i| (0..3).map(|j| x[i] * m[i][j] * x[j]).sum::<f64>())
            .sum()
    };
    let gradient = |x: &[f64]| -> Vec<f64> {
        (0..3)
            .map(|i| (0..3).map(|j| (m[i][j] + m[j][i]) * x[j]).sum())
            .collect()
    };
    let at = [0.3, -0.2, 1.5];
    let got = finite_difference::gradient(quadratic, &at, STEP);
    assert_close("gradient", &got, &gradient(&at), 1e-11);
    // Two of the three outputs, so that a transposed result has the wrong shape.
    let jacobian = finite_difference::jacobian(|x| gradient(x)[..2].to_vec(), &at, STEP);
    assert_eq!(jacobian.shape(), (2, 3));
    let expected: Vec<f64> = (0..2)
        .flat_map(|i| (0..3).map(move |j| m[i][j] + m[j][i]))
        .collect();
    // nalgebra reads columns first.
    let row_major = jacobian.transpose();
    assert_close("Hessian", row_major.as_slice(), &expected, 1e-11);
}

//! curvlinops' example of leading eigenvalues, computed anew: a 7-5-5-3 network with squared error over
//! two batches of 20, its three eigenvalues of largest size against a dense Hessian that a peer's tool
//! would build; and the same with cross-entropy.
//!
//! The oracle is second derivatives by hyper-dual numbers (Fike and Alonso, AIAA 2011-886), exact to
//! rounding, one pair of parameters at a time, in loops over scalars.
//!
//! ```text
//! x = a + b ε₁ + c ε₂ + d ε₁ε₂,  ε₁² = ε₂² = 0:   f(x) = f + f′ b ε₁ + f′ c ε₂ + (f′ d + f″ b c) ε₁ε₂
//! ```

use std::ops::{Add, Mul};

use flatness_curvature::{CurvatureOperator, Retention};
use flatness_layers::Loss;
use flatness_spectrum::{
    Budget, EigenpairsSettings, Goal, MomentsSettings, eigenpairs, moments_until,
};
use flatness_testkit::{Activation, Problem, assert_close, dense_matrix, values};
use nalgebra::DMatrix;

use crate::setup::{data, with_mean_loss};

const WIDTHS: [usize; 4] = [7, 5, 5, 3];
const EXAMPLES: usize = 40;
const BATCH_SIZE: usize = 20;

/// a, b, c and d.
#[derive(Clone, Copy)]
struct HyperDual([f64; 4]);

impl HyperDual {
    fn constant(value: f64) -> Self {
        Self([value, 0.0, 0.0, 0.0])
    }

    /// A function by its value and first two derivatives.
    fn through(self, value: f64, slope: f64, bend: f64) -> Self {
        let [_, b, c, d] = self.0;
        Self([value, slope * b, slope * c, slope * d + bend * b * c])
    }

    fn activated(self, activation: Activation) -> Self {
        let [a, ..] = self.0;
        match activation {
            Activation::Relu if a > 0.0 => self,
            Activation::Relu => Self::constant(0.0),
            Activation::Tanh => {
                let (value, slope) = (a.tanh(), 1.0 - a.tanh().powi(2));
                self.through(value, slope, -2.0 * value * slope)
            }
            Activation::Softplus => self.exp().add(Self::constant(1.0)).ln(),
            other => panic!("no rule for {other:?}"),
        }
    }

    fn exp(self) -> Self {
        let value = self.0[0].exp();
        self.through(value, value, value)
    }

    fn ln(self) -> Self {
        let slope = self.0[0].recip();
        self.through(self.0[0].ln(), slope, -slope * slope)
    }
}

impl Add for HyperDual {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(std::array::from_fn(|part| self.0[part] + other.0[part]))
    }
}

impl Mul for HyperDual {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        let (Self([a, b, c, d]), Self([e, f, g, h])) = (self, other);
        Self([
            a * e,
            a * f + b * e,
            a * g + c * e,
            a * h + b * g + c * f + d * e,
        ])
    }
}

/// The loss of one example, by the textbook.
fn loss(
    loss: Loss,
    activation: Activation,
    theta: &[HyperDual],
    inputs: &[f64],
    label: usize,
) -> HyperDual {
    let mut values: Vec<HyperDual> = inputs.iter().copied().map(HyperDual::constant).collect();
    let mut rest = theta;
    for (layer, widths) in WIDTHS.windows(2).enumerate() {
        let (weights, others) = rest.split_at(widths[0] * widths[1]);
        let (biases, others) = others.split_at(widths[1]);
        rest = others;
        values = weights
            .chunks(widths[0])
            .zip(biases)
            .map(|(row, bias)| {
                let products = row.iter().zip(&values).map(|(&w, &x)| w * x);
                let sum = products.fold(*bias, Add::add);
                if layer + 2 < WIDTHS.len() {
                    sum.activated(activation)
                } else {
                    sum
                }
            })
            .collect();
    }
    assert!(rest.is_empty());
    match loss {
        Loss::SquaredError => values
            .iter()
            .enumerate()
            .map(|(class, &logit)| {
                let target = f64::from(u8::from(class == label));
                let difference = logit + HyperDual::constant(-target);
                HyperDual::constant(0.5) * difference * difference
            })
            .fold(HyperDual::constant(0.0), Add::add),
        _ => {
            let exponentials = values.iter().map(|logit| logit.exp());
            let sum = exponentials.fold(HyperDual::constant(0.0), Add::add);
            sum.ln() + HyperDual::constant(-1.0) * values[label]
        }
    }
}

/// The Hessian of the mean loss.
fn hessian(problem: &Problem, activation: Activation) -> DMatrix<f64> {
    let inputs = values(&problem.inputs);
    let labels = problem.labels.to_vec1::<u32>().unwrap();
    let dim = problem.dim();
    let mut hessian = DMatrix::zeros(dim, dim);
    let mut theta: Vec<HyperDual> = problem
        .theta
        .iter()
        .copied()
        .map(HyperDual::constant)
        .collect();
    for row in 0..dim {
        theta[row].0[1] = 1.0;
        for column in row..dim {
            theta[column].0[2] = 1.0;
            let examples = inputs.chunks(WIDTHS[0]).zip(&labels);
            let sum: f64 = examples
                .map(|(inputs, &label)| {
                    loss(problem.loss, activation, &theta, inputs, label as usize).0[3]
                })
                .sum();
            theta[column].0[2] = 0.0;
            hessian[(row, column)] = sum / EXAMPLES as f64;
            hessian[(column, row)] = sum / EXAMPLES as f64;
        }
        theta[row].0[1] = 0.0;
    }
    hessian
}

#[test]
fn leading_eigenvalues_are_those_of_a_dense_hessian_by_hyper_dual_numbers() {
    for (activation, loss) in [
        (Activation::Tanh, Loss::SquaredError),
        (Activation::Relu, Loss::SquaredError),
        (Activation::Tanh, Loss::CrossEntropy),
    ] {
        let problem = Problem::new(&WIDTHS, activation, loss, EXAMPLES, 61);
        let data = data(&problem);
        with_mean_loss(&problem, &data, (2, BATCH_SIZE), |mean_loss, theta| {
            let curvature = mean_loss.curvature(theta, Retention::Retain).unwrap();
            let what = format!("{activation:?} {loss:?}");
            check_peer(&what, &curvature.hessian(), &hessian(&problem, activation));
        });
    }
}

fn check_peer(what: &str, operator: &CurvatureOperator<'_>, expected: &DMatrix<f64>) {
    // Sums of 40 products of a dozen factors each.
    let found = dense_matrix(operator);
    assert_close(what, found.as_slice(), expected.as_slice(), 1e-13);

    let mut exact: Vec<f64> = expected.symmetric_eigenvalues().data.into();
    exact.sort_by(|left, right| right.abs().total_cmp(&left.abs()));
    let settings = EigenpairsSettings {
        top: 3,
        bottom: 3,
        block: 1,
        basis: 40,
        tolerance: 1e-9,
        least_products: 0,
        seed: 62,
    };
    let pairs = eigenpairs(operator, &settings, &Budget::UNLIMITED, &mut |_| ()).unwrap();
    let mut leading: Vec<_> = pairs.top.iter().chain(&pairs.bottom).collect();
    leading.sort_by(|left, right| right.value.abs().total_cmp(&left.value.abs()));
    for (found, exact) in leading.iter().zip(&exact).take(3) {
        assert!(found.converged, "{what}: {found:?}");
        let allowed = found.residual + 1e-13 * exact.abs();
        let error = (found.value - exact).abs();
        assert!(error <= allowed, "{what}: {found:?} {exact}");
    }

    let settings = MomentsSettings {
        probes: 100,
        block: 50,
        seed: 63,
    };
    let (goal, budget) = (Goal::relative(1e-9), Budget::of_products(100));
    let found = moments_until(operator, &settings, None, &goal, &budget, &mut |_| ());
    let found = found.unwrap().result;
    let square = exact.iter().map(|value| value * value).sum();
    for (estimate, truth) in [
        (found.trace, exact.iter().sum()),
        (found.frobenius_squared, square),
    ] {
        let interval = estimate.interval(0.9999).unwrap();
        assert!(interval.contains(&truth), "{what}: {interval:?} {truth}");
    }
}

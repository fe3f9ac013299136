//! f, f' and f'' of every activation.

use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_PI, FRAC_2_SQRT_PI, TAU};

use super::Activation;
use crate::function::Function;
use crate::number::Number;

/// Of x³ in the hyperbolic tangent's form of GELU (Hendrycks and Gimpel 2016, section 2).
const CUBIC: f64 = 0.044_715;

impl Function for Activation {
    #[inline]
    fn derivatives<N: Number>(&self, x: &N) -> [N; 3] {
        let constant = |value| x.constant(value);
        let step = |bound: f64, below: f64, above: f64| {
            x.choose(bound, &constant(above), &constant(below))
        };
        let zero = || constant(0.0);
        match *self {
            Self::Relu => [x.choose(0.0, x, &zero()), step(0.0, 0.0, 1.0), zero()],
            Self::Tanh => {
                let y = x.tanh();
                let slope = y.squared().affine(-1.0, 1.0);
                [y.clone(), slope.clone(), y.times(&slope).affine(-2.0, 0.0)]
            }
            Self::Softplus => {
                let s = x.sigmoid();
                [softplus(x), s.clone(), s.times(&s.affine(-1.0, 1.0))]
            }
            Self::Sigmoid => {
                let s = x.sigmoid();
                let slope = s.times(&s.affine(-1.0, 1.0));
                [s.clone(), slope.clone(), slope.times(&s.affine(-2.0, 1.0))]
            }
            Self::Gelu => {
                let distribution = x.affine(FRAC_1_SQRT_2, 0.0).erf().affine(0.5, 0.5);
                let square = x.squared();
                let density = square.affine(-0.5, 0.0).exp().affine(1.0 / TAU.sqrt(), 0.0);
                [
                    x.times(&distribution),
                    distribution.plus(&x.times(&density)),
                    density.times(&square.affine(-1.0, 2.0)),
                ]
            }
            Self::GeluTanh => {
                let (square, scale) = (x.squared(), FRAC_2_PI.sqrt());
                let inner = x.times(&square.affine(CUBIC * scale, scale));
                let [inner1, inner2] = [
                    square.affine(3.0 * CUBIC * scale, scale),
                    x.affine(6.0 * CUBIC * scale, 0.0),
                ];
                let (t, half) = (inner.tanh(), x.affine(0.5, 0.0));
                let t1 = t.squared().affine(-1.0, 1.0).times(&inner1);
                let bend = inner2.minus(&t.times(&inner1.squared()).affine(2.0, 0.0));
                let t2 = t.squared().affine(-1.0, 1.0).times(&bend);
                let share = t.affine(0.5, 0.5);
                [
                    x.times(&share),
                    share.plus(&half.times(&t1)),
                    t1.plus(&half.times(&t2)),
                ]
            }
            Self::Silu => {
                let s = x.sigmoid();
                let rest = s.affine(-1.0, 1.0);
                let slope = s.times(&rest);
                [
                    x.times(&s),
                    s.plus(&x.times(&slope)),
                    slope.times(&x.times(&s.affine(-2.0, 1.0)).affine(1.0, 2.0)),
                ]
            }
            Self::LeakyRelu { slope } => [
                x.choose(0.0, x, &x.affine(slope, 0.0)),
                step(0.0, slope, 1.0),
                zero(),
            ],
            Self::Elu { alpha } => {
                let exponential = x.exp().affine(alpha, 0.0);
                [
                    x.choose(0.0, x, &x.exp_m1().affine(alpha, 0.0)),
                    x.choose(0.0, &constant(1.0), &exponential),
                    x.choose(0.0, &zero(), &exponential),
                ]
            }
            Self::HardSigmoid { slope, shift } => {
                let line = x.affine(slope, shift);
                let [y, inside, _] = clip(&line, 0.0, 1.0);
                [y, inside.affine(slope, 0.0), zero()]
            }
            Self::HardSwish => {
                let [gate, inside, _] = clip(&x.affine(1.0, 3.0), 0.0, 6.0);
                [
                    x.times(&gate).affine(1.0 / 6.0, 0.0),
                    gate.plus(&x.times(&inside)).affine(1.0 / 6.0, 0.0),
                    inside.affine(1.0 / 3.0, 0.0),
                ]
            }
            Self::Mish => {
                let t = softplus(x).tanh();
                let s = x.sigmoid();
                let t1 = s.times(&t.squared().affine(-1.0, 1.0));
                let bend = s.plus(&t.times(&s).affine(2.0, 0.0)).affine(-1.0, 1.0);
                [
                    x.times(&t),
                    t.plus(&x.times(&t1)),
                    t1.times(&x.times(&bend).affine(1.0, 2.0)),
                ]
            }
            Self::Clip { lowest, highest } => clip(x, lowest, highest),
            Self::Exp => {
                let y = x.exp();
                [y.clone(), y.clone(), y]
            }
            Self::Log => {
                let slope = x.reciprocal();
                let curvature = slope.squared().affine(-1.0, 0.0);
                [x.ln(), slope, curvature]
            }
            Self::Sqrt => {
                let y = x.sqrt();
                let slope = y.reciprocal().affine(0.5, 0.0);
                let curvature = slope.squared().times(&slope).affine(-2.0, 0.0);
                [y, slope, curvature]
            }
            Self::Reciprocal => {
                let y = x.reciprocal();
                let square = y.squared();
                let curvature = square.times(&y).affine(2.0, 0.0);
                [y, square.affine(-1.0, 0.0), curvature]
            }
            Self::Power { exponent } => {
                // Without the power where its factor is zero: 0 · 0⁻¹ is not a number.
                let term = |factor: f64, exponent: f64| match factor {
                    0.0 => zero(),
                    _ => x.powf(exponent).affine(factor, 0.0),
                };
                [
                    x.powf(exponent),
                    term(exponent, exponent - 1.0),
                    term(exponent * (exponent - 1.0), exponent - 2.0),
                ]
            }
            Self::Erf => {
                let slope = x
                    .squared()
                    .affine(-1.0, 0.0)
                    .exp()
                    .affine(FRAC_2_SQRT_PI, 0.0);
                let curvature = x.times(&slope).affine(-2.0, 0.0);
                [x.erf(), slope, curvature]
            }
            Self::Abs => {
                let below = x.affine(-1.0, 0.0);
                let sign = below.choose(0.0, &constant(-1.0), &step(0.0, 0.0, 1.0));
                [x.choose(0.0, x, &below), sign, zero()]
            }
            Self::Linear { scale, shift } => [x.affine(scale, shift), constant(scale), zero()],
            Self::Sin => {
                let y = x.sin();
                [y.clone(), x.cos(), y.affine(-1.0, 0.0)]
            }
            Self::Cos => {
                let y = x.cos();
                [y.clone(), x.sin().affine(-1.0, 0.0), y.affine(-1.0, 0.0)]
            }
            Self::Step { at_zero } => {
                let below = x.affine(-1.0, 0.0);
                // Zero is left, and what is not a number.
                let lower = below.choose(0.0, &zero(), &x.affine(0.0, at_zero));
                [x.choose(0.0, &constant(1.0), &lower), zero(), zero()]
            }
        }
    }

    fn is_piecewise_linear(&self) -> bool {
        match *self {
            Self::Relu
            | Self::LeakyRelu { .. }
            | Self::HardSigmoid { .. }
            | Self::Clip { .. }
            | Self::Abs
            | Self::Step { .. }
            | Self::Linear { .. } => true,
            Self::Power { exponent } => exponent == 0.0 || exponent == 1.0,
            _ => false,
        }
    }
}

/// log(1 + eˣ), of max(x, 0) and e to the power -|x|, which neither end makes infinite.
fn softplus<N: Number>(x: &N) -> N {
    let below = x.choose(0.0, &x.affine(-1.0, 0.0), x);
    let largest = x.choose(0.0, x, &x.constant(0.0));
    largest.plus(&below.exp().ln_1p())
}

/// x between `lowest` and `highest`, with slope 1 inside.
fn clip<N: Number>(x: &N, lowest: f64, highest: f64) -> [N; 3] {
    let (below, constant) = (x.affine(-1.0, 0.0), |value| x.constant(value));
    let inside = below.choose(-highest, &constant(1.0), &constant(0.0));
    let upper = x.choose(highest, &constant(highest), x);
    [
        below.choose(-lowest, &constant(lowest), &upper),
        x.choose(lowest, &inside, &constant(0.0)),
        constant(0.0),
    ]
}

//! Loss, confidence and curvature with the weights of each layer multiplied by a (claim C2): scaling up makes a fitted network
//! confident and flat, and changes no prediction.
//!
//! ```text
//! W_l ← a W_l,   b_l ← aˡ b_l:   z ← aᵈ z;      Tr H = Tr G, since the network is piecewise linear in each weight
//! ```
//!
//! All of it in double precision. Memory: that of eigenvalues and trace. Cost: for each a that of top, bottom, trace and frobenius,
//! that of trace for G, and two losses. Error: as theirs; the trace of G has no cancelling terms.

use candle_core::Tensor;
use flatness_curvature::Curvature;
use flatness_layers::Network;
use flatness_measures::HomogeneousScaling;
use flatness_records::{CurvePoint, Matrix, Request, What};

use super::confidence::SWEEP;
use super::{Kind, Measure, measures};
use crate::Error;
use crate::context::{Context, Results};
use crate::cost::Span;
use crate::point::curvature;
use crate::room::{Refusal, Room};
use crate::suite::Suite;

/// a
#[derive(Debug)]
pub(super) struct Scaling(pub(super) Vec<f64>);

/// What is measured of the Hessian at each point of a curve.
pub(super) fn of_hessian() -> Suite {
    Suite::new(measures(&[
        What::Top(1),
        What::Bottom(1),
        What::Trace,
        What::Frobenius,
    ]))
}

fn of_gauss_newton() -> Suite {
    Suite::new(measures(&[What::Trace]))
}

impl Measure for Scaling {
    fn kind(&self) -> Kind {
        Kind {
            classes: true,
            ..Kind::LOSS
        }
    }

    fn check(&self, network: &Network, _: usize) -> Result<(), Error> {
        match HomogeneousScaling::of(network) {
            Ok(_) => Ok(()),
            Err(error) => Err(Error::Meaningless {
                what: "scaling",
                reason: error.to_string(),
            }),
        }
    }

    fn memory(&self, room: &Room<'_>) -> Result<usize, Refusal> {
        of_hessian().rows(room)
    }

    fn cost(&self, request: &Request, rows: usize) -> Span {
        let mut sum = Span::default();
        for _ in &self.0 {
            sum += of_hessian().cost(request, rows);
            sum += of_gauss_newton().cost(request, rows);
            sum += Span::of([0, 2, 0]);
        }
        sum
    }

    fn measure(&self, context: &mut Context<'_>) -> Result<(), Error> {
        let scaling = HomogeneousScaling::of(context.mean_loss.network())?;
        let to = |theta: &Tensor, factor| scaling.apply(theta, factor);
        curve(context, "scaling", &self.0, to, |context, found, at| {
            let (theta, _) = at;
            let evaluation = context.mean_loss.evaluate(theta)?;
            let confidence = context.mean_loss.confidence(theta)?;
            context.meter.count(SWEEP);
            context.meter.count(SWEEP);
            let place = context.place.of(Matrix::GaussNewton);
            let of_gauss_newton = context.inner(&of_gauss_newton(), &place, at)?;
            let numbers = [
                ("loss", evaluation.loss),
                ("accuracy", evaluation.accuracy),
                ("smallest_margin", confidence.smallest_margin),
            ];
            found.computed(numbers, theta.dtype(), SWEEP);
            for (name, number) in of_gauss_newton.numbers {
                found.insert(format!("gauss_newton_{name}"), number);
            }
            found.undefined.extend(of_gauss_newton.undefined);
            Ok(())
        })
    }
}

/// Adds the curve `name` of the numbers of the Hessian where θ is moved `to` each of the `factors`, and of what `more`
/// finds there.
pub(super) fn curve(
    context: &mut Context<'_>,
    name: &str,
    factors: &[f64],
    to: impl Fn(&Tensor, f64) -> Result<Tensor, flatness_measures::Error>,
    more: impl Fn(&Context<'_>, &mut Results, (&Tensor, &Curvature<'_>)) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut points = Vec::with_capacity(factors.len());
    for &x in factors {
        if context.meter.interrupted() && !points.is_empty() {
            break;
        }
        let theta = to(context.theta, x)?;
        let curvature = curvature(context.mean_loss, &theta, context.resources)?;
        let at = (&theta, &curvature);
        let mut found = context.inner(&of_hessian(), context.place, at)?;
        more(context, &mut found, at)?;
        context.undefined_at(name, x, found.undefined);
        let numbers = found.numbers;
        points.push(CurvePoint { x, numbers });
    }
    context.results.curve(name, points);
    Ok(())
}

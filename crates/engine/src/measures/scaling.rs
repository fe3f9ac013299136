//! Loss, confidence and curvature with the weights of each layer multiplied by a (claim C2): scaling up makes a fitted network
//! confident and flat, and changes no prediction.
//!
//! ```text
//! W_l ← a W_l,   b_l ← aˡ b_l:   z ← aᵈ z;      Tr H = Tr G, since the network is piecewise linear in each weight
//! ```
//!
//! All of it in double precision. Memory: that of eigenvalues and trace. Cost: for each a that of top, bottom, trace and frobenius,
//! that of trace for G, and two losses. Error: as theirs; the trace of G has no cancelling terms.

use flatness_layers::Network;
use flatness_measures::HomogeneousScaling;
use flatness_records::{Curve, CurvePoint, Matrix, Request, What};

use super::confidence::SWEEP;
use super::{Kind, Measure, measures};
use crate::Error;
use crate::context::{Context, Place};
use crate::cost::Span;
use crate::point::curvature;
use crate::quantity::{computed, rounding};
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
        Kind::LOSS
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
        let mut points = Vec::with_capacity(self.0.len());
        for &factor in &self.0 {
            if context.meter.interrupted() && !points.is_empty() {
                break;
            }
            let theta = scaling.apply(context.theta, factor)?;
            let evaluation = context.mean_loss.evaluate(&theta)?;
            let confidence = context.mean_loss.confidence(&theta)?;
            context.meter.count(SWEEP);
            context.meter.count(SWEEP);
            let curvature = curvature(context.mean_loss, &theta, context.resources)?;
            let point = (&theta, &curvature);
            let mut found = context.inner(&of_hessian(), context.place, point)?;
            let gauss_newton = Place {
                matrix: Matrix::GaussNewton,
                ..context.place.clone()
            };
            let of_gauss_newton = context.inner(&of_gauss_newton(), &gauss_newton, point)?;
            let mut numbers = found.numbers;
            for (name, value) in [
                ("loss", evaluation.loss),
                ("accuracy", evaluation.accuracy),
                ("smallest_margin", confidence.smallest_margin),
            ] {
                let number = computed(value, rounding(theta.dtype(), value), SWEEP);
                numbers.insert(name.to_owned(), number);
            }
            for (name, number) in of_gauss_newton.numbers {
                numbers.insert(format!("gauss_newton_{name}"), number);
            }
            found.undefined.extend(of_gauss_newton.undefined);
            context.undefined_at("scaling", factor, found.undefined);
            points.push(CurvePoint { x: factor, numbers });
        }
        context.results.curves.push(Curve {
            name: "scaling".to_owned(),
            points,
        });
        Ok(())
    }
}

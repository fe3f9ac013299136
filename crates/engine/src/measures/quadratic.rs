//! Loss rises at θ ± d against their quadratic prediction (claim C5), along random d and along the top eigenvector.
//!
//! ```text
//! rise        (L(θ + d) + L(θ − d)) / 2 − L(θ)         quadratic   ½ dᵀ H d         ratio   of their means over the directions
//! predicted   random d, uniform on the sphere: Tr H / P · ‖d‖² / 2;   top: λ_max ‖d‖² / 2
//! ```
//!
//! Memory: two vectors in double precision for each direction at a time. Cost: a product for each direction and two losses for each of
//! its radii; of random directions 8, and 8 more until the ratio is as accurate as asked at each radius, or 48. Error: standard error
//! over the directions and rounding. The quadratic form is that of the Hessian at θ, whatever matrix is measured beside it.

use candle_core::Tensor;
use flatness_measures::{
    Form, LossRise, Objective, loss_rises, quadratic_form, rise_over_quadratic, unit,
};
use flatness_records::{Cost, CurvePoint, Numbers, Quantity, Request};
use flatness_spectrum::{Estimate, Probe};

use super::{Kind, Measure, leading, length};
use crate::Error;
use crate::context::Context;
use crate::cost::Span;
use crate::quantity::{cost, drawn, mean, scaled};
use crate::room::{Refusal, Room};

/// Random directions at a time.
const DIRECTIONS: usize = 8;

/// Random directions at most.
const MOST_DIRECTIONS: usize = 48;

/// ‖d‖ / ‖θ‖
#[derive(Debug)]
pub(super) struct Quadratic(pub(super) Vec<f64>);

/// Directions with what was measured along them.
#[derive(Default)]
struct Rises {
    forms: Vec<Form>,
    /// For each direction, for each radius.
    rises: Vec<Vec<LossRise>>,
    cost: Cost,
}

impl Measure for Quadratic {
    fn kind(&self) -> Kind {
        Kind {
            leading: 1,
            ..Kind::LOSS
        }
    }

    fn memory(&self, room: &Room<'_>) -> Result<usize, Refusal> {
        room.rows(
            "--what quadratic",
            2 * DIRECTIONS as u64 * room.whole,
            room.product,
        )
    }

    fn cost(&self, _: &Request, _: usize) -> Span {
        let along = |directions: usize| [directions, 2 * directions * self.0.len() + 1, 0];
        Span::between(along(DIRECTIONS + 1), along(MOST_DIRECTIONS + 1))
    }

    fn measure(&self, context: &mut Context<'_>) -> Result<(), Error> {
        let length = length(context)?;
        let radii: Vec<f64> = self.0.iter().map(|radius| radius * length).collect();
        let losses = 1 + 2 * (DIRECTIONS + 1) * radii.len();
        context.meter.stage("loss rises", "losses", losses);
        let seed = context.streams.seed("perturbation");
        let mut random = Rises::default();
        while random.forms.len() < MOST_DIRECTIONS {
            let first = random.forms.len();
            let rows = Probe::Gaussian.rows(context.operator, first..first + DIRECTIONS, seed)?;
            let units = (0..DIRECTIONS).map(|row| Ok(unit(&rows.get(row)?)?));
            let more = random.extend(context, &units.collect::<Result<Vec<_>, Error>>()?, &radii);
            match more {
                Err(error) if error.leaves_others() && first > 0 => break,
                more => more?,
            }
            if context.meter.interrupted() || random.accurate(radii.len(), context.request)? {
                break;
            }
        }
        let parameters = context.theta.elem_count() as f64;
        let mean_curvature = context
            .hessian
            .trace
            .as_ref()
            .map(|trace| scaled(trace, parameters.recip()));
        self.curve(context, "rise.random", &random, mean_curvature)?;
        let along_top = self.along_top(context, &radii);
        context.unless_ended(&["rise.top".to_owned()], along_top)
    }
}

impl Quadratic {
    /// Adds the curve along the top eigenvector.
    fn along_top(&self, context: &mut Context<'_>, radii: &[f64]) -> Result<(), Error> {
        let mut top = Rises::default();
        let lambda = context.hessian.top.first().map(|top| top.quantity.clone());
        top.extend(context, &leading(context, 1)?, radii)?;
        self.curve(context, "rise.top", &top, lambda)
    }

    /// Adds the curve of `found`, whose mean uᵀ H u is `predicted` by the spectrum.
    fn curve(
        &self,
        context: &mut Context<'_>,
        name: &str,
        found: &Rises,
        predicted: Option<Quantity>,
    ) -> Result<(), Error> {
        let mut points = Vec::with_capacity(self.0.len());
        for (index, &x) in self.0.iter().enumerate() {
            let rises = found.at(index);
            let Some(radius) = rises.first().map(|rise| rise.radius) else {
                continue;
            };
            let of = |value: fn(&LossRise) -> f64| rises.iter().map(value).collect::<Vec<f64>>();
            let forms = found.forms.iter().zip(&rises);
            let forms: Vec<(f64, f64)> = forms
                .map(|(form, rise)| (rise.quadratic(form.value), rise.quadratic(form.rounding)))
                .collect();
            let (values, roundings): (Vec<f64>, Vec<f64>) = forms.into_iter().unzip();
            let mut numbers = Numbers::from([
                (
                    "rise".to_owned(),
                    mean(&of(LossRise::even), &of(|rise| rise.rounding), found.cost),
                ),
                (
                    "quadratic".to_owned(),
                    mean(&values, &roundings, found.cost),
                ),
            ]);
            if let Some(predicted) = &predicted {
                let predicted = scaled(predicted, 0.5 * radius * radius);
                numbers.insert("predicted".to_owned(), predicted);
            }
            match rise_over_quadratic(&rises, &found.forms).map_err(Error::from) {
                Ok(ratio) => {
                    numbers.insert("ratio".to_owned(), drawn(&ratio, found.cost));
                }
                Err(error) if error.leaves_others() => {
                    let name = format!("{name}({x:e}).ratio");
                    context.results.undefined.insert(name, error.to_string());
                }
                Err(error) => return Err(error),
            }
            points.push(CurvePoint { x, numbers });
        }
        context.results.curve(name, points);
        Ok(())
    }
}

impl Rises {
    /// Adds those along more `units`.
    fn extend(
        &mut self,
        context: &Context<'_>,
        units: &[Tensor],
        radii: &[f64],
    ) -> Result<(), Error> {
        let objective = Objective::new(context.mean_loss, 0.0)?;
        let theta = context.theta;
        let found = context.watched(|watch| loss_rises(&objective, theta, units, radii, watch))?;
        let spent = cost(found.cost);
        context.meter.count(spent);
        self.cost += spent;
        for (unit, rises) in units.iter().zip(found.rises) {
            context.meter.ask()?;
            let form = quadratic_form(context.operator, unit)?;
            self.cost += cost(form.cost);
            self.forms.push(form);
            self.rises.push(rises);
        }
        Ok(())
    }

    fn at(&self, radius: usize) -> Vec<LossRise> {
        self.rises.iter().map(|along| along[radius]).collect()
    }

    /// Whether the ratio is as accurate as asked at each radius; one that does not exist never is.
    fn accurate(&self, radii: usize, request: &Request) -> Result<bool, Error> {
        for radius in 0..radii {
            let Ok(ratio) = rise_over_quadratic(&self.at(radius), &self.forms) else {
                return Ok(false);
            };
            let estimate = Estimate {
                value: ratio.value,
                standard_error: ratio.error(),
                rounding: ratio.rounding,
                probes: ratio.draws,
                products: 0,
                seed: 0,
            };
            if estimate.half_width(0.95)? > request.relative_error * ratio.value.abs() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

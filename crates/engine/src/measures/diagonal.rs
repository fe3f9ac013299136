//! The diagonal of a matrix by XDiag: its sum, its norm with the error of the whole, its extremes and where
//! they are, and all of it by the names and shapes of the parameters.
//!
//! ```text
//! se(Σ d)² ≤ 2 Σ se(dᵢ)²
//! ```
//!
//! The part of dᵢ that is random is (ω ∘ B ω)ᵢ for random signs ω and B what the sketch leaves of A. It has
//! the variance Σ_{j≠i} b_ij², and their sum ωᵀBω the variance Σ_{i<j} (b_ij + b_ji)² ≤ 2 Σ_{i≠j} b_ij².
//!
//! Memory: 3 vectors a probe, 4 for each probe multiplied at a time. Cost: 2 products a probe. Error: standard error of each entry.

use std::ops::Range;

use candle_core::{DType, Tensor};
use flatness_layers::ParamLayout;
use flatness_records::{Cost, Quantity, Request, Stop, What};
use flatness_spectrum::{Estimate, Goal, Measured, XDiagSettings, xdiag_bytes, xdiag_until};

use super::{Kind, Measure};
use crate::Error;
use crate::context::Context;
use crate::cost::Span;
use crate::found::NamedDiagonal;
use crate::quantity::{over, stop};
use crate::room::{BLOCK, Refusal, Room};

/// Products of a probe: one for the sketch, one of it.
const PRODUCTS: usize = 2;

/// The fewest probes that have an error.
const LEAST_PROBES: usize = 2;

/// Probes before the errors are looked at, where no number is asked for: with fewer, errors that are small by
/// chance would end it too early.
const FIRST_PROBES: usize = 16;

/// Confidence of the relative error, that of [`Goal::relative`].
const CONFIDENCE: f64 = 0.95;

/// From so many probes, or until it is as accurate as asked.
#[derive(Debug)]
pub(super) struct Diagonal {
    probes: Option<usize>,
}

impl Diagonal {
    pub(super) fn answers(what: &What) -> bool {
        matches!(what, What::Diagonal(_))
    }

    /// A number of probes goes before none.
    pub(super) fn asked(what: &[What]) -> Box<dyn Measure> {
        let probes = what.iter().map(|what| match *what {
            What::Diagonal(probes) => probes,
            _ => None,
        });
        Box::new(Self {
            probes: probes.max().flatten(),
        })
    }

    /// Bytes for the sketch where so many vectors are multiplied at a time.
    fn sketch(room: &Room<'_>, rows: usize) -> u64 {
        room.beside(room.kept + room.product * rows as u64)
    }
}

impl Measure for Diagonal {
    fn kind(&self) -> Kind {
        Kind::MATRIX
    }

    fn least(&self, _: &Request, rows: usize) -> Option<usize> {
        Some(PRODUCTS * LEAST_PROBES.min(rows))
    }

    /// Probes multiplied at a time: as many as leave room for those asked for, or for the first ones of a sketch that grows.
    fn memory(&self, room: &Room<'_>) -> Result<usize, Refusal> {
        let Room { dim, dtype, .. } = *room;
        let needed = |probes: usize, rows: usize| {
            let products = room.product.saturating_mul(rows as u64);
            let beside = products.saturating_add(room.kept);
            xdiag_bytes(probes, rows, dim, dtype).saturating_add(beside)
        };
        let least = self.probes.unwrap_or(LEAST_PROBES).min(dim);
        let first = self.probes.unwrap_or(FIRST_PROBES).min(dim);
        for probes in [first, least] {
            let mut rows = (1..=BLOCK).rev();
            if let Some(rows) = rows.find(|&rows| needed(probes, rows) <= room.allowed) {
                return Ok(rows);
            }
        }
        let fits = room.beside(needed(0, 1)) / (needed(1, 1) - needed(0, 1));
        let what = self.probes.map_or_else(
            || "the diagonal".to_owned(),
            |probes| format!("--what diagonal={probes}"),
        );
        let fits = (fits > 1).then(|| format!("--what diagonal={fits}"));
        Err(room.refusal(what, needed(least, 1), fits))
    }

    fn cost(&self, request: &Request, rows: usize) -> Span {
        let products = |probes: usize| PRODUCTS * probes.min(rows);
        match self.probes {
            None => Span::of_budget(products(FIRST_PROBES), request),
            Some(probes) => Span::of([products(probes), 0, 0]),
        }
    }

    fn measure(&self, context: &mut Context<'_>) -> Result<(), Error> {
        // The vectors of the search make room for the sketch.
        context.pairs = None;
        let Context { request, meter, .. } = *context;
        let (room, block) = (&context.room, context.fit.rows);
        let sketch = Self::sketch(room, block);
        let affordable = context.purse.share();
        let least = LEAST_PROBES.min(room.dim);
        let first = self
            .probes
            .unwrap_or(FIRST_PROBES)
            .min(room.dim)
            .min(affordable / PRODUCTS);
        let held = |&probes: &usize| xdiag_bytes(probes, block, room.dim, room.dtype) <= sketch;
        let first = (least..=first).rev().find(held).unwrap_or(least);
        let settings = XDiagSettings {
            probes: first,
            block,
            bytes: Some(sketch),
            seed: context.streams.seed("diagonal"),
        };
        let (relative_error, products) = match self.probes {
            None => (request.relative_error, affordable),
            // No other goal than their number.
            Some(_) => (f64::MIN_POSITIVE, PRODUCTS * first),
        };
        let budget = meter.budget(products);
        let goal = Goal::relative(relative_error);
        meter.stage(&context.label("diagonal"), "products", PRODUCTS * first);
        let measured = xdiag_until(
            context.operator,
            &settings,
            &goal,
            &budget,
            &mut |progress| {
                let relative = progress.error / progress.value;
                meter.message(&format!(
                    "diagonal of norm {:.4e}, relative error {relative:.1e}",
                    progress.value
                ));
            },
        )?;
        context.purse.spend(measured.result.products);
        let layout = context.mean_loss.network().layout();
        let ranges = &context.place.ranges;
        for (name, number) in numbers(&measured, self.probes, layout, ranges)? {
            context.results.insert(name, number);
        }
        context.results.diagonal = Some(NamedDiagonal {
            matrix: context.place.matrix,
            group: context.place.group.clone(),
            values: named(&measured.result.values, layout, ranges)?,
            standard_errors: named(&measured.result.standard_errors, layout, ranges)?,
        });
        Ok(())
    }
}

/// Sum, norm, largest and smallest entry of the diagonal of the rows at `ranges` of `layout`; `asked` are the
/// probes asked for.
fn numbers(
    measured: &Measured<flatness_spectrum::Diagonal>,
    asked: Option<usize>,
    layout: &ParamLayout,
    ranges: &[Range<usize>],
) -> Result<Vec<(&'static str, Quantity)>, Error> {
    use flatness_spectrum::Stop as Ended;
    let Measured {
        result,
        stop: ended,
    } = measured;
    let (values, standard_errors, probes) =
        (&result.values, &result.standard_errors, result.probes);
    let whole = asked.is_some_and(|asked| probes == asked);
    let stop = match ended {
        // As many probes as asked for are not for want of products.
        Ended::Products | Ended::Converged if whole => None,
        ended => Some(stop(*ended)),
    };
    let cost = Cost::products(result.products as u64);
    let number = |value: f64, standard_error: f64| Quantity {
        stop,
        ..over(value, standard_error, probes, cost)
    };
    let double = |tensor: &Tensor| tensor.to_dtype(DType::F64);
    let scalar = |tensor: &Tensor| double(tensor)?.to_scalar::<f64>();
    let sum = scalar(&double(values)?.sum_all()?)?;
    let squares = scalar(&double(standard_errors)?.sqr()?.sum_all()?)?;
    let norm = result.norm()?;
    let mut of_all = number(norm.value, norm.standard_error);
    of_all.relative_error = Some(result.relative_error(CONFIDENCE)?);
    let mut numbers = vec![
        ("diagonal_sum", number(sum, (2.0 * squares).sqrt())),
        ("diagonal_norm", of_all),
    ];
    let rows = values.elem_count();
    for (name, row) in [
        ("diagonal_max", values.argmax(0)?),
        ("diagonal_min", values.argmin(0)?),
    ] {
        let row = row.to_scalar::<u32>()? as usize;
        let entry = Estimate {
            value: scalar(&values.get(row)?)?,
            standard_error: scalar(&standard_errors.get(row)?)?,
            ..norm
        };
        let mut extreme = number(entry.value, entry.standard_error);
        extreme.at = element(row, layout, ranges);
        // One of so many errors is beyond this in the mean.
        let largest = match rows {
            1 => 0.0,
            rows => entry.half_width(1.0 - 1.0 / rows as f64)?,
        };
        if entry.standard_error > 0.0 && entry.value.abs() <= largest {
            extreme.stop = Some(Stop::Noise);
        }
        numbers.push((name, extreme));
    }
    Ok(numbers)
}

/// The element of a parameter that row `row` of those at `ranges` belongs to, such as `fc.weight[3, 41]`.
fn element(row: usize, layout: &ParamLayout, ranges: &[Range<usize>]) -> Option<String> {
    let index = ranges.iter().cloned().flatten().nth(row)?;
    let mut parameters = layout.parameters().iter().zip(layout.ranges());
    let (parameter, range) = parameters.find(|(_, range)| range.contains(&index))?;
    let mut rest = index - range.start;
    let mut place: Vec<String> = Vec::with_capacity(parameter.shape.len());
    for axis in parameter.shape.iter().rev() {
        place.push((rest % axis).to_string());
        rest /= axis;
    }
    place.reverse();
    Some(format!("{}[{}]", parameter.name, place.join(", ")))
}

/// The elements of `vector` by parameter. A group is of whole parameters.
fn named(
    vector: &Tensor,
    layout: &ParamLayout,
    ranges: &[Range<usize>],
) -> Result<Vec<(String, Tensor)>, Error> {
    let (mut named, mut taken) = (Vec::new(), 0);
    for (parameter, own) in layout.parameters().iter().zip(layout.ranges()) {
        if !own.is_empty() && ranges.iter().any(|range| range.contains(&own.start)) {
            let piece = vector.narrow(0, taken, own.len())?;
            taken += own.len();
            let piece = piece.reshape(parameter.shape.as_slice())?;
            named.push((parameter.name.clone(), piece));
        }
    }
    Ok(named)
}

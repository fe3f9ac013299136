//! The diagonal of a matrix by XDiag: its sum, its norm with the error of the whole, its extremes and where
//! they are, and all of it as a file with the names and shapes of the parameters.
//!
//! ```text
//! se(Σ d)² ≤ 2 Σ se(dᵢ)²
//! ```
//!
//! The part of dᵢ that is random is (ω ∘ B ω)ᵢ for random signs ω and B what the sketch leaves of A. It has
//! the variance Σ_{j≠i} b_ij², and their sum ωᵀBω the variance Σ_{i<j} (b_ij + b_ji)² ≤ 2 Σ_{i≠j} b_ij².

use std::ops::Range;

use anyhow::Result;
use candle_core::{DType, Tensor};
use flatness_layers::ParamLayout;
use flatness_operator::LinearOperator;
use flatness_records::{Quantity, Uncertainty};
use flatness_spectrum::{
    Budget, Diagonal, Estimate, Goal, Measured, Stop, XDiagSettings, xdiag_bytes, xdiag_until,
};

use super::Subject;
use super::memory::Plan;
use super::report::Line;
use super::spectral::describe;
use crate::progress::Stage;

/// Products of a probe: one for the sketch, one of it.
const PRODUCTS: usize = 2;

/// The fewest probes that have an error.
pub(super) const LEAST_PROBES: usize = 2;

/// Probes before the errors are looked at, where no number is asked for: with fewer, errors that are small by
/// chance would end it too early.
pub(super) const FIRST_PROBES: usize = 16;

/// Confidence of the relative error, that of [`Goal::relative`].
const CONFIDENCE: f64 = 0.95;

/// Products of the fewest probes.
pub(super) fn least_products(dim: usize) -> usize {
    PRODUCTS * LEAST_PROBES.min(dim)
}

/// The diagonal from so many probes, or until it is as accurate as asked; from fewer where the budget ends.
pub(super) fn measure(
    subject: &Subject<'_>,
    operator: &dyn LinearOperator,
    probes: Option<usize>,
    plan: &Plan,
    budget: &Budget<'_>,
    stage: &Stage,
) -> Result<Measured<Diagonal>> {
    stage.message("diagonal");
    let (dim, block) = (operator.dim(), plan.rows);
    let affordable = budget.products.unwrap_or(usize::MAX) / PRODUCTS;
    let least = LEAST_PROBES.min(dim);
    let first = probes.unwrap_or(FIRST_PROBES).min(dim).min(affordable);
    let held = |&probes: &usize| xdiag_bytes(probes, block, dim, operator.dtype()) <= plan.sketch;
    let first = (least..=first).rev().find(held).unwrap_or(least);
    let settings = XDiagSettings {
        probes: first,
        block,
        bytes: Some(plan.sketch),
        seed: subject.streams.seed("diagonal"),
    };
    let (goal, products) = match probes {
        None => (subject.options.relative_error, budget.products),
        // No other goal than their number.
        Some(_) => (f64::MIN_POSITIVE, Some(PRODUCTS * first)),
    };
    let budget = Budget {
        products,
        interrupt: budget.interrupt,
    };
    let goal = Goal {
        relative_error: goal,
        confidence: CONFIDENCE,
    };
    Ok(xdiag_until(
        operator,
        &settings,
        &goal,
        &budget,
        &mut |progress| {
            let relative = progress.error / progress.value;
            stage.message(&format!(
                "diagonal of norm {:.4e}, relative error {relative:.1e}",
                progress.value
            ));
        },
    )?)
}

/// Sum, norm, largest and smallest entry of the diagonal of the rows at `ranges` of `layout`; `asked` are the
/// probes asked for.
pub(super) fn lines(
    measured: &Measured<Diagonal>,
    asked: Option<usize>,
    layout: &ParamLayout,
    ranges: &[Range<usize>],
) -> Result<Vec<Line>> {
    let Measured { result, stop } = measured;
    let Diagonal {
        values,
        standard_errors,
        probes,
        products,
        seed,
    } = result;
    let whole = asked.is_some_and(|asked| *probes == asked);
    let stop = match stop {
        // As many probes as asked for are not for want of products.
        Stop::Products | Stop::Converged if whole => None,
        stop => Some(describe(*stop)),
    };
    let line = |name: &str, value: f64, standard_error: f64| {
        let uncertainty = Uncertainty::Stochastic {
            standard_error,
            probes: *probes as u64,
            seed: *seed,
        };
        let products = *products as u64;
        let mut line = Line::new(
            name,
            Quantity {
                value,
                products,
                uncertainty,
            },
        );
        line.stop = stop;
        line
    };
    let double = |tensor: &Tensor| tensor.to_dtype(DType::F64);
    let scalar = |tensor: &Tensor| double(tensor)?.to_scalar::<f64>();
    let sum = scalar(&double(values)?.sum_all()?)?;
    let squares = scalar(&double(standard_errors)?.sqr()?.sum_all()?)?;
    let norm = result.norm()?;
    let mut of_all = line("diagonal_norm", norm.value, norm.standard_error);
    of_all.relative_error = Some(result.relative_error(CONFIDENCE)?);
    let mut lines = vec![line("diagonal_sum", sum, (2.0 * squares).sqrt()), of_all];
    let rows = values.elem_count();
    for (name, row) in [
        ("diagonal_max", values.argmax(0)?),
        ("diagonal_min", values.argmin(0)?),
    ] {
        let row = row.to_scalar::<u32>()? as usize;
        let (value, standard_error) = (values.get(row)?, standard_errors.get(row)?);
        let entry = Estimate {
            value: scalar(&value)?,
            standard_error: scalar(&standard_error)?,
            rounding: norm.rounding,
            probes: *probes,
            products: *products,
            seed: *seed,
        };
        let mut line = line(name, entry.value, entry.standard_error);
        line.at = element(row, layout, ranges);
        // One of so many errors is beyond this in the mean.
        let largest = match rows {
            1 => 0.0,
            rows => entry.half_width(1.0 - 1.0 / rows as f64)?,
        };
        if entry.standard_error > 0.0 && entry.value.abs() <= largest {
            line.stop = Some("no more than the largest of so many errors");
        }
        lines.push(line);
    }
    Ok(lines)
}

/// The element of a parameter that row `row` of those at `ranges` belongs to, such as `fc.weight[3, 41]`.
fn element(mut row: usize, layout: &ParamLayout, ranges: &[Range<usize>]) -> Option<String> {
    for range in ranges {
        if row >= range.len() {
            row -= range.len();
            continue;
        }
        let mut index = range.start + row;
        for parameter in layout.parameters() {
            if index >= parameter.len() {
                index -= parameter.len();
                continue;
            }
            let mut place: Vec<String> = Vec::with_capacity(parameter.shape.len());
            for axis in parameter.shape.iter().rev() {
                place.push((index % axis).to_string());
                index /= axis;
            }
            place.reverse();
            return Some(format!("{}[{}]", parameter.name, place.join(", ")));
        }
    }
    None
}

/// The entries and their standard errors as safetensors files, with the names and shapes of the parameters.
pub(super) fn files(
    diagonal: &Diagonal,
    layout: &ParamLayout,
    ranges: &[Range<usize>],
) -> Result<[(&'static str, Vec<u8>); 2]> {
    let file = |vector: &Tensor| -> Result<Vec<u8>> {
        let (mut named, mut offset, mut taken) = (Vec::new(), 0, 0);
        for parameter in layout.parameters() {
            let (start, len) = (offset, parameter.len());
            offset += len;
            // A group is of whole parameters.
            if len > 0 && ranges.iter().any(|range| range.contains(&start)) {
                let piece = vector.narrow(0, taken, len)?;
                taken += len;
                named.push((&parameter.name, piece.reshape(parameter.shape.as_slice())?));
            }
        }
        Ok(safetensors::serialize(named, None)?)
    };
    Ok([
        ("diagonal.safetensors", file(&diagonal.values)?),
        (
            "diagonal-standard-errors.safetensors",
            file(&diagonal.standard_errors)?,
        ),
    ])
}

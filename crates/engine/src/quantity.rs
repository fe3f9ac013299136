//! Numbers of the estimators as a record holds them.

use candle_core::DType;
use flatness_records::{Cost, Quantity, Stop, Uncertainty};
use flatness_spectrum::Estimate;

/// ε that rounding may change a sum by, relative to the magnitudes of its terms.
const ROUNDING: f64 = 64.0;

pub(crate) fn stop(stop: flatness_spectrum::Stop) -> Stop {
    use flatness_spectrum::Stop as Ended;
    match stop {
        Ended::Converged => Stop::Accurate,
        Ended::Products => Stop::Budget,
        Ended::Interrupted => Stop::Time,
        Ended::Memory => Stop::Memory,
        Ended::Rounding => Stop::Rounding,
        // Where nothing is defined, nothing has this stop.
        Ended::Complete | Ended::Undefined => Stop::Complete,
    }
}

/// A mean over probes, which cost their own products and those of what they leave out, `known`.
pub(crate) fn stochastic(estimate: &Estimate, known: usize) -> Quantity {
    let products = Cost::products((estimate.products + known) as u64);
    over(
        estimate.value,
        estimate.standard_error,
        estimate.probes,
        products,
    )
}

/// A number with its standard error over so many probes.
pub(crate) fn over(value: f64, standard_error: f64, probes: usize, cost: Cost) -> Quantity {
    let uncertainty = Uncertainty::Stochastic {
        standard_error,
        probes: probes as u64,
    };
    Quantity::new(value, uncertainty, cost)
}

/// What rounding in `dtype` may change a number of the size of `terms` by.
pub(crate) fn rounding(dtype: DType, terms: f64) -> f64 {
    let epsilon = match dtype {
        DType::F64 => f64::EPSILON,
        _ => f64::from(f32::EPSILON),
    };
    ROUNDING * epsilon * terms.abs()
}

/// A number that is wrong by rounding only.
pub(crate) fn computed(value: f64, rounding: f64, cost: Cost) -> Quantity {
    Quantity::new(value, Uncertainty::Computed { rounding }, cost)
}

/// A mean over draws of a measure, with its floor of rounding.
pub(crate) fn drawn(estimate: &flatness_measures::Estimate, cost: Cost) -> Quantity {
    if estimate.draws == 0 {
        return computed(estimate.value, estimate.rounding, cost);
    }
    over(estimate.value, estimate.error(), estimate.draws, cost)
}

/// What ended a measure, where something had to.
pub(crate) fn ended(stop: flatness_measures::Stop) -> Option<Stop> {
    use flatness_measures::Stop as Ended;
    match stop {
        Ended::Complete => None,
        Ended::Converged => Some(Stop::Accurate),
        Ended::NoRise => Some(Stop::Rounding),
        Ended::Iterations => Some(Stop::Budget),
        Ended::Interrupted => Some(Stop::Time),
    }
}

pub(crate) fn cost(cost: flatness_measures::Cost) -> Cost {
    Cost {
        products: cost.products,
        losses: cost.losses,
        gradients: cost.gradients,
    }
}

/// The mean of `values`, each off by its rounding: the error of one is that, of several also the standard error.
pub(crate) fn mean(values: &[f64], roundings: &[f64], cost: Cost) -> Quantity {
    let count = values.len() as f64;
    let value = values.iter().sum::<f64>() / count;
    let rounding = roundings.iter().sum::<f64>() / count;
    if values.len() < 2 {
        return computed(value, rounding, cost);
    }
    let variance = values.iter().map(|x| (x - value).powi(2)).sum::<f64>() / (count - 1.0);
    let error = (variance / count).sqrt().hypot(rounding);
    over(value, error, values.len(), cost)
}

/// A multiple of a number, with its error.
pub(crate) fn scaled(number: &Quantity, factor: f64) -> Quantity {
    let mut scaled = number.clone();
    scaled.value *= factor;
    let (Uncertainty::Computed { rounding: error }
    | Uncertainty::Stochastic {
        standard_error: error,
        ..
    }
    | Uncertainty::Iterative {
        residual: error, ..
    }
    | Uncertainty::LowerBound { gap: error, .. }) = &mut scaled.uncertainty;
    *error *= factor.abs();
    if let Some(error) = &mut scaled.sampling_error {
        *error *= factor.abs();
    }
    scaled
}

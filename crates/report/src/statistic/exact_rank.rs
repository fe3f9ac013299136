//! Rank of the exact Hessian over a count it is compared with: #{i : |λᵢ| > t λ₁} / bound, t the run's threshold.

use flatness_records::{ExactSpectrum, Record};
use serde::{Deserialize, Serialize};

/// What the rank of a Hessian is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RankBound {
    /// P, the order of the matrix.
    Parameters,
    /// Hidden and output units times classes: the order of magnitude that the paper names.
    NeuronsTimesClasses,
    /// N (C − 1), which the rank of the Gauss-Newton matrix never exceeds.
    ExamplesTimesOtherClasses,
}

pub(super) fn ratio(run: &Record, bound: RankBound) -> Option<f64> {
    let spectrum = run.exact_spectrum.as_ref()?;
    let ratio = spectrum.rank as f64 / bound.of(run, spectrum);
    ratio.is_finite().then_some(ratio)
}

impl RankBound {
    /// The count for the network and the split that `spectrum` of `run` was taken on.
    pub(crate) fn of(self, run: &Record, spectrum: &ExactSpectrum) -> f64 {
        let count = match self {
            Self::Parameters => run.model.parameters,
            Self::NeuronsTimesClasses => spectrum.neurons * spectrum.classes,
            Self::ExamplesTimesOtherClasses => {
                spectrum.examples * spectrum.classes.saturating_sub(1)
            }
        };
        count as f64
    }
}

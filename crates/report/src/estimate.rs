//! Mean and standard error over seeds: x̄ = Σ xᵢ / n, s.e. = √(Σ (xᵢ − x̄)² / (n (n − 1))).

use serde::Serialize;

use crate::student_quantile;

/// Mean over seeds with its standard error.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    /// Mean over the seeds.
    pub mean: f64,
    /// Standard error of the mean; unknown from a single seed.
    pub standard_error: Option<f64>,
    /// Number of seeds.
    pub n: usize,
}

impl Estimate {
    /// Mean and standard error of `values`, one per seed; `None` when there are none.
    #[must_use]
    pub fn of(values: &[f64]) -> Option<Self> {
        let n = values.len();
        if n == 0 {
            return None;
        }
        let mean = values.iter().sum::<f64>() / n as f64;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let standard_error = (n > 1).then(|| (squares / (n * (n - 1)) as f64).sqrt());
        Some(Self {
            mean,
            standard_error,
            n,
        })
    }

    /// Half-width of the one-sided 95 % Student-t interval: t₀.₉₅(n − 1) times the standard error;
    /// unknown from a single seed.
    #[must_use]
    pub fn half_width(&self) -> Option<f64> {
        Some(student_quantile(self.n.checked_sub(1)?)? * self.standard_error?)
    }
}

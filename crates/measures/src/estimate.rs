//! A mean over independent draws: x̄ = (1/n) Σ xᵢ, standard error = √(Σ (xᵢ − x̄)² / (n (n − 1))).

/// A number estimated from random draws.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// Mean over draws.
    pub value: f64,
    /// Its standard error.
    pub standard_error: f64,
    /// Number of independent draws.
    pub draws: usize,
    /// Seed of the draws.
    pub seed: u64,
}

impl Estimate {
    /// The mean of `values`, of which the caller has seen to it that there are two or more.
    pub(crate) fn of(values: &[f64], seed: u64) -> Self {
        let count = values.len() as f64;
        let value = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|x| (x - value).powi(2)).sum();
        Self {
            value,
            standard_error: (squares / (count * (count - 1.0))).sqrt(),
            draws: values.len(),
            seed,
        }
    }
}

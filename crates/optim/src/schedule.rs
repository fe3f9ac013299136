//! Learning rate over initial rate as a function of t = epoch / epochs in [0, 1).
//!
//! The paper's schedule (the authors' public software, as in Izmailov et al. 2018, SWA):
//!
//! ```text
//! factor(t) = 1                                  t <= 0.5
//!             1 - (1 - r) (t - 0.5) / 0.4        0.5 < t <= 0.9
//!             r                                  t > 0.9
//! ```

/// Learning-rate schedule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Schedule {
    /// The initial rate throughout.
    Constant,
    /// The paper's: constant, linear to `ratio` times the rate, flat.
    Paper {
        /// r, the final over the initial rate; 0.01 in the paper's runs.
        ratio: f64,
    },
}

impl Schedule {
    /// Rate at `t` over the initial rate.
    #[must_use]
    pub fn factor(&self, t: f64) -> f64 {
        match *self {
            Self::Constant => 1.0,
            Self::Paper { ratio } => {
                if t <= 0.5 {
                    1.0
                } else if t <= 0.9 {
                    1.0 - (1.0 - ratio) * (t - 0.5) / 0.4
                } else {
                    ratio
                }
            }
        }
    }
}

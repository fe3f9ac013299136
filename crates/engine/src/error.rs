//! What can be wrong with a measurement.

use crate::{JournalError, Refusal};

/// Why a measurement cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The memory for vectors does not hold the least.
    #[error(transparent)]
    Vectors(#[from] Refusal),
    /// The memory for activations does not hold the sweeps that go on at a time.
    #[error(
        "--memory-budget must be at least {} MiB for {sweeps} batches of {batch} examples at a time, got {} MiB; give \
         more memory{}",
        needed.div_ceil(1 << 20),
        allowed.div_ceil(1 << 20),
        match fits { 0 => String::new(), fits => format!(" or batches of {fits} examples") }
    )]
    Activations {
        /// Sweeps that go on at a time.
        sweeps: usize,
        /// Examples in each.
        batch: usize,
        /// Bytes needed.
        needed: usize,
        /// Bytes there are.
        allowed: usize,
        /// Examples of a batch that would fit.
        fits: usize,
    },
    /// The budget does not hold the least.
    #[error(
        "--budget is {products} products, but what is asked for takes {least} at least; give as many, or ask for less"
    )]
    Budget {
        /// Products allowed.
        products: usize,
        /// Products needed.
        least: usize,
    },
    /// A basis that does not hold the least.
    #[error(
        "--basis must be at least {needed}, got {basis}: it holds the eigenvalues asked for, {wanted}, and twice --block {block}"
    )]
    Basis {
        /// Vectors it holds.
        basis: usize,
        /// Eigenvalues asked for.
        wanted: usize,
        /// Vectors per product.
        block: usize,
        /// Vectors it has to hold.
        needed: usize,
    },
    /// More eigenvalues than the matrix has.
    #[error("--what {end}={count}: the matrix has {rows} eigenvalues; ask for at most as many")]
    Eigenvalues {
        /// `top` or `bottom`.
        end: &'static str,
        /// Eigenvalues asked for.
        count: usize,
        /// Rows of the matrix.
        rows: usize,
    },
    /// Fewer eigenvectors than a measure takes.
    #[error(
        "it takes {needed} leading eigenvectors of the Hessian, and the search found {found}; give more --budget, unless the \
         Hessian is zero"
    )]
    Eigenvectors {
        /// Eigenvectors that it takes.
        needed: usize,
        /// Eigenvectors that there are.
        found: usize,
    },
    /// What is relative to the size of the weights, where all of them are zero.
    #[error("undefined at zero weights, since it is relative to their size")]
    ZeroWeights,
    /// A dense matrix that is too large.
    #[error(
        "--what spectrum takes at most {most} parameters, got {rows}; choose some, or leave it out"
    )]
    Dense {
        /// Rows that are not too many.
        most: usize,
        /// Rows of the matrix.
        rows: usize,
    },
    /// What would be measured twice.
    #[error("{field} names {got} twice; name it once")]
    Twice {
        /// The option, or the field of a spec.
        field: &'static str,
        /// What is there twice.
        got: String,
    },
    /// A share of the largest eigenvalue that none is beyond.
    #[error(
        "--what rank={share} counts eigenvalues beyond that share of the largest; it must be a number above 0 and at most 1"
    )]
    Rank {
        /// The share.
        share: f64,
    },
    /// Measures of the whole network beside `each`.
    #[error(
        "--each measures blocks of the matrix: top, bottom, trace, frobenius, diagonal, density, spectrum and what comes \
         from them; ask for {what} without it"
    )]
    Groups {
        /// The measure.
        what: String,
    },
    /// A measure that cannot do what is asked of all.
    #[error(
        "--what {what} is of the loss itself and of all parameters, and cannot obey {option}; ask for it without"
    )]
    Disobedient {
        /// The measure.
        what: String,
        /// What it cannot obey.
        option: &'static str,
    },
    /// A measure without a meaning for this network.
    #[error("--what {what}: {reason}; leave it out")]
    Meaningless {
        /// The measure.
        what: &'static str,
        /// Why not.
        reason: String,
    },
    /// A measure of classes where the labels are something else.
    #[error(
        "--what {what} is of the classes of examples, and the labels of {data} are not one for each; leave it out"
    )]
    NoClasses {
        /// The measure.
        what: String,
        /// Name of the data set.
        data: String,
    },
    /// Batches of more examples than there are, or none.
    #[error("--batch-size must be from 1 to {examples}, the examples of {data}, got {got}")]
    BatchSize {
        /// Name of the data.
        data: String,
        /// Examples that there are.
        examples: usize,
        /// Examples of a batch.
        got: usize,
    },
    /// A group of parameters failed.
    #[error("{group}: {source}")]
    Group {
        /// Its name.
        group: String,
        /// How.
        source: Box<Error>,
    },
    /// The caller's limit ended it before there was a number.
    #[error("the time limit ended it before there was a number")]
    Interrupted,
    /// A journal failed.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A product or the loss failed.
    #[error(transparent)]
    Curvature(#[from] flatness_curvature::Error),
    /// The examples failed.
    #[error(transparent)]
    Data(#[from] flatness_data::Error),
    /// The network failed.
    #[error(transparent)]
    Network(#[from] flatness_layers::Error),
    /// A measure failed.
    #[error(transparent)]
    Measures(#[from] flatness_measures::Error),
    /// An operator failed.
    #[error(transparent)]
    Operator(#[from] flatness_operator::Error),
    /// An estimator failed.
    #[error(transparent)]
    Spectrum(#[from] flatness_spectrum::Error),
    /// A tensor operation failed.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}

impl Error {
    /// Whether a number does not exist here, and nothing is wrong with the others.
    pub(crate) fn leaves_others(&self) -> bool {
        use flatness_measures::Error as Measures;
        use flatness_spectrum::Error as Spectrum;
        match self {
            Self::Interrupted | Self::Eigenvectors { .. } | Self::ZeroWeights => true,
            Self::Spectrum(error) => matches!(
                error,
                Spectrum::NonFiniteIntegrand { .. }
                    | Spectrum::NegativeEstimate { .. }
                    | Spectrum::ZeroOperator
                    | Spectrum::Interrupted { .. }
            ),
            Self::Measures(error) => matches!(
                error,
                Measures::NoCrossing { .. }
                    | Measures::NoDirection { .. }
                    | Measures::Unresolved { .. }
                    | Measures::Interrupted
            ),
            _ => false,
        }
    }
}

//! `flatness measure` and `flatness product`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{Computing, NAMES, NormalizationOptions, NumberType, Output, What};

#[derive(Debug, Args)]
#[command(after_help = format!("What can be measured: {NAMES}.\nThe page docs/MEASURES.md says which measure answers which question."))]
pub(crate) struct MeasureOptions {
    /// Parameters, a .safetensors or .pth file with PyTorch's names
    pub(crate) checkpoint: PathBuf,
    /// Network [default: the one the checkpoint names]
    #[arg(long, value_name = "NAME")]
    pub(crate) model: Option<String>,
    /// Data set
    #[arg(
        long,
        help_heading = "Data",
        value_name = "NAME",
        default_value = "mnist"
    )]
    pub(crate) data_set: String,
    /// Directory with the data set [default: the cache directory; mnist: else the embedded fixture]
    #[arg(long, help_heading = "Data", value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) normalization: NormalizationOptions,
    /// Split whose mean loss is measured
    #[arg(long, help_heading = "Data", value_enum, default_value_t = SplitName::Train)]
    pub(crate) split: SplitName,
    /// Hold out the training examples after the first N; they are the split `validation`
    #[arg(long, help_heading = "Data", value_name = "N")]
    pub(crate) train_size: Option<usize>,
    /// Take the first N examples of the split only
    #[arg(long, help_heading = "Data", value_name = "N")]
    pub(crate) examples: Option<usize>,
    /// Take N random examples of the split, and say how far all of it may be from them
    #[arg(
        long,
        help_heading = "Data",
        value_name = "N",
        conflicts_with = "examples"
    )]
    pub(crate) sample: Option<usize>,
    /// Matrix
    #[arg(long, help_heading = "Matrix", value_enum, default_value_t = MatrixName::Hessian)]
    pub(crate) matrix: MatrixName,
    /// Statistics that batch-norm takes: the running ones of the checkpoint, or those of each batch
    #[arg(long, help_heading = "Matrix", value_enum, default_value_t = BatchNormName::Frozen)]
    pub(crate) batch_norm: BatchNormName,
    /// Number type of the arithmetic [default: the checkpoint's]
    #[arg(long, help_heading = "Matrix", value_enum)]
    pub(crate) dtype: Option<NumberType>,
    /// Most examples per sweep [default: 1000 or all]; with batch statistics, the size of the batches
    #[arg(long, help_heading = "Matrix", value_name = "N")]
    pub(crate) batch_size: Option<usize>,
    /// Take the rows and columns of the parameters whose names match, such as `fc1.*`; `*` is any text
    #[arg(
        long,
        help_heading = "Matrix",
        value_name = "PATTERNS",
        value_delimiter = ','
    )]
    pub(crate) parameters: Vec<String>,
    /// Measure the matrix of each of these groups of parameters by itself: `layer`, every layer, or PATTERNS
    /// such as `block1.*,block2.*`, a group each
    #[arg(
        long,
        help_heading = "Matrix",
        value_name = "PATTERNS",
        value_delimiter = ',',
        conflicts_with = "parameters"
    )]
    pub(crate) each: Vec<String>,
    /// Add the L2 term of this coefficient to the matrix
    #[arg(
        long,
        help_heading = "Matrix",
        value_name = "COEFFICIENT",
        default_value_t = 0.0
    )]
    pub(crate) l2: f64,
    /// What to measure, a list of the names below
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        default_value = "top,bottom,trace,frobenius"
    )]
    pub(crate) what: Vec<What>,
    /// Half-width of 95 % confidence, relative to the value, at which an estimate is good enough
    #[arg(
        long,
        help_heading = "Accuracy and cost",
        value_name = "FRACTION",
        default_value_t = 0.05
    )]
    pub(crate) relative_error: f64,
    /// Residual, relative to the largest |eigenvalue|, at which an eigenvalue is good enough
    #[arg(
        long,
        help_heading = "Accuracy and cost",
        value_name = "FRACTION",
        default_value_t = 1e-3
    )]
    pub(crate) tolerance: f64,
    /// Most matrix-vector products of eigenvalues, trace, Frobenius norm, diagonal and functions of the matrix
    #[arg(
        long,
        help_heading = "Accuracy and cost",
        value_name = "N",
        default_value_t = 1000
    )]
    pub(crate) budget: usize,
    /// Begin no further product after so many seconds
    #[arg(long, help_heading = "Accuracy and cost", value_name = "SECONDS")]
    pub(crate) time_limit: Option<f64>,
    /// Vectors per product in the search for eigenvalues; finds as many copies of a repeated one
    #[arg(
        long,
        help_heading = "Accuracy and cost",
        value_name = "N",
        default_value_t = 1
    )]
    pub(crate) block: usize,
    /// Vectors held in the search for eigenvalues [default: 40 more than needed, or what fits the memory]
    #[arg(long, help_heading = "Accuracy and cost", value_name = "N")]
    pub(crate) basis: Option<usize>,
    /// Memory for the vectors of eigenvalues, probes and diagonals, in MiB; what takes more is refused
    /// [default: half of the machine's]
    #[arg(long, help_heading = "Computing", value_name = "MIB")]
    pub(crate) vector_memory: Option<usize>,
    /// Lanczos steps per probe of the density and of functions of the matrix
    #[arg(
        long,
        help_heading = "Accuracy and cost",
        value_name = "N",
        default_value_t = 30
    )]
    pub(crate) steps: usize,
    /// Seed of start vectors and probes
    #[arg(
        long,
        help_heading = "Accuracy and cost",
        value_name = "SEED",
        default_value_t = 0
    )]
    pub(crate) seed: u64,
    /// File that keeps the products of eigenvalues, traces, diagonals and functions of the matrix, so that the same
    /// command after a kill goes on where it was; FILE.1, FILE.2 and so on for the groups of --each
    #[arg(long, value_name = "FILE")]
    pub(crate) journal: Option<PathBuf>,
    /// Directory for plots (SVG, PNG), their data (CSV) and the diagonal (safetensors)
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) computing: Computing,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
#[command(
    after_help = "The data file holds `x` (N, ...) float32, `y` (N) integer, and `v.<parameter>`, the vector.\n\
    Prints one JSON line: loss, gradient norm, v'Av, |Av|, and the seconds they take."
)]
pub(crate) struct ProductOptions {
    /// Network, one of those that `flatness models` lists
    #[arg(long, value_name = "NAME")]
    pub(crate) model: String,
    /// Parameters, a .safetensors or .pth file with PyTorch's names
    #[arg(long, value_name = "FILE")]
    pub(crate) weights: PathBuf,
    /// Inputs, labels and vector, a safetensors file
    #[arg(long, value_name = "FILE")]
    pub(crate) data: PathBuf,
    /// Matrix
    #[arg(long, value_enum, default_value_t = MatrixName::Hessian)]
    pub(crate) matrix: MatrixName,
    /// Statistics that batch-norm takes: the running ones of the weights file, or those of each batch
    #[arg(long, value_enum, default_value_t = BatchNormName::Frozen)]
    pub(crate) batch_norm: BatchNormName,
    /// Vectors per product: the given one and seeded +-1 vectors
    #[arg(long, value_name = "K", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) vectors: u16,
    /// Most examples per sweep [default: 1000 or all]; with batch statistics, the size of the batches
    #[arg(long, value_name = "N")]
    pub(crate) batch: Option<usize>,
    /// Use the first N examples only
    #[arg(long, value_name = "N")]
    pub(crate) n: Option<usize>,
    /// Classes of the network [default: 10 for the MNIST networks, 100 for the others]
    #[arg(long, value_name = "N")]
    pub(crate) classes: Option<usize>,
    /// Number type of the arithmetic
    #[arg(long, value_enum, default_value_t = NumberType::F32)]
    pub(crate) dtype: NumberType,
    /// Keep the activations between products, or compute them anew inside the timed product
    #[arg(long, value_enum, default_value_t = RetentionName::Retain)]
    pub(crate) retention: RetentionName,
    /// Timed products, after one that is not timed
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) repeat: u16,
    /// Device: cpu, cuda, cuda:N or auto
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    pub(crate) device: String,
    /// Worker threads [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) threads: Option<u16>,
}

/// Split of the data.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum SplitName {
    /// Training examples, without those held out
    Train,
    /// Training examples held out by --train-size
    Validation,
    /// Test examples
    Test,
}

/// Curvature matrix.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum MatrixName {
    /// Hessian of the mean loss
    Hessian,
    /// Generalised Gauss-Newton matrix
    GaussNewton,
    /// Residual, Hessian minus Gauss-Newton matrix
    Residual,
    /// Empirical Fisher matrix, mean of the outer squares of the examples' gradients
    EmpiricalFisher,
    /// Covariance of the examples' gradients
    GradientCovariance,
}

/// Statistics that batch-norm takes.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum BatchNormName {
    /// The running ones: examples are independent
    Frozen,
    /// Those of each batch, whose examples are coupled
    Batch,
}

/// What happens to activations between products.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum RetentionName {
    /// Kept
    Retain,
    /// Computed anew
    Recompute,
}

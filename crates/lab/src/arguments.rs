//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Train networks and measure their exact curvature, with error bars.
///
/// Every number comes with its standard error or residual; every random number comes from one seed.
#[derive(Debug, Parser)]
#[command(name = "flatness", version, max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Train and measure what a spec (TOML) asks for; resumes where it was interrupted
    Run(RunOptions),
    /// Train one network, without measuring it
    Train(TrainOptions),
    /// Measure the curvature of a checkpoint: eigenvalues, trace, Frobenius norm
    Measure(MeasureOptions),
    /// Multiply the Hessian of given weights and data by given vectors, to compare with other tools
    Product(ProductOptions),
    /// List the networks: parameters, multiply-adds, activations
    Models(ModelsOptions),
    /// Fetch or check a data set
    Data(DataOptions),
}

/// Where and how to compute.
#[derive(Debug, Args)]
#[command(next_help_heading = "Computing")]
pub(crate) struct Computing {
    /// Device: cpu, cuda, cuda:N or auto (CUDA where there is one)
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    pub(crate) device: String,
    /// Worker threads [default: all cores]; the bits of a result depend on their number
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) threads: Option<u16>,
    /// Memory for activations kept between products, in MiB; beyond it they are computed anew
    #[arg(long, value_name = "MIB", default_value_t = 512)]
    pub(crate) memory_budget: usize,
}

/// What to say, and how.
#[derive(Debug, Args, Clone, Copy)]
#[command(next_help_heading = "Output")]
pub(crate) struct Output {
    /// No progress; errors only
    #[arg(long, short)]
    pub(crate) quiet: bool,
    /// Print the result as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "A finished run is left as it is. Its directory DIR/<hash of the spec> holds\n  \
    record.json              everything measured, with errors and provenance\n  \
    checkpoint.safetensors   the trained parameters, with PyTorch's names\n  \
    average.safetensors      the average of the iterates, where the spec asks for one\n  \
    metrics.jsonl            one line per epoch\n\
    Ctrl-C ends a run behind the next step (exit code 130); the same command then goes on from there."
)]
pub(crate) struct RunOptions {
    /// The spec, a TOML file
    pub(crate) spec: PathBuf,
    #[command(flatten)]
    pub(crate) places: Places,
    #[command(flatten)]
    pub(crate) computing: Computing,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// Where a run finds its data and leaves its files.
#[derive(Debug, Args)]
pub(crate) struct Places {
    /// Directory of the runs
    #[arg(long, value_name = "DIR", default_value = "runs")]
    pub(crate) runs: PathBuf,
    /// Directory with the data set [default: the cache directory; mnist: else the embedded fixture]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Time between two saved states, in seconds: a kill loses at most this much and a step
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub(crate) save_every: u64,
    #[command(flatten)]
    pub(crate) telemetry: Telemetry,
}

/// What a run says of itself besides its results, into its directory.
#[derive(Debug, Args)]
#[command(next_help_heading = "Telemetry")]
pub(crate) struct Telemetry {
    /// Least severe events that are appended to flatness.log
    #[arg(long, value_name = "LEVEL", value_enum, default_value_t = LogLevel::Info)]
    pub(crate) log_level: LogLevel,
    /// Write the metrics and measurements for TensorBoard too: `tensorboard --logdir DIR`
    #[arg(long)]
    pub(crate) tensorboard: bool,
}

#[derive(Debug, Args)]
pub(crate) struct TrainOptions {
    /// Network, one of those that `flatness models` lists
    #[arg(long, value_name = "NAME")]
    pub(crate) model: String,
    /// Data set
    #[arg(long, value_name = "NAME", default_value = "mnist")]
    pub(crate) data_set: String,
    /// Train on the first N examples only
    #[arg(long, value_name = "N")]
    pub(crate) train_examples: Option<usize>,
    /// Hold out the last N training examples
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) validation_examples: usize,
    /// Passes over the training examples
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) epochs: u32,
    /// Examples per step
    #[arg(long, value_name = "N", default_value_t = 128)]
    pub(crate) batch_size: usize,
    /// Optimiser; each has published settings that the options below replace
    #[arg(long, value_enum, default_value_t = OptimizerName::Sgd)]
    pub(crate) optimizer: OptimizerName,
    /// Initial learning rate [default: sgd 0.03; padam, gadamx, swa 0.1; adam, amsgrad 0.001; adamw, gadam 0.0005]
    #[arg(long, value_name = "RATE")]
    pub(crate) learning_rate: Option<f64>,
    /// Momentum coefficient of sgd and swa
    #[arg(long, value_name = "MU", default_value_t = 0.9)]
    pub(crate) momentum: f64,
    /// Weight decay [default: sgd, adam, amsgrad 0; padam, swa 0.0005; adamw, gadam 0.25; gadamx 0.0025]
    #[arg(long, value_name = "WD")]
    pub(crate) weight_decay: Option<f64>,
    /// Parameters without weight decay
    #[arg(long, value_name = "KIND", value_enum)]
    pub(crate) no_decay: Vec<ExclusionName>,
    /// Average the iterates after this many epochs, one per epoch [default: gadam, gadamx, swa 161/300 of the epochs]
    #[arg(long, value_name = "EPOCH")]
    pub(crate) average_from: Option<u32>,
    /// Keep the rate constant instead of the paper's schedule (constant, linear to 1 %, flat; with an average, to 50 %)
    #[arg(long)]
    pub(crate) constant_rate: bool,
    /// Let the rate rise from a tenth over this many epochs
    #[arg(long, value_name = "EPOCHS")]
    pub(crate) warm_up: Option<u32>,
    /// Scale gradients of a larger norm to this one
    #[arg(long, value_name = "NORM")]
    pub(crate) clip_norm: Option<f64>,
    /// Sharpness-aware minimisation with this radius
    #[arg(long, value_name = "RHO")]
    pub(crate) sharpness_aware: Option<f64>,
    /// Flip the training images and shift them by up to 4 pixels, at random
    #[arg(long)]
    pub(crate) augment: bool,
    /// Evaluate every split after every N epochs and the last, into metrics.jsonl
    #[arg(long, value_name = "N")]
    pub(crate) evaluate_every: Option<u32>,
    /// Keep a checkpoint after every N epochs
    #[arg(long, value_name = "N")]
    pub(crate) checkpoint_every: Option<u32>,
    /// Seed of all randomness
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Number type
    #[arg(long, value_enum, default_value_t = NumberType::F32)]
    pub(crate) dtype: NumberType,
    #[command(flatten)]
    pub(crate) places: Places,
    #[command(flatten)]
    pub(crate) computing: Computing,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct MeasureOptions {
    /// Parameters, a .safetensors or .pth file with PyTorch's names
    pub(crate) checkpoint: PathBuf,
    /// Network [default: the one the checkpoint names]
    #[arg(long, value_name = "NAME")]
    pub(crate) model: Option<String>,
    /// Data set
    #[arg(long, value_name = "NAME", default_value = "mnist")]
    pub(crate) data_set: String,
    /// Directory with the data set [default: the cache directory; mnist: else the embedded fixture]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Split whose mean loss is measured
    #[arg(long, value_enum, default_value_t = SplitName::Train)]
    pub(crate) split: SplitName,
    /// Take the first N examples of the split only
    #[arg(long, value_name = "N")]
    pub(crate) examples: Option<usize>,
    /// Matrix
    #[arg(long, value_enum, default_value_t = MatrixName::Hessian)]
    pub(crate) matrix: MatrixName,
    /// Statistics that batch-norm takes: the running ones of the checkpoint, or those of each batch
    #[arg(long, value_enum, default_value_t = BatchNormName::Frozen)]
    pub(crate) batch_norm: BatchNormName,
    /// Number type of the arithmetic [default: the checkpoint's]
    #[arg(long, value_enum)]
    pub(crate) dtype: Option<NumberType>,
    /// Most examples per sweep [default: 1000 or all]; with batch statistics, the size of the batches
    #[arg(long, value_name = "N")]
    pub(crate) batch_size: Option<usize>,
    /// Lanczos steps, one product each
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) steps: usize,
    /// Relative residual at which an eigenvalue counts as converged
    #[arg(long, value_name = "TOLERANCE", default_value_t = 1e-3)]
    pub(crate) tolerance: f64,
    /// Random probes of trace and Frobenius norm, one product each
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) probes: usize,
    /// Most power iterations, a check of the spectral norm; 0 for none
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) power_iterations: usize,
    /// Seed of start vector and probes
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    pub(crate) seed: u64,
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

#[derive(Debug, Args)]
pub(crate) struct ModelsOptions {
    /// Print a JSON array
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DataOptions {
    #[command(subcommand)]
    pub(crate) command: DataCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DataCommand {
    /// Download a data set, verify it and keep it in the cache directory
    Fetch(FetchOptions),
    /// Verify the data set in a directory and say what it holds
    Check(CheckOptions),
}

#[derive(Debug, Args)]
pub(crate) struct FetchOptions {
    /// Data set
    #[arg(value_enum)]
    pub(crate) set: DataSet,
    /// Directory to put it in [default: the cache directory]
    #[arg(long, value_name = "DIR")]
    pub(crate) to: Option<PathBuf>,
    /// Download from this address, ending in `/`, instead of the known mirrors
    #[arg(long, value_name = "URL")]
    pub(crate) mirror: Vec<String>,
    /// No progress; errors only
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CheckOptions {
    /// Data set
    #[arg(value_enum)]
    pub(crate) set: DataSet,
    /// Directory with the data set, or the archive of cifar-100 [default: the cache directory]
    pub(crate) directory: Option<PathBuf>,
    /// Print the result as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// Data set with known mirrors.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum DataSet {
    /// Handwritten digits, 70,000 grey images of 28 x 28
    Mnist,
    /// Natural images, 60,000 in colour of 32 x 32, in 100 classes
    #[value(name = "cifar-100")]
    Cifar100,
}

/// Optimiser with its published settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OptimizerName {
    /// Gradient descent with momentum
    Sgd,
    /// Adam
    Adam,
    /// Adam with decoupled weight decay
    Adamw,
    /// Adam whose denominator never falls
    Amsgrad,
    /// AMSGrad that adapts partially, p = 1/8
    Padam,
    /// AdamW with an average of its iterates
    Gadam,
    /// Padam with decoupled weight decay and an average of its iterates
    Gadamx,
    /// Gradient descent with momentum and an average of its iterates
    Swa,
}

/// Parameters without weight decay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExclusionName {
    /// Biases
    Biases,
    /// Weights and biases of batch-norm
    Normalization,
}

/// Severity of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogLevel {
    /// No log
    Off,
    /// Divergence
    Error,
    /// Damaged states, signals
    Warn,
    /// Start, epochs, measurements, saved states, resumes
    Info,
    /// Whatever else there is
    Debug,
}

/// Number type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum NumberType {
    /// Single precision
    F32,
    /// Double precision
    F64,
}

/// Split of the data.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum SplitName {
    /// Training examples
    Train,
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

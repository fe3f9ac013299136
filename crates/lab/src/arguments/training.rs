//! `flatness run`, `flatness train`, and what looks at their runs.

use std::path::PathBuf;

use clap::builder::TypedValueParser;
use clap::{Args, ValueEnum};
use flatness_records::{DecayExclusion, Dtype, InitialSpec, SubsetSpec};

use super::{
    Computing, LossOptions, NormalizationOptions, Output, help, named, number_type, signed, subset,
    whole,
};

#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    arg = help(),
    mut_args = signed,
    after_help = "A finished run is left as it is. Its directory DIR/<hash of the spec> holds\n  \
    record.json              everything measured, with errors and provenance\n  \
    checkpoint.safetensors   the trained parameters, with PyTorch's names\n  \
    average.safetensors      the average of the iterates, where the spec asks for one\n  \
    metrics.jsonl            one line per epoch\n\
    The page docs/SPEC.md has every field of a spec, its unit and default, and whole examples.\n\
    Ctrl-C ends a run behind the next step (exit code 130); the same command then goes on from there."
)]
pub(crate) struct RunOptions {
    /// The spec, a TOML file; several are done one after the other, without those in use by other processes
    #[arg(value_name = "SPEC", num_args = 1.., required = true)]
    pub(crate) specs: Vec<PathBuf>,
    /// Say what it will take, and do nothing
    #[arg(long, help_heading = "Run")]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) places: Places,
    #[command(flatten)]
    pub(crate) computing: Computing,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// Where a run finds its data and leaves its files.
#[derive(Debug, Args)]
#[command(next_help_heading = "Run")]
pub(crate) struct Places {
    /// Directory of the runs
    #[arg(long, value_name = "DIR", default_value = "runs")]
    pub(crate) runs: PathBuf,
    /// Directory with the data set [default: the cache directory; mnist: else the embedded fixture]; or a .safetensors or
    /// .npz file with inputs `x` (N, ...) and labels `y`, and test examples `x_test` and `y_test` where there are any
    #[arg(long, help_heading = "Data", value_name = "DIR or FILE")]
    pub(crate) data: Option<PathBuf>,
    /// Time between two saved states, in seconds: a kill loses at most this much and a step
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = whole::<u64>)]
    pub(crate) save_every: u64,
    /// End as by Ctrl-C once standard input ends: for a program that starts runs and may be killed
    #[arg(long)]
    pub(crate) until_eof: bool,
    /// Least severity of the events in the run's flatness.log
    #[arg(long, value_name = "LEVEL", value_enum, default_value_t = LogLevel::Info)]
    pub(crate) log_level: LogLevel,
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

#[derive(Debug, Args)]
#[command(
    next_help_heading = "Training",
    disable_help_flag = true,
    arg = help(),
    mut_args = signed
)]
pub(crate) struct TrainOptions {
    /// Network, one of those that `flatness models` lists, or an .onnx file
    #[arg(value_name = "NETWORK", required_unless_present = "model", help_heading = None::<&str>)]
    pub(crate) network: Option<String>,
    /// The same, as an option
    #[arg(
        long,
        help_heading = "Network",
        value_name = "NETWORK",
        conflicts_with = "network"
    )]
    pub(crate) model: Option<String>,
    /// Of an ONNX file, take these initialisers as constants and not as parameters: buffers of a floating type, which the file
    /// cannot tell apart
    #[arg(
        long,
        help_heading = "Network",
        value_name = "NAMES",
        value_delimiter = ','
    )]
    pub(crate) constants: Vec<String>,
    /// Begin at the values in the file of the network, or at random ones of the seed [default: file where there is one]
    #[arg(long, help_heading = "Network", value_name = "WHERE", value_parser = named::<InitialSpec>(&["file", "seeded"]))]
    pub(crate) initial: Option<InitialSpec>,
    /// Number type
    #[arg(long, help_heading = "Network", value_parser = number_type(), default_value = "f32")]
    pub(crate) dtype: Dtype,
    /// Let dropout layers drop nothing
    #[arg(long, help_heading = "Network")]
    pub(crate) no_dropout: bool,
    /// Data set [default: mnist; of an ONNX file none]
    #[arg(long, help_heading = "Data", value_name = "NAME")]
    pub(crate) data_set: Option<String>,
    /// Train on N examples only
    #[arg(long, help_heading = "Data", value_name = "N", value_parser = whole::<usize>)]
    pub(crate) train_examples: Option<usize>,
    /// Which ones
    #[arg(long, help_heading = "Data", value_parser = subset(), default_value = "first")]
    pub(crate) subset: SubsetSpec,
    /// Hold out the last N training examples
    #[arg(long, help_heading = "Data", value_name = "N", default_value_t = 0, value_parser = whole::<usize>)]
    pub(crate) validation_examples: usize,
    /// Passes over the training examples
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = whole::<u32>)]
    pub(crate) epochs: u32,
    /// Examples per step
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = whole::<usize>)]
    pub(crate) batch_size: usize,
    /// Optimiser; each has published settings that the options below replace
    #[arg(long, value_enum, default_value_t = OptimizerName::Sgd)]
    pub(crate) optimizer: OptimizerName,
    /// Initial learning rate [default: sgd 0.03; padam, gadamx, swa 0.1; adam, amsgrad 0.001; adamw, gadam 0.0005]
    #[arg(long, value_name = "RATE")]
    pub(crate) learning_rate: Option<f64>,
    /// Momentum coefficient of sgd and swa [default: 0.9]
    #[arg(long, value_name = "MU")]
    pub(crate) momentum: Option<f64>,
    /// Weight decay [default: sgd, adam, amsgrad 0; padam, swa 0.0005; adamw, gadam 0.25; gadamx 0.0025]
    #[arg(long, value_name = "WD")]
    pub(crate) weight_decay: Option<f64>,
    /// Parameters without weight decay
    #[arg(long, value_name = "KIND", value_parser = exclusion())]
    pub(crate) decay_excludes: Vec<DecayExclusion>,
    /// Average the iterates after this many epochs, one per epoch [default: gadam, gadamx, swa 161/300 of the epochs]
    #[arg(long, value_name = "EPOCH", value_parser = whole::<u32>)]
    pub(crate) average_from: Option<u32>,
    /// Keep the rate constant instead of the paper's schedule (constant, linear to 1 %, flat; with an average, to 50 %)
    #[arg(long)]
    pub(crate) constant_rate: bool,
    /// Let the rate rise from a tenth over this many epochs
    #[arg(long, value_name = "EPOCHS", value_parser = whole::<u32>)]
    pub(crate) warm_up: Option<u32>,
    /// Scale gradients of a larger norm to this one
    #[arg(long, value_name = "NORM")]
    pub(crate) clip_norm: Option<f64>,
    /// Multiply in TF32 on a CUDA device, 10 bits of mantissa; measuring never does
    #[arg(long)]
    pub(crate) tf32: bool,
    /// Sharpness-aware minimisation with this radius
    #[arg(long, value_name = "RHO")]
    pub(crate) sharpness_aware: Option<f64>,
    /// Flip the training images and shift them by up to 4 pixels, at random
    #[arg(long)]
    pub(crate) augmentation: bool,
    /// Evaluate every split after every N epochs and the last, into metrics.jsonl
    #[arg(long, value_name = "N", value_parser = whole::<u32>)]
    pub(crate) evaluate_every: Option<u32>,
    /// Keep a checkpoint after every N epochs
    #[arg(long, value_name = "N", value_parser = whole::<u32>)]
    pub(crate) checkpoint_every: Option<u32>,
    /// Seed of all randomness
    #[arg(long, value_name = "SEED", default_value_t = 0, value_parser = whole::<u64>)]
    pub(crate) seed: u64,
    #[command(flatten)]
    pub(crate) loss: LossOptions,
    #[command(flatten)]
    pub(crate) normalization: NormalizationOptions,
    #[command(flatten)]
    pub(crate) places: Places,
    #[command(flatten)]
    pub(crate) computing: Computing,
    #[command(flatten)]
    pub(crate) output: Output,
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

fn exclusion() -> impl TypedValueParser<Value = DecayExclusion> {
    named(&[
        "biases: Biases",
        "normalization: Weights and biases of batch, layer and group norm",
    ])
}

#[derive(Debug, Args)]
pub(crate) struct RunsOptions {
    /// Directory of the runs
    #[arg(value_name = "DIR", default_value = "runs")]
    pub(crate) directory: PathBuf,
    /// Print a JSON array
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CompareOptions {
    /// Directories of finished runs; ratios are to the first
    #[arg(value_name = "RUN", num_args = 1.., required = true)]
    pub(crate) runs: Vec<PathBuf>,
    /// Draw losses and spectral norm along training (FILE.svg), or write every number along it (FILE.csv)
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

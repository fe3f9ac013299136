//! `flatness data`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

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

/// What becomes of the pixels.
#[derive(Debug, Args, Clone)]
#[command(next_help_heading = "Data")]
pub(crate) struct NormalizationOptions {
    /// Subtract these from the pixels on the scale from 0 to 1, one number per channel [default: mnist 0.5;
    /// cifar-100 0.4914,0.4822,0.4465, for vgg and all-cnn 0.485,0.456,0.406]
    #[arg(
        long,
        value_name = "MEAN",
        value_delimiter = ',',
        allow_negative_numbers = true,
        requires = "deviation"
    )]
    pub(crate) mean: Option<Vec<f64>>,
    /// Divide by these afterwards [default: mnist 0.5; cifar-100 0.2023,0.1994,0.201, for vgg and all-cnn
    /// 0.229,0.224,0.225]
    #[arg(
        long,
        value_name = "DEVIATION",
        value_delimiter = ',',
        allow_negative_numbers = true,
        requires = "mean"
    )]
    pub(crate) deviation: Option<Vec<f64>>,
}

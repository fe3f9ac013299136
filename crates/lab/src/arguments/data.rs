//! `flatness data`.

use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use flatness_data::Set;

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
    #[arg(value_parser = set())]
    pub(crate) set: Set,
    /// Directory to put it in [default: the cache directory]
    #[arg(long, value_name = "DIR")]
    pub(crate) to: Option<PathBuf>,
    /// Download from this address instead of the known mirrors: http:// or https://, to which `/` and a file's name are added
    #[arg(long, value_name = "URL", value_parser = mirror)]
    pub(crate) mirror: Vec<String>,
    /// No progress; errors only
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CheckOptions {
    /// Data set
    #[arg(value_parser = set())]
    pub(crate) set: Set,
    /// Directory with the data set, or its archive [default: the cache directory]
    pub(crate) directory: Option<PathBuf>,
    /// Print the result as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// A data set by its name.
fn set() -> impl TypedValueParser<Value = Set> {
    let names = Set::ALL.map(|set| PossibleValue::new(set.name()).help(set.title()));
    PossibleValuesParser::new(names).map(|name| Set::named(&name).unwrap_or(Set::Mnist))
}

/// An address to which the name of a file can be appended.
fn mirror(text: &str) -> Result<String, &'static str> {
    let has_host = |rest: &str| !rest.trim_matches('/').is_empty();
    let rest = ["http://", "https://"]
        .into_iter()
        .find_map(|scheme| text.strip_prefix(scheme));
    if !rest.is_some_and(has_host) {
        return Err("it must begin with http:// or https:// and a host");
    }
    Ok(format!("{}/", text.trim_end_matches('/')))
}

/// What becomes of the pixels.
#[derive(Debug, Args, Clone)]
#[command(next_help_heading = "Data")]
pub(crate) struct NormalizationOptions {
    /// Subtract these from the pixels on the scale from 0 to 1, one number per channel [default: grey
    /// images 0.5; cifar 0.4914,0.4822,0.4465, for vgg and all-cnn 0.485,0.456,0.406]
    #[arg(
        long,
        value_name = "MEAN",
        value_delimiter = ',',
        allow_hyphen_values = true,
        requires = "deviation"
    )]
    pub(crate) mean: Option<Vec<f64>>,
    /// Divide by these afterwards [default: grey images 0.5; cifar 0.2023,0.1994,0.201, for vgg and
    /// all-cnn 0.229,0.224,0.225]
    #[arg(
        long,
        value_name = "DEVIATION",
        value_delimiter = ',',
        allow_hyphen_values = true,
        requires = "mean"
    )]
    pub(crate) deviation: Option<Vec<f64>>,
}

//! The command line.

mod data;
mod loss;
mod measuring;
mod training;

use std::num::{IntErrorKind, ParseIntError};
use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Arg, ArgAction, Args, Parser, Subcommand};
use clap_complete::Shell;
use flatness_records::{Dtype, SubsetSpec};
use serde::de::DeserializeOwned;

pub(crate) use data::{CheckOptions, DataCommand, DataOptions, FetchOptions, NormalizationOptions};
pub(crate) use loss::LossOptions;
pub(crate) use measuring::{MeasureOptions, NameOptions, ProductOptions};
pub(crate) use training::{
    CompareOptions, LogLevel, OptimizerName, Places, RunOptions, RunsOptions, TrainOptions,
};

/// Most worker threads: beyond the cores of any one machine, and few enough to be started in seconds.
const MOST_THREADS: u16 = 1024;

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
    Train(Box<TrainOptions>),
    /// List the runs in a directory
    Runs(RunsOptions),
    /// Show finished runs side by side: the fields of their specs that differ, and every number
    Compare(CompareOptions),
    /// Measure the curvature of a checkpoint: eigenvalues, trace, density and other measures of sharpness
    Measure(Box<MeasureOptions>),
    /// Multiply the Hessian of given weights and data by given vectors, to compare with other tools
    Product(ProductOptions),
    /// List the networks: parameters, multiply-adds, activations
    Models(ModelsOptions),
    /// Fetch or check a data set
    Data(DataOptions),
    /// Print what a shell needs to complete commands and options
    Completions {
        /// Shell
        shell: Shell,
    },
    /// Write a manual page for each command
    Man {
        /// Directory to put them in, such as ~/.local/share/man/man1
        directory: PathBuf,
    },
}

/// Where and how to compute.
#[derive(Debug, Args)]
#[command(next_help_heading = "Computing")]
pub(crate) struct Computing {
    /// Device: cpu, cuda, cuda:N or auto (CUDA where there is one)
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    pub(crate) device: String,
    /// Worker threads, 1024 at most [default: all cores; on CUDA one]; the bits of a result depend on their number
    #[arg(long, value_name = "N", value_parser = from_one(MOST_THREADS))]
    pub(crate) threads: Option<u16>,
    /// Memory for activations kept between products, in MiB; beyond it they are computed anew [default: a
    /// quarter of the machine's for all of its cores, 512 at least; on CUDA a quarter of what is free]
    #[arg(long, value_name = "MIB", value_parser = whole::<u64>)]
    pub(crate) memory_budget: Option<u64>,
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
pub(crate) struct ModelsOptions {
    /// Networks by name, such as wrn-40-4 [default: those of the paper and small ones]
    #[arg(value_name = "MODEL")]
    pub(crate) names: Vec<String>,
    /// Print a JSON array
    #[arg(long)]
    pub(crate) json: bool,
}

/// The flag for help, as the last of the output.
fn help() -> Arg {
    Arg::new("help")
        .short('h')
        .long("help")
        .action(ArgAction::Help)
        .help_heading("Output")
        .help("Print help (see more with '--help')")
        .long_help("Print help (see a summary with '-h')")
}

/// An option that may be followed by a negative number, so that a sentence on its range refuses it and not the parser.
fn signed(arg: Arg) -> Arg {
    let has_value = arg.get_long().is_some() && arg.get_action().takes_values();
    arg.allow_negative_numbers(has_value)
}

/// A whole number.
fn whole<T: FromStr<Err = ParseIntError>>(text: &str) -> Result<T, &'static str> {
    text.parse()
        .map_err(|error: ParseIntError| match error.kind() {
            IntErrorKind::PosOverflow => "it is too large",
            _ => "it must be a whole number of at least 0",
        })
}

/// A whole number from 1 to `most`.
fn from_one(most: u16) -> impl TypedValueParser<Value = u16> {
    move |text: &str| {
        let number = text.parse().ok();
        let number = number.filter(|number| (1..=most).contains(number));
        number.ok_or_else(|| format!("it must be from 1 to {most}"))
    }
}

/// A value by its name in specs, which may have a help behind a colon.
fn named<T: DeserializeOwned + Clone + Send + Sync + 'static>(
    names: &'static [&'static str],
) -> impl TypedValueParser<Value = T> {
    let values = names.iter().map(|name| match name.split_once(": ") {
        Some((name, help)) => PossibleValue::new(name).help(help),
        None => PossibleValue::new(*name),
    });
    PossibleValuesParser::new(values).try_map(|name| serde_json::from_value::<T>(name.into()))
}

fn number_type() -> impl TypedValueParser<Value = Dtype> {
    named(&["f32: Single precision", "f64: Double precision"])
}

fn subset() -> impl TypedValueParser<Value = SubsetSpec> {
    named(&[
        "first: The first ones",
        "seeded: A random choice, another one for each seed",
    ])
}

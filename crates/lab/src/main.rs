//! `flatness`: train networks and measure their exact curvature, with error bars.
//!
//! The only place that reads the command line, the clock and the environment. Exit codes: 0 done,
//! 2 could not do it, 130 and 143 ended by Ctrl-C and by SIGTERM with the state saved; all but 0 with one
//! sentence on standard error.
//!
//! # The crates
//!
//! | crate | for |
//! |---|---|
//! | [`flatness_operator`], [`flatness_spectrum`] | any symmetric operator: eigenpairs, traces, diagonal, functions of the matrix, density |
//! | [`flatness_layers`], [`flatness_models`], [`flatness_onnx`] | networks with exact second derivatives: from parts, by name, from a file |
//! | [`flatness_curvature`] | their Hessian and other matrices over a data set |
//! | [`flatness_measures`] | sharpness beyond eigenvalues |
//! | [`flatness_engine`] | all of it from one request |
//! | [`flatness_data`] | data sets as candle tensors |
//! | [`flatness_optim`] | optimisers, averages, schedules |
//! | [`flatness_records`], [`flatness_report`] | specs and records; claims, verdicts, plots |
//! | [`flatness_kernels`], [`flatness_formats`](../flatness_formats/index.html), [`flatness_fixtures`] | arithmetic under the layers; pickles and archives as data; a part of MNIST |
//! | [`flatness_testkit`](../flatness_testkit/index.html) | oracles for tests, the contract of a layer |

mod architecture;
mod arguments;
mod commands;
mod device;
mod environment;
mod evaluation;
mod log;
mod loss;
mod measuring;
mod output;
mod progress;
mod ranks;
mod run_directory;
mod setting;
mod source;
mod stored;
mod training;

use std::process::ExitCode;

use clap::Parser;

use arguments::{Arguments, Command};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = ranks::join(&arguments.command).and_then(|()| match arguments.command {
        Command::Run(options) => commands::run::run(&options),
        Command::Train(options) => commands::train::train(&options),
        Command::Runs(options) => commands::runs::runs(&options),
        Command::Compare(options) => commands::compare::compare(&options),
        Command::Measure(options) => commands::measure::measure(&options),
        Command::Product(options) => commands::product::product(&options),
        Command::Models(options) => commands::models::models(&options),
        Command::Data(options) => commands::data::data(&options),
        Command::Completions { shell } => commands::manual::completions(shell),
        Command::Man { directory } => commands::manual::man(&directory),
    });
    let failed = ranks::part(done.is_err());
    if let Err(error) = done {
        output::say(&format!("error: {}", output::sentence(&error)));
    }
    ranks::leave();
    ExitCode::from(if failed { 2 } else { 0 })
}

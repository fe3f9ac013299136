//! `flatness`: train networks and measure their exact curvature, with error bars.
//!
//! The only place that reads the command line, the clock and the environment. Exit codes: 0 done,
//! 2 could not do it, 130 and 143 ended by Ctrl-C and by SIGTERM with the state saved; all but 0 with one
//! sentence on standard error.

mod arguments;
mod commands;
mod device;
mod environment;
mod evaluation;
mod log;
mod measuring;
mod output;
mod progress;
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
    let done = match arguments.command {
        Command::Run(options) => commands::run::run(&options),
        Command::Train(options) => commands::train::train(&options),
        Command::Runs(options) => commands::runs::runs(&options),
        Command::Compare(options) => commands::compare::compare(&options),
        Command::Measure(options) => commands::measure::measure(&options),
        Command::Product(options) => commands::product::product(&options),
        Command::Models(options) => commands::models::models(&options),
        Command::Data(options) => commands::data::data(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::say(&format!("error: {}", sentence(&error)));
            ExitCode::from(2)
        }
    }
}

/// The chain of an error as one line; what an outer message repeats of an inner one is left out.
fn sentence(error: &anyhow::Error) -> String {
    error.chain().fold(String::new(), |said, cause| {
        let cause = cause.to_string().replace('\n', " ");
        match said.as_str() {
            "" => cause,
            _ if said.contains(&cause) => said,
            _ => format!("{said}: {cause}"),
        }
    })
}

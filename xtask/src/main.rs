//! `cargo xtask`: the tasks of this workspace. It never links candle, so it starts at once.
//!
//! Exit codes: 0 done; 1 a claim does not hold and `--strict` was given; 2 could not run, with one
//! sentence on standard error; `ci`, `bench` and `wheel` pass on the code of the command that failed.

mod arguments;
mod cargo;
mod ci;
mod cuda;
mod estimate;
mod gpu;
mod pool;
mod profile;
mod progress;
mod reproduce;
mod slurm;
mod status;
mod wheel;

use std::process::ExitCode;

use clap::Parser;

use crate::arguments::{Arguments, Command};

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Reproduce(options) => reproduce::reproduce(&options),
        Command::Ci => ci::ci(),
        Command::Bench(options) => ci::bench(&options.arguments),
        Command::Gpu(options) => gpu::gpu(&options),
        Command::Wheel(options) => wheel::wheel(options.out.as_deref()),
    };
    done.unwrap_or_else(|error| {
        // `{:#}` joins the causes with colons; an error of several lines still makes one.
        progress::say(&format!("error: {error:#}").replace('\n', " "));
        ExitCode::from(2)
    })
}

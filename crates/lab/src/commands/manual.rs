//! `flatness completions` and `flatness man`: the command line as shells and `man` know it.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;
use flatness_records::write_atomic;

use crate::arguments::Arguments;
use crate::output::put;

pub(crate) fn completions(shell: Shell) -> Result<()> {
    let mut command = Arguments::command();
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut script);
    put(String::from_utf8(script)?.trim_end())
}

pub(crate) fn man(directory: &Path) -> Result<()> {
    fs::create_dir_all(directory).with_context(|| {
        format!(
            "cannot write {}; check the path and its permissions",
            directory.display()
        )
    })?;
    let mut command = Arguments::command().disable_help_subcommand(true);
    // What a command inherits and how its page is called is known only then.
    command.build();
    page(&command, directory)
}

/// The page of `command`, and those of what is below it.
fn page(command: &Command, directory: &Path) -> Result<()> {
    let man = Man::new(command.clone());
    let mut text = Vec::new();
    man.render(&mut text)?;
    write_atomic(&directory.join(man.get_filename()), &text)?;
    command
        .get_subcommands()
        .try_for_each(|below| page(below, directory))
}

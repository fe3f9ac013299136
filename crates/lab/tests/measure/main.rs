//! `flatness measure` as a user calls it, in real processes on the embedded fixture.

#[path = "../common/mod.rs"]
mod common;
mod diagonal;
mod groups;
mod journal;
mod memory;
mod names;
mod options;
mod oracle;
mod pictures;
mod program;
mod refusals;
mod spectra;

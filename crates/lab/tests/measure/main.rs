//! `flatness measure` as a user calls it, in real processes on the embedded fixture.
//!
//! Estimates are held against dense matrices by the tests of the engine; here is what the command line adds.

#[path = "../common/mod.rs"]
mod common;
mod files;
mod journal;
mod memory;
mod numbers;
mod oracle;
mod program;
mod ranks;
mod refusals;
mod tables;

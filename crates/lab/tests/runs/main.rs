//! Runs that are killed, interrupted, refused or out of space, as real processes.

mod averages;
mod damage;
mod endings;
mod killing;
mod log;
mod optimizers;
mod origin;
mod program;
mod signals;

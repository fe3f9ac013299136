//! Runs that are killed, interrupted, refused or out of space, as real processes.

mod averages;
mod damage;
mod killing;
mod optimizers;
mod program;
mod signals;

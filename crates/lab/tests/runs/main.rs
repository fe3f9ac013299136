//! Runs that are killed, interrupted, refused or out of space, as real processes.

mod averages;
#[path = "../common/cifar.rs"]
mod cifar;
#[path = "../common/mod.rs"]
mod common;
mod damage;
mod endings;
mod entrances;
#[cfg(target_os = "linux")]
mod faults;
mod files;
mod killing;
mod log;
mod measuring;
mod optimizers;
mod origin;
mod program;
mod several;
mod signals;

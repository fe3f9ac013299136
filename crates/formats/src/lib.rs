//! File formats of Python's world, read as data.
//!
//! [`Pickle`] holds the objects of a pickle and runs none of it, [`Archive`] the members of a zip, and
//! [`npy::parse`] gives the elements of an array of NumPy, and [`magic::name`] says what a file is by its first bytes.
//!
//! `cargo run --release --example read_pickle`:
//!
//! ```
#![doc = include_str!("../examples/read_pickle.rs")]
//! ```
//!
//! This crate does not know tensors, networks or data sets, and whatever it reads is bounded in memory by
//! the length of the file and a constant.

mod archive;
mod error;
pub mod magic;
pub mod npy;
mod pickle;

pub use archive::{Archive, Member};
pub use error::Error;
pub use pickle::{Id, Instance, Object, Pickle, PickledArray};

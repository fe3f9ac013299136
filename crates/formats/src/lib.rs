//! File formats of Python's world, read as data.
//!
//! [`Pickle`] holds the objects of a pickle and runs none of it, [`Archive`] the members of a zip, and
//! [`npy::parse`] gives the elements of an array of NumPy, and [`magic::name`] says what a file is by its first bytes.
//!
//! ```
//! use flatness_formats::{Object, Pickle, magic};
//!
//! // `pickle.dumps({"lr": 3})`
//! let (pickle, rest) = Pickle::parse(b"\x80\x02}q\x00X\x02\x00\x00\x00lrq\x01K\x03s.")?;
//! let [(key, value)] = pickle.items(pickle.root())[..] else { panic!("one item") };
//! assert_eq!((pickle.text(key), pickle.size(value)), (Some("lr"), Some(3)));
//! assert!(rest.is_empty());
//! assert_eq!(magic::name(b"\x89HDF\r\n\x1a\n"), Some("an HDF5 file"));
//! # Ok::<(), flatness_formats::Error>(())
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
pub use pickle::{Id, Instance, Object, Pickle};

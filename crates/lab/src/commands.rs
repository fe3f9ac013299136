//! One file per command.

pub(crate) mod data;
pub(crate) mod measure;
pub(crate) mod models;
pub(crate) mod product;
pub(crate) mod run;
pub(crate) mod train;

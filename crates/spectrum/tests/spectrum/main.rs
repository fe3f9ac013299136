//! Every method of the crate on float64 and float32 matrices small enough to know all about.

mod checks;
mod dense;
mod density;
mod endings;
mod lanczos;
mod matrices;
mod moments;
mod power;
mod probes;
mod promises;
mod quadrature;

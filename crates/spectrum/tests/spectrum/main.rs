//! Every method of the crate on float64 and float32 matrices small enough to know all about.

mod coverage;
mod deflation;
mod dense;
mod diagonal;
mod diagonal_until;
mod eigenpairs;
mod functions;
mod interrupts;
mod known_answers;
mod matrices;
mod methods;
mod moments;
mod operator_check;
mod probes;
mod quadrature;
mod refusals;
mod resolution;
mod rounding;
mod rules;
mod step_error;
mod student;
mod until;

//! Every method of the crate on float64 and float32 matrices small enough to know all about.

mod checks;
mod coverage;
mod deflation;
mod dense;
mod density;
mod diagonal;
mod eigenpairs;
mod eigenpairs_stops;
mod endings;
mod functions;
mod known_answers;
mod lanczos;
mod matrices;
mod moments;
mod operator_check;
mod power;
mod probes;
mod promises;
mod quadrature;
mod student;
mod traces;
mod until;

//! The engine against dense matrices of small networks in float64.

mod blocks;
mod functions;
mod limits;
mod losses;
mod oracle;
mod ranks;
mod spectra;

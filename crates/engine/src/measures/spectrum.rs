//! All eigenvalues of a matrix, from its products with the unit vectors, in double precision (claim C4).
//!
//! ```text
//! A = Q diag(λ) Qᵀ,   rank(t) = #{|λᵢ| > t max |λ|},   ‖A‖₂ = max |λ|
//! ```
//!
//! Memory: three dense matrices. Cost: a product for each row, and rows³ of arithmetic. Error: rounding, of the size of ε P ‖A‖₂. What
//! is a sum over eigenvalues is taken from here where nothing else has measured it.

use flatness_layers::Network;
use flatness_records::{Cost, CurvePoint, Matrix, Numbers, Request};
use flatness_spectrum::dense_spectrum;

use super::{Kind, Measure};
use crate::Error;
use crate::context::Context;
use crate::cost::Span;
use crate::quantity::computed;
use crate::room::{BLOCK, Refusal, Room};

/// Rows beyond which the dense matrix and its copies take more than 4 GiB.
const LARGEST: usize = 12_000;

/// The dense matrix, its transpose and their mean.
const MATRICES: u64 = 3;

/// Shares of the largest eigenvalue at which the rank is counted.
const THRESHOLDS: [f64; 8] = [1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1];

#[derive(Debug)]
pub(super) struct Spectrum;

impl Measure for Spectrum {
    fn kind(&self) -> Kind {
        Kind::DENSE
    }

    fn check(&self, _: &Network, rows: usize) -> Result<(), Error> {
        if rows > LARGEST {
            return Err(Error::Dense {
                most: LARGEST,
                rows,
            });
        }
        Ok(())
    }

    fn memory(&self, room: &Room<'_>) -> Result<usize, Refusal> {
        let matrices = MATRICES * room.dim as u64 * room.vector();
        room.rows(
            "--what spectrum",
            matrices + 2 * BLOCK as u64 * room.vector(),
            room.product,
        )
    }

    fn cost(&self, _: &Request, rows: usize) -> Span {
        Span::of([rows, 0, 0])
    }

    fn measure(&self, context: &mut Context<'_>) -> Result<(), Error> {
        let rows = context.room.dim;
        context
            .meter
            .stage(&context.label("dense matrix"), "products", rows);
        let spectrum = dense_spectrum(context.operator, BLOCK, &context.meter.budget(rows))?;
        let eigenvalues = &spectrum.eigenvalues;
        let cost = Cost::products(spectrum.products as u64);
        let norm = eigenvalues
            .iter()
            .fold(0.0, |norm: f64, value| norm.max(value.abs()));
        let error = f64::EPSILON * rows as f64 * norm;
        let sum: f64 = eigenvalues.iter().sum();
        let squares: f64 = eigenvalues.iter().map(|value| value * value).sum();
        let end = |end: Option<&f64>| end.copied().unwrap_or(0.0);
        for (name, value, error) in [
            ("lambda_max", end(eigenvalues.first()), error),
            ("lambda_min", end(eigenvalues.last()), error),
            ("spectral_norm", norm, error),
            ("trace", sum, error * (rows as f64).sqrt()),
            ("frobenius", squares.sqrt(), error),
        ] {
            context.results.insert(name, computed(value, error, cost));
        }
        if context.place.is_whole() {
            let points = THRESHOLDS.map(|threshold| {
                let rank = computed(spectrum.rank(threshold) as f64, 0.0, cost);
                CurvePoint {
                    x: threshold,
                    numbers: Numbers::from([("rank".to_owned(), rank)]),
                }
            });
            let name = match context.place.matrix {
                Matrix::Hessian => "rank".to_owned(),
                matrix => format!("{}.rank", matrix.name()),
            };
            context.results.curve(name, points.to_vec());
        }
        context.results.eigenvalues = spectrum.eigenvalues;
        Ok(())
    }
}

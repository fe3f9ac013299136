//! Ritz values and their weights as a stem plot with a logarithmic axis, as in the papers of Granziol et al.
//!
//! A stem at θᵢ of height wᵢ = (e₁ᵀ sᵢ)², Σ wᵢ = 1: the quadrature of the start vector by one Lanczos run.

use flatness_records::Ritz;

use super::alone;
use super::axis::Axis;
use super::chart::{Bar, Chart, Guide, HEIGHT, Mark, Point, Series};
use crate::Error;

/// Weights below this are rounding, such as of an eigenvector that was taken out of the start vector: they
/// are not drawn.
const FLOOR: f64 = 1e-12;

/// The Ritz values of one Lanczos run as one SVG file; `name` says of which matrix.
///
/// # Errors
/// [`Error::Plot`] when the drawing library refuses.
pub fn stems_svg(name: &str, ritz: &[Ritz]) -> Result<String, Error> {
    let points: Vec<Point> = ritz
        .iter()
        .filter(|ritz| ritz.weight >= FLOOR)
        .map(|ritz| Point {
            x: ritz.value,
            y: ritz.weight,
            bar: Bar::None,
        })
        .collect();
    let x = Axis::linear("Ritz value", points.iter().map(|point| point.x));
    let y = Axis::logarithmic("weight", points.iter().map(|point| point.y));
    let chart = Chart {
        height: HEIGHT,
        title: name.to_owned(),
        x,
        y,
        series: vec![Series {
            label: format!("{} Ritz values", points.len()),
            points,
            mark: Mark::Stems,
        }],
        guide: Guide::None,
    };
    alone("Ritz values and weights", &chart)
}

//! Spectral density of one measurement, over λ and over |λ| on a logarithmic axis, with its standard error.
//!
//! ρ(λ) is the share of eigenvalues per unit of λ; over log₁₀ |λ| it is the share per decade, for each sign apart.

use super::axis::Axis;
use super::chart::{Bar, Chart, Guide, HEIGHT, Mark, Point, Series};
use super::{alone, check_length};
use crate::Error;

/// Densities below this share of the peak are the tails of the smoothing and not shown.
const FLOOR: f64 = 1e-8;

/// A curve with its standard error.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Curve<'a> {
    /// Where it is known, ascending.
    pub x: &'a [f64],
    /// Its values, as many.
    pub y: &'a [f64],
    /// Their standard errors, as many, or none at all where they are not known.
    pub standard_error: &'a [f64],
}

/// Density over the eigenvalue λ, as one SVG file; `name` says whose, such as `mlp, Hessian, train`.
///
/// # Errors
/// [`Error::Length`] for lengths that differ, [`Error::Plot`] when the drawing library refuses.
pub fn density_svg(name: &str, density: &Curve<'_>) -> Result<String, Error> {
    let label = if density.standard_error.is_empty() {
        "density"
    } else {
        "density ± s.e."
    };
    let series = [series(label, density, peak(&[density]))?];
    let values = points(&series).map(|point| point.x);
    let x = Axis::linear("eigenvalue λ", values);
    let chart = chart(name, x, "share of eigenvalues per unit of λ", &series);
    alone("Spectral density", &chart)
}

/// Density over log₁₀ |λ| for either sign, as one SVG file: `x` of both curves is |λ|, not its
/// logarithm, and `y` the share of eigenvalues per decade.
///
/// # Errors
/// Those of [`density_svg`].
pub fn signed_density_svg(
    name: &str,
    positive: &Curve<'_>,
    negative: &Curve<'_>,
) -> Result<String, Error> {
    let peak = peak(&[positive, negative]);
    let series = [
        series("λ > 0", positive, peak)?,
        series("λ < 0", negative, peak)?,
    ];
    let visible = points(&series).filter(|point| point.y > 0.0);
    let x = Axis::logarithmic("|λ|", visible.map(|point| point.x));
    let chart = chart(name, x, "share of eigenvalues per decade of |λ|", &series);
    alone("Spectral density by magnitude", &chart)
}

fn chart(name: &str, x: Axis, y_title: &str, series: &[Series]) -> Chart {
    let y = Axis::logarithmic(y_title, points(series).map(|point| point.y));
    Chart {
        height: HEIGHT,
        title: name.to_owned(),
        x,
        y,
        series: series.to_vec(),
        guide: Guide::None,
    }
}

fn points(series: &[Series]) -> impl Iterator<Item = &Point> {
    series.iter().flat_map(|series| &series.points)
}

fn peak(curves: &[&Curve<'_>]) -> f64 {
    let values = curves.iter().flat_map(|curve| curve.y);
    values.copied().fold(0.0, f64::max)
}

/// Values below the floor become zero, which has no place on a logarithmic axis: the line breaks there.
fn series(label: &str, curve: &Curve<'_>, peak: f64) -> Result<Series, Error> {
    let known = curve.x.len();
    check_length("a density", "y", known, curve.y.len())?;
    let errors = curve.standard_error.len();
    if errors > 0 {
        check_length("a density", "standard_error", known, errors)?;
    }
    let point = |(place, (&x, &y)): (usize, (&f64, &f64))| {
        let bar = match curve.standard_error.get(place) {
            Some(&error) => Bar::Vertical(y - error, y + error),
            None => Bar::None,
        };
        let y = if y < FLOOR * peak { 0.0 } else { y };
        Point { x, y, bar }
    };
    let pairs = curve.x.iter().zip(curve.y).enumerate();
    Ok(Series {
        label: label.to_owned(),
        points: pairs.map(point).collect(),
        mark: Mark::Banded,
    })
}

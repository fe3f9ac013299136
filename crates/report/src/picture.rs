//! Pictures of one measurement from plain numbers: densities, stems, a loss along a line.

use flatness_records::Stem;

use crate::Error;
use crate::axis::{Axis, Scale};
use crate::chart::{Chart, Mark, Point, Series};
use crate::number::percent;

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

/// Losses at steps along one direction, L(θ + s ‖θ‖ d) with ‖d‖ = 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LossLine<'a> {
    /// The direction d in words, such as `top eigenvector`.
    pub direction: &'a str,
    /// Steps s in units of ‖θ‖, ascending.
    pub steps: &'a [f64],
    /// Mean loss at every step.
    pub losses: &'a [f64],
    /// L(θ) + s ‖θ‖ gᵀd + ½ s² ‖θ‖² dᵀHd at every step.
    pub quadratic: &'a [f64],
}

/// Density over the eigenvalue λ, the share of eigenvalues per unit of λ, as one SVG file; `name` says whose, such as
/// `mlp, Hessian, train`.
///
/// # Errors
/// [`Error::Length`] for lengths that differ.
pub fn density_svg(name: &str, density: &Curve<'_>) -> Result<String, Error> {
    let x = ("eigenvalue λ", Scale::Linear);
    let y = ("share of eigenvalues per unit of λ", Scale::Logarithmic);
    let series = vec![banded("density", density, peak(&[density]))?];
    Ok(Chart::new(name, x, y, series).alone("Spectral density"))
}

/// Density over log₁₀ |λ| for either sign, as one SVG file: `x` of both curves is |λ|, not its logarithm, and `y` the share of
/// eigenvalues per decade; `unresolved` is the share that no one can tell from zero.
///
/// # Errors
/// [`Error::Length`] for lengths that differ.
pub fn signed_density_svg(
    name: &str,
    positive: &Curve<'_>,
    negative: &Curve<'_>,
    unresolved: f64,
) -> Result<String, Error> {
    let peak = peak(&[positive, negative]);
    let series = vec![
        banded("λ > 0", positive, peak)?,
        banded("λ < 0", negative, peak)?,
    ];
    let points = series.iter().flat_map(|series| &series.points);
    let visible = points.filter(|point| point.y > 0.0).map(|point| point.x);
    let visible: Vec<f64> = visible.collect();
    let title = format!("|λ|; not told from zero: {}", percent(unresolved));
    let y = ("share of eigenvalues per decade of |λ|", Scale::Logarithmic);
    let mut chart = Chart::new(name, ("", Scale::Logarithmic), y, series);
    chart.x = Axis::new(title, Scale::Logarithmic, &visible);
    Ok(chart.alone("Spectral density by magnitude"))
}

/// Eigenvalues and their shares of the density as one SVG file.
#[must_use]
pub fn stems_svg(name: &str, stems: &[Stem]) -> String {
    let shown = stems.iter().filter(|stem| stem.weight >= 1e-16);
    let points = shown.map(|stem| Point::new(stem.value, stem.weight));
    let (x, y) = (
        ("Ritz value", Scale::Linear),
        ("weight", Scale::Logarithmic),
    );
    let series = vec![Series::new("", Mark::Stems, points)];
    Chart::new(name, x, y, series).alone("Ritz values and weights")
}

/// The loss and its prediction as one SVG file; `name` says of which network and data.
///
/// # Errors
/// [`Error::Length`] for lengths that differ.
pub fn loss_line_svg(name: &str, line: &LossLine<'_>) -> Result<String, Error> {
    let (plot, steps) = ("the loss along a line", line.steps.len());
    check_length(plot, "losses", steps, line.losses.len())?;
    check_length(plot, "quadratic", steps, line.quadratic.len())?;
    let of = |label: &str, values: &[f64], mark| {
        let pairs = line.steps.iter().zip(values);
        Series::new(label, mark, pairs.map(|(&x, &y)| Point::new(x, y)))
    };
    let series = vec![
        of("loss", line.losses, Mark::Line),
        of("quadratic prediction", line.quadratic, Mark::Bare),
    ];
    let title = format!("step along the {} / ‖θ‖", line.direction);
    let y = ("mean loss", Scale::Linear);
    let mut chart = Chart::new(name, (title, Scale::Linear), y, series);
    chart.guides[0].push(0.0);
    Ok(chart.alone("Loss along a line"))
}

fn peak(curves: &[&Curve<'_>]) -> f64 {
    let values = curves.iter().flat_map(|curve| curve.y);
    values.copied().fold(0.0, f64::max)
}

/// Values below the floor become zero, which has no place on the logarithmic axis: the line breaks there.
fn banded(label: &str, curve: &Curve<'_>, peak: f64) -> Result<Series, Error> {
    let Curve {
        x,
        y,
        standard_error,
    } = *curve;
    check_length("a density", "y", x.len(), y.len())?;
    let known = !standard_error.is_empty();
    if known {
        check_length("a density", "standard_error", x.len(), standard_error.len())?;
    }
    let points = x.iter().zip(y).enumerate().map(|(place, (&x, &y))| Point {
        x,
        y: if y < FLOOR * peak { 0.0 } else { y },
        bar: standard_error
            .get(place)
            .map(|error| [y - error, y + error]),
    });
    let label = format!("{label}{}", if known { " ± s.e." } else { "" });
    Ok(Series::new(label, Mark::Band, points))
}

/// Refuses a field whose length is not that of the others.
pub(crate) fn check_length(
    plot: &'static str,
    field: &'static str,
    expected: usize,
    got: usize,
) -> Result<(), Error> {
    if got == expected {
        return Ok(());
    }
    Err(Error::Length {
        plot,
        field,
        expected,
        got,
    })
}

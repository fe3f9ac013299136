//! Pictures of one measurement from plain numbers: densities, stems, a loss along a line, numbers along training.

use flatness_records::Stem;

use crate::Error;
use crate::number::percent;
use crate::svg::{Axis, Chart, Mark, Point, Series, arranged};

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
    let series = vec![banded("density", density, peak(&[density]))?];
    let x = Axis::linear("eigenvalue λ", points(&series).map(|point| point.x));
    Ok(alone(
        "Spectral density",
        name,
        x,
        "share of eigenvalues per unit of λ",
        series,
    ))
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
    let visible: Vec<f64> = points(&series)
        .filter(|point| point.y > 0.0)
        .map(|point| point.x)
        .collect();
    let x = Axis::logarithmic(
        &format!("|λ|; not told from zero: {}", percent(unresolved)),
        visible.into_iter(),
    );
    Ok(alone(
        "Spectral density by magnitude",
        name,
        x,
        "share of eigenvalues per decade of |λ|",
        series,
    ))
}

/// Eigenvalues and their shares of the density as one SVG file.
#[must_use]
pub fn stems_svg(name: &str, stems: &[Stem]) -> String {
    let shown = stems.iter().filter(|stem| stem.weight >= 1e-16);
    let points: Vec<Point> = shown
        .map(|stem| Point::new(stem.value, stem.weight))
        .collect();
    let x = Axis::linear("Ritz value", points.iter().map(|point| point.x));
    let series = vec![Series {
        label: String::new(),
        points,
        mark: Mark::Stems,
    }];
    alone("Ritz values and weights", name, x, "weight", series)
}

/// The loss and its prediction as one SVG file; `name` says of which network and data.
///
/// # Errors
/// [`Error::Length`] for lengths that differ.
pub fn loss_line_svg(name: &str, line: &LossLine<'_>) -> Result<String, Error> {
    let steps = line.steps.len();
    check_length("the loss along a line", "losses", steps, line.losses.len())?;
    check_length(
        "the loss along a line",
        "quadratic",
        steps,
        line.quadratic.len(),
    )?;
    let of = |label: &str, values: &[f64], mark| Series {
        label: label.to_owned(),
        points: line
            .steps
            .iter()
            .zip(values)
            .map(|(&x, &y)| Point::new(x, y))
            .collect(),
        mark,
    };
    let series = vec![
        of("loss", line.losses, Mark::Line),
        of("quadratic prediction", line.quadratic, Mark::Bare),
    ];
    let x = Axis::linear(
        &format!("step along the {} / ‖θ‖", line.direction),
        line.steps.iter().copied(),
    );
    let y = Axis::linear("mean loss", points(&series).map(|point| point.y));
    let chart = Chart {
        title: name.to_owned(),
        x,
        y,
        series,
        guides: [vec![0.0], Vec::new()],
    };
    Ok(arranged("Loss along a line", &[chart.draw()]))
}

fn alone(title: &str, name: &str, x: Axis, y_title: &str, series: Vec<Series>) -> String {
    let values: Vec<f64> = points(&series)
        .map(|point| point.y)
        .filter(|value| *value > 0.0)
        .collect();
    let chart = Chart {
        title: name.to_owned(),
        x,
        y: Axis::logarithmic(y_title, values.into_iter()),
        series,
        guides: [Vec::new(), Vec::new()],
    };
    arranged(title, &[chart.draw()])
}

fn points(series: &[Series]) -> impl Iterator<Item = &Point> {
    series.iter().flat_map(|series| &series.points)
}

fn peak(curves: &[&Curve<'_>]) -> f64 {
    let values = curves.iter().flat_map(|curve| curve.y);
    values.copied().fold(0.0, f64::max)
}

/// Values below the floor become zero, which has no place on the logarithmic axis: the line breaks there.
fn banded(label: &str, curve: &Curve<'_>, peak: f64) -> Result<Series, Error> {
    let known = curve.x.len();
    check_length("a density", "y", known, curve.y.len())?;
    let errors = curve.standard_error.len();
    if errors > 0 {
        check_length("a density", "standard_error", known, errors)?;
    }
    let pairs = curve.x.iter().zip(curve.y).enumerate();
    let points = pairs.map(|(place, (&x, &y))| Point {
        x,
        y: if y < FLOOR * peak { 0.0 } else { y },
        bar: curve
            .standard_error
            .get(place)
            .map(|error| [y - error, y + error]),
    });
    let bands = if errors > 0 { " ± s.e." } else { "" };
    Ok(Series {
        label: format!("{label}{bands}"),
        points: points.collect(),
        mark: Mark::Band,
    })
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

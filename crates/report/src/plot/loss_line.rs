//! Loss along one direction, L(θ + s ‖θ‖ d) with ‖d‖ = 1, and its quadratic prediction.

use super::axis::Axis;
use super::chart::{Bar, Chart, Guide, HEIGHT, Mark, Point, Series};
use super::{alone, check_length};
use crate::Error;

/// Losses at steps along one direction.
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

/// The loss and its prediction as one SVG file; `name` says of which network and data.
///
/// # Errors
/// [`Error::Length`] for lengths that differ, [`Error::Plot`] when the drawing library refuses.
pub fn loss_line_svg(name: &str, line: &LossLine<'_>) -> Result<String, Error> {
    let steps = line.steps.len();
    check_length("the loss along a line", "losses", steps, line.losses.len())?;
    let predicted = line.quadratic.len();
    check_length("the loss along a line", "quadratic", steps, predicted)?;
    let series = [
        ("loss", line.losses, Mark::LineAndMarkers),
        ("quadratic prediction", line.quadratic, Mark::Line),
    ]
    .map(|(label, values, mark)| Series {
        label: label.to_owned(),
        points: line
            .steps
            .iter()
            .zip(values)
            .map(|(&x, &y)| Point {
                x,
                y,
                bar: Bar::None,
            })
            .collect(),
        mark,
    });
    let points = || series.iter().flat_map(|series| &series.points);
    let x = Axis::linear(
        &format!("step along the {} / ‖θ‖", line.direction),
        points().map(|point| point.x),
    );
    let y = Axis::linear("mean loss", points().map(|point| point.y));
    let chart = Chart {
        height: HEIGHT,
        title: name.to_owned(),
        x,
        y,
        series: series.to_vec(),
        guide: Guide::Vertical(0.0),
    };
    alone("Loss along a line", &chart)
}

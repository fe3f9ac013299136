//! Plots of the loss along eigenvectors: a line and a plane.

use anyhow::Result;
use candle_core::Tensor;
use flatness_kernels::{dot, norm};
use flatness_measures::{loss_line, loss_plane, quadratic_form, unit};
use flatness_operator::LinearOperator;
use flatness_report::{Landscape, LossLine, landscape_svg, loss_line_svg};

use super::Subject;
use super::picture::{Album, csv, evenly};
use super::spectral::Eigenvector;

/// Losses along a line.
const LINE: usize = 41;

/// Losses along either side of a plane.
const PLANE: usize = 17;

/// Rise of the quadratic loss at the border.
const RISE: f64 = 1.0;

/// Most that a picture goes away from θ, relative to ‖θ‖.
const FARTHEST: f64 = 0.5;

pub(super) fn along(
    album: &mut Album<'_>,
    subject: &Subject<'_>,
    eigenvector: &Eigenvector,
    hessian: &dyn LinearOperator,
    gradient: &Tensor,
) -> Result<()> {
    let Subject {
        theta, mean_loss, ..
    } = *subject;
    let length = norm(theta)?;
    let direction = unit(&eigenvector.vector)?;
    let border = border(eigenvector.value, length);
    let steps = evenly(-border, border, LINE);
    let offsets: Vec<f64> = steps.iter().map(|step| step * length).collect();
    let stage = subject.progress.stage("line", "losses", LINE as u64);
    let losses = loss_line(mean_loss, theta, &direction, &offsets, &mut |losses| {
        stage.advance(losses, "");
    })?;
    let slope = dot(&direction, gradient)?;
    // Not the eigenvalue: the measured matrix need not be the Hessian of the loss.
    let curvature = quadratic_form(hessian, &direction)?;
    let quadratic: Vec<f64> = offsets
        .iter()
        .map(|r| subject.loss + r * slope + 0.5 * curvature * r * r)
        .collect();
    let svg = loss_line_svg(
        &album.name,
        &LossLine {
            direction: "top eigenvector",
            steps: &steps,
            losses: &losses,
            quadratic: &quadratic,
        },
    )?;
    let rows = steps.iter().zip(&losses).zip(&quadratic);
    let rows = rows.map(|((&step, &loss), &quadratic)| [step, loss, quadratic]);
    album.keep("line", &svg, &csv("step_over_norm,loss,quadratic", rows))
}

pub(super) fn landscape(
    album: &mut Album<'_>,
    subject: &Subject<'_>,
    eigenvectors: [&Eigenvector; 2],
) -> Result<()> {
    let Subject {
        theta, mean_loss, ..
    } = *subject;
    let length = norm(theta)?;
    let directions = [
        unit(&eigenvectors[0].vector)?,
        unit(&eigenvectors[1].vector)?,
    ];
    let steps = eigenvectors.map(|eigenvector| {
        let border = border(eigenvector.value, length);
        evenly(-border, border, PLANE)
    });
    let offsets = steps.each_ref().map(|steps| {
        let offsets = steps.iter().map(|step| step * length);
        offsets.collect::<Vec<f64>>()
    });
    let stage = subject
        .progress
        .stage("plane", "losses", (PLANE * PLANE) as u64);
    // The second direction outside, so that the losses along the first one vary fastest.
    let found = loss_plane(
        mean_loss,
        theta,
        [&directions[1], &directions[0]],
        [&offsets[1], &offsets[0]],
        &mut |losses| stage.advance(losses, ""),
    )?;
    let losses = found.losses.concat();
    let svg = landscape_svg(
        &album.name,
        &Landscape {
            x_direction: "top eigenvector",
            y_direction: "second eigenvector",
            x: &steps[0],
            y: &steps[1],
            losses: &losses,
        },
    )?;
    let points = steps[1]
        .iter()
        .flat_map(|&second| steps[0].iter().map(move |&first| (first, second)));
    let rows = points.zip(&losses).map(|((a, b), &loss)| [a, b, loss]);
    let heading = "first_over_norm,second_over_norm,loss";
    album.keep("landscape", &svg, &csv(heading, rows))
}

/// How far to go, relative to ‖θ‖, for the quadratic loss to rise by [`RISE`].
fn border(eigenvalue: f64, length: f64) -> f64 {
    let radius = (2.0 * RISE / eigenvalue.abs()).sqrt() / length;
    if radius.is_finite() {
        radius.min(FARTHEST)
    } else {
        FARTHEST
    }
}

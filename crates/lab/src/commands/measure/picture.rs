//! Plots of a measurement and their data, SVG, PNG and CSV files, and its diagonal, in one directory.

use std::path::Path;

use anyhow::{Context, Result};
use flatness_records::{Ritz, write_atomic};
use flatness_report::{Curve, density_svg, png, signed_density_svg, stems_svg};
use flatness_spectrum::{Estimate, Quadrature};

use super::block::Block;
use super::loss_picture::{along, landscape};
use super::spectral::Spectral;
use super::{Subject, diagonal};
use crate::arguments::What;

/// Points of a density.
const GRID: usize = 400;

/// Broadening of the density as a share of the range of the eigenvalues.
const BROADENING: f64 = 0.01;

/// Decades below the largest eigenvalue that the logarithmic density shows.
const DECADES: f64 = 8.0;

/// Broadening of the logarithmic density in decades.
const DECADES_BROADENING: f64 = 0.15;

pub(super) struct Album<'a> {
    directory: &'a Path,
    /// What the pictures are of.
    pub(super) name: String,
    written: Vec<String>,
}

/// Draws what was measured and asked for into `out`; the names of the files.
pub(super) fn draw(
    subject: &Subject<'_>,
    spectral: &Spectral,
    block: &Block,
    out: &Path,
) -> Result<Vec<String>> {
    let Subject {
        curvature,
        gradient,
        title,
        ..
    } = subject;
    let directory = &block.directory(out);
    std::fs::create_dir_all(directory)
        .with_context(|| format!("cannot create {}", directory.display()))?;
    let mut album = Album {
        directory,
        name: match &block.name {
            None => title.clone(),
            Some(group) => format!("{title}, {group}"),
        },
        written: Vec::new(),
    };
    if let Some(quadrature) = &spectral.quadrature {
        densities(&mut album, quadrature)?;
        stems(&mut album, quadrature)?;
    }
    if let Some(diagonal) = &spectral.diagonal {
        let layout = subject.network.layout();
        for (file, bytes) in diagonal::files(diagonal, layout, &block.ranges)? {
            write_atomic(&album.directory.join(file), &bytes)?;
            album.written.push(file.to_owned());
        }
    }
    if let [first, rest @ ..] = spectral.eigenvectors.as_slice()
        && subject.asks(|what| matches!(what, What::Landscape | What::Quadratic))
    {
        along(&mut album, subject, first, &curvature.hessian(), gradient)?;
        if let Some(second) = rest.first()
            && subject.asks(|what| *what == What::Landscape)
        {
            landscape(&mut album, subject, [first, second])?;
        }
    }
    Ok(album.written)
}

impl Album<'_> {
    /// Writes a picture as SVG and PNG with its data as CSV.
    pub(super) fn keep(&mut self, stem: &str, svg: &str, csv: &str) -> Result<()> {
        for (extension, bytes) in [
            ("svg", svg.as_bytes()),
            ("png", &png(svg)?),
            ("csv", csv.as_bytes()),
        ] {
            let file = format!("{stem}.{extension}");
            write_atomic(&self.directory.join(&file), bytes)?;
            self.written.push(file);
        }
        Ok(())
    }
}

/// Rows of numbers under a heading.
pub(super) fn csv<const N: usize>(heading: &str, rows: impl Iterator<Item = [f64; N]>) -> String {
    let mut text = format!("{heading}\n");
    for row in rows {
        let row: Vec<String> = row.iter().map(|number| format!("{number:e}")).collect();
        text += &row.join(",");
        text += "\n";
    }
    text
}

fn densities(album: &mut Album<'_>, quadrature: &Quadrature) -> Result<()> {
    let low = quadrature.nodes().fold(0.0, f64::min);
    let high = quadrature.nodes().fold(0.0, f64::max);
    let sigma = (BROADENING * (high - low)).max(f64::MIN_POSITIVE);
    let grid = evenly(low - 5.0 * sigma, high + 5.0 * sigma, GRID);
    let density = match quadrature.density(&grid, sigma) {
        // A range of zero has no density, and no picture.
        Err(flatness_spectrum::Error::ZeroOperator) => return Ok(()),
        density => density?,
    };
    let curve = Curve {
        x: &density.grid,
        y: &density.values,
        standard_error: &density.standard_errors,
    };
    let points = density.grid.iter().zip(&density.values);
    let rows = points
        .zip(&density.standard_errors)
        .map(|((&x, &y), &error)| [x, y, error]);
    let data = csv("eigenvalue,density,standard_error", rows);
    album.keep("density", &density_svg(&album.name, &curve)?, &data)?;
    let top = high.max(-low).log10() + 0.5;
    let decades = evenly(top - DECADES, top, GRID);
    let density = quadrature.log_density(&decades, DECADES_BROADENING)?;
    let magnitudes: Vec<f64> = decades.iter().map(|decade| 10f64.powf(*decade)).collect();
    let columns = |half: &[Estimate]| -> (Vec<f64>, Vec<f64>) {
        half.iter()
            .map(|estimate| (estimate.value, estimate.standard_error))
            .unzip()
    };
    let (positive, positive_errors) = columns(&density.positive);
    let (negative, negative_errors) = columns(&density.negative);
    let svg = signed_density_svg(
        &album.name,
        &Curve {
            x: &magnitudes,
            y: &positive,
            standard_error: &positive_errors,
        },
        &Curve {
            x: &magnitudes,
            y: &negative,
            standard_error: &negative_errors,
        },
    )?;
    let rows = (0..GRID).map(|i| {
        [
            magnitudes[i],
            positive[i],
            positive_errors[i],
            negative[i],
            negative_errors[i],
        ]
    });
    let heading = "magnitude,positive,positive_standard_error,negative,negative_standard_error";
    album.keep("log-density", &svg, &csv(heading, rows))
}

/// The eigenvalues known, and the nodes and weights of the first probe.
fn stems(album: &mut Album<'_>, quadrature: &Quadrature) -> Result<()> {
    let Some(rule) = quadrature.rules.first() else {
        return Ok(());
    };
    let ritz: Vec<Ritz> = quadrature
        .shares(rule)
        .map(|(value, weight)| Ritz {
            value,
            weight,
            residual: 0.0,
        })
        .collect();
    let rows = ritz.iter().map(|one| [one.value, one.weight]);
    let data = csv("ritz_value,weight", rows);
    album.keep("stems", &stems_svg(&album.name, &ritz)?, &data)
}

/// Numbers from `low` to `high`.
pub(super) fn evenly(low: f64, high: f64, points: usize) -> Vec<f64> {
    let step = (high - low) / (points - 1) as f64;
    (0..points).map(|point| low + step * point as f64).collect()
}

//! Spectral density of the Hessian of one seed, with and without weight decay (C1).

use flatness_records::{Density, Matrix, Record};

use super::axis::Axis;
use super::chart::{Bar, Chart, Guide, HEIGHT, Mark, Point, Series};
use crate::measure::weight_decay;

/// Where to look: the decays that the claims compare.
const DECAYS: [f64; 2] = [0.0, 5e-4];

/// Densities below this share of the peak are the tails of the Gaussian and not shown.
const FLOOR: f64 = 1e-7;

/// Log density of one model; `None` when no run of it has one.
pub(super) fn spectrum(model: &str, records: &[&Record]) -> Option<Chart> {
    let series: Vec<Series> = DECAYS
        .into_iter()
        .filter_map(|decay| {
            let density = records
                .iter()
                .filter(|record| weight_decay(record) == decay)
                .find_map(|record| hessian_density(record))?;
            let label = if decay == 0.0 {
                "no decay".to_owned()
            } else {
                format!("decay {decay:e}").replace('-', "−")
            };
            Some(Series {
                label,
                points: points(density),
                mark: Mark::Line,
            })
        })
        .collect();
    if series.is_empty() {
        return None;
    }
    let all = || series.iter().flat_map(|series| &series.points);
    let x = Axis::linear("eigenvalue λ of the Hessian", all().map(|point| point.x));
    let y = Axis::logarithmic(
        "density (share of eigenvalues per unit λ)",
        all().map(|point| point.y),
    );
    Some(Chart {
        height: HEIGHT,
        title: model.to_owned(),
        x,
        y,
        series,
        guide: Guide::None,
    })
}

fn hessian_density(record: &Record) -> Option<&Density> {
    let mut matrices = record.measurements.last()?.matrices.iter();
    matrices
        .find(|record| record.matrix == Matrix::Hessian)?
        .density
        .as_ref()
}

/// Values below the floor become zero, which has no place on a logarithmic axis: the line breaks there.
fn points(density: &Density) -> Vec<Point> {
    let floor = FLOOR * density.density.iter().copied().fold(0.0, f64::max);
    let pairs = density.grid.iter().zip(&density.density);
    pairs
        .map(|(&x, &y)| Point {
            x,
            y: if y < floor { 0.0 } else { y },
            bar: Bar::None,
        })
        .collect()
}

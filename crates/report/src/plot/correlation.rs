//! Kendall's τ of every measure of sharpness against one measure of generalisation (C8).

use super::axis::Axis;
use super::chart::{Bar, Chart, Guide, Mark, Point, Series};
use crate::{Correlation, Measure};

/// Vertical distance between the markers of neighbouring models, in rows.
const OFFSET: f64 = 0.2;

/// Height in CSS pixels that keeps the markers of a row apart.
const TALL: i32 = 480;

/// One row per measure, one marker per model and one for all models together.
pub(super) fn ranks(target: Measure, correlations: &[Correlation]) -> Chart {
    let shown = || {
        correlations
            .iter()
            .filter(move |correlation| correlation.target == target)
    };
    let mut groups: Vec<Option<&str>> = Vec::new();
    for correlation in shown() {
        if !groups.contains(&correlation.model.as_deref()) {
            groups.push(correlation.model.as_deref());
        }
    }
    let rows = || Measure::SHARPNESS.into_iter().rev().enumerate();
    let series = groups.iter().enumerate().map(|(number, group)| {
        let shift = (groups.len() as f64 - 1.0) / 2.0 - number as f64;
        let points = rows().filter_map(|(row, measure)| {
            let same = |c: &&Correlation| c.measure == measure && c.model.as_deref() == *group;
            let estimate = shown().find(same)?.estimate?;
            let bar = estimate.standard_error.map_or(Bar::None, |error| {
                Bar::Horizontal(estimate.mean - error, estimate.mean + error)
            });
            Some(Point {
                x: estimate.mean,
                y: row as f64 + OFFSET * shift,
                bar,
            })
        });
        Series {
            label: group.unwrap_or("all models").to_owned(),
            points: points.collect(),
            mark: Mark::Markers,
        }
    });
    let names = rows().map(|(row, measure)| (row as f64, measure.symbol().to_owned()));
    let ticks = [-1.0, -0.5, 0.0, 0.5, 1.0];
    let labels = ticks.map(|tick| (tick, format!("{tick}").replace('-', "−")));
    let series: Vec<Series> = series.collect();
    Chart {
        height: TALL,
        title: format!("against {}", target.symbol()),
        x: Axis::with_ticks("Kendall's τ", -1.05, 1.05, labels.to_vec()),
        y: Axis::with_ticks("measure", -0.6, 8.6, names.collect()),
        series,
        guide: Guide::Vertical(0.0),
    }
}

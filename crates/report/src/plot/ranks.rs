//! Rank of the exact Hessian against the number of parameters, and its eigenvalues in order (C4).

use flatness_records::{ExactSpectrum, Record};

use super::average::{Mean, averaged, reach};
use super::axis::Axis;
use super::chart::{Bar, Chart, Guide, HEIGHT, Mark, Point, Series};
use super::theme::SERIES;
use crate::RankBound;
use crate::reproduction::models;

/// Eigenvalues below this share of the largest are rounding and not shown.
const FLOOR: f64 = 1e-9;

/// Eigenvalues of a spectrum that are drawn: what a panel has room for.
const DRAWN: f64 = 150.0;

/// The ranks of all models and the three counts that they are compared with, against P.
pub(super) fn against_parameters(records: &[&Record]) -> Chart {
    type Count = fn(&Record, &ExactSpectrum) -> f64;
    let counts: [(&str, Count, Mark); 4] = [
        ("rank", |_, spectrum| spectrum.rank as f64, Mark::Markers),
        (
            "P",
            |run, spectrum| RankBound::Parameters.of(run, spectrum),
            Mark::LineAndMarkers,
        ),
        (
            "neurons × classes",
            |run, spectrum| RankBound::NeuronsTimesClasses.of(run, spectrum),
            Mark::LineAndMarkers,
        ),
        (
            "N(C − 1)",
            |run, spectrum| RankBound::ExamplesTimesOtherClasses.of(run, spectrum),
            Mark::LineAndMarkers,
        ),
    ];
    let series = counts.map(|(label, count, mark)| {
        let pairs = records.iter().filter_map(|run| {
            let spectrum = run.exact_spectrum.as_ref()?;
            Some((run.model.parameters as f64, count(run, spectrum)))
        });
        Series {
            label: label.to_owned(),
            points: averaged(Mean::Geometric, pairs),
            mark,
        }
    });
    let points = || series.iter().flat_map(|series| &series.points);
    Chart {
        height: HEIGHT,
        title: "rank and what it is compared with".to_owned(),
        x: Axis::logarithmic("parameters P", points().map(|point| point.x)),
        y: Axis::logarithmic(
            "count",
            series.iter().flat_map(|series| reach(&series.points)),
        ),
        series: series.to_vec(),
        guide: Guide::None,
    }
}

/// |λᵢ| / λ₁ against i for the first run of each model, as many models as colours tell apart.
pub(super) fn eigenvalues(records: &[&Record]) -> Chart {
    let spectra = models(records.iter().copied()).into_iter();
    let spectra = spectra.filter_map(|model| {
        let mut runs = records.iter().filter(|run| run.model.name == model);
        let spectrum = runs.find_map(|run| run.exact_spectrum.as_ref())?;
        Some((model, spectrum))
    });
    let spectra: Vec<(String, &ExactSpectrum)> = spectra.take(SERIES).collect();
    let series: Vec<Series> = spectra
        .iter()
        .map(|(model, spectrum)| Series {
            label: model.clone(),
            points: points(spectrum),
            mark: Mark::Line,
        })
        .collect();
    let all = || series.iter().flat_map(|series| &series.points);
    let threshold = spectra
        .first()
        .map(|(_, spectrum)| spectrum.relative_threshold);
    Chart {
        height: HEIGHT,
        title: "eigenvalues in order".to_owned(),
        x: Axis::logarithmic("place i in the order", all().map(|point| point.x)),
        y: Axis::logarithmic("|λᵢ| / λ₁", all().map(|point| point.y).chain(threshold)),
        guide: threshold.map_or(Guide::None, Guide::Horizontal),
        series,
    }
}

/// Places that are about evenly spaced on a logarithmic axis.
fn points(spectrum: &ExactSpectrum) -> Vec<Point> {
    let values = spectrum.eigenvalues.iter().map(|value| value.abs());
    let mut values: Vec<f64> = values.collect();
    values.sort_by(|left, right| right.total_cmp(left));
    let largest = values.first().copied().unwrap_or(0.0);
    let growth = (values.len() as f64).powf(1.0 / DRAWN);
    let mut points = Vec::new();
    let mut next = 1.0;
    for (place, value) in (1_u32..).zip(values) {
        let x = f64::from(place);
        let y = value / largest;
        if x >= next && y > FLOOR {
            points.push(Point {
                x,
                y,
                bar: Bar::None,
            });
            next = x * growth;
        }
    }
    points
}

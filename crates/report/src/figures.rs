//! The figures that claims ask for, drawn from the records: small panels that a page or a file arranges.

use crate::axis::{Axis, Scale};
use crate::chart::{Chart, Mark, Point, Series};
use crate::claim::{FigureSpec, Plot, Scope};
use crate::reading::{Point as RunPoint, TRAINING, read_at};
use crate::reproduction::{distinct, models};
use crate::selection::{ALL_MODELS, by_seed, relative, word};
use crate::summary::Spectra;
use crate::svg::arranged;
use crate::{Claim, ClaimVerdict, Expression, PredicateVerdict, Reproduction, Selection, Summary};

/// Panels of one kind and what they show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figure {
    /// File name without extension.
    pub id: String,
    /// Claim it belongs to, such as `C1`.
    pub claim: String,
    /// What is shown.
    pub title: String,
    /// How to read it.
    pub caption: String,
    /// SVG elements, one per panel, whose colours are custom properties with a fallback.
    pub panels: Vec<String>,
}

impl Figure {
    /// The figure as one SVG file, panels side by side, in light or dark as the reader prefers.
    #[must_use]
    pub fn standalone(&self) -> String {
        arranged(&self.title, &self.panels)
    }
}

/// Every figure of the claims that the records of `reproduction` have something to show in.
#[must_use]
pub fn figures(
    reproduction: &Reproduction,
    claims: &[Claim],
    verdicts: &[ClaimVerdict],
) -> Vec<Figure> {
    let asked = claims
        .iter()
        .flat_map(|claim| claim.figures.iter().map(move |spec| (claim, spec)));
    let drawn = asked.map(|(claim, spec)| {
        let verdicts = verdicts.iter().filter(|verdict| verdict.claim == claim.id);
        let charts = charts(reproduction, spec, &verdicts.collect::<Vec<_>>());
        let shown = charts.iter().filter(|chart| chart.shows_something());
        Figure {
            id: spec.id.clone(),
            claim: claim.id.clone(),
            title: spec.title.clone(),
            caption: spec.caption.clone(),
            panels: shown.map(Chart::draw).collect(),
        }
    });
    drawn.filter(|figure| !figure.panels.is_empty()).collect()
}

fn charts(
    reproduction: &Reproduction,
    spec: &FigureSpec,
    verdicts: &[&ClaimVerdict],
) -> Vec<Chart> {
    let experiments = spec.experiments.iter();
    let records = experiments.flat_map(|experiment| reproduction.completed(experiment));
    let records: Vec<&Summary> = records.collect();
    let subjects = match (&spec.plot, spec.scope) {
        (Plot::Seeds { predicates }, _) => {
            return predicates
                .iter()
                .filter_map(|id| seeds(id, verdicts))
                .collect();
        }
        (_, Scope::Together) => vec![ALL_MODELS.to_owned()],
        (_, Scope::Model) => models(records.iter().copied()),
    };
    let panels = subjects.iter().flat_map(|model| {
        let records = Selection::default().of(&records, model);
        match &spec.plot {
            Plot::Scatter { x, y, by } => y.iter().map(|y| scatter(&records, x, y, by)).collect(),
            plot => Vec::from_iter(panel(plot, &records, model)),
        }
    });
    panels.collect()
}

/// A point for each run, in a colour for the values of some fields.
fn scatter(records: &[&Summary], x: &Expression, y: &Expression, by: &[String]) -> Chart {
    let label = |run: &Summary| {
        let words: Vec<String> = by.iter().map(|field| word(run, field)).collect();
        words.join(", ")
    };
    let labels = distinct(records.iter().map(|run| label(run)));
    let series = labels.into_iter().map(|own| {
        let runs = records.iter().filter(|run| label(run) == own);
        let points = runs.filter_map(|run| {
            let [x, y] = [x, y].map(|of| read_at(run, of, None));
            Some(Point::new(x?.value, y?.value))
        });
        let points = thinned(points.collect());
        Series::new(own, Mark::Points, points)
    });
    let series = series.collect();
    let (title, x) = (y.symbol(), (x.symbol(), Scale::Fitting));
    Chart::new(title, x, ("", Scale::Fitting), series)
}

/// One predicate: a row for each model, the points of its seeds, and the mean with its interval.
fn seeds(id: &str, verdicts: &[&ClaimVerdict]) -> Option<Chart> {
    let of_id = |verdict: &&ClaimVerdict| {
        let mut predicates = verdict.predicates.iter();
        let predicate = predicates.find(|one| one.id.as_deref() == Some(id))?;
        Some((verdict.model.clone(), predicate.clone()))
    };
    let rows: Vec<(String, PredicateVerdict)> = verdicts.iter().filter_map(of_id).collect();
    let first = &rows.first()?.1;
    let shown = |value: f64| {
        if first.logarithmic {
            value.exp()
        } else {
            value
        }
    };
    let (mut means, mut runs, mut names) = (Vec::new(), Vec::new(), Vec::new());
    for (place, (model, predicate)) in (0..).zip(&rows) {
        let (y, seeds) = (-f64::from(place), &predicate.sample.seeds);
        names.push(format!("{model} ({})", seeds.len()));
        runs.extend(
            seeds
                .iter()
                .map(|seed| Point::new(shown(seed.value), y - 0.28)),
        );
        means.extend(predicate.estimate.map(|estimate| Point {
            x: shown(estimate.mean),
            y,
            bar: estimate.interval.map(|interval| interval.map(shown)),
        }));
    }
    let bounds = first
        .threshold
        .map(|threshold| threshold.bounds(first.logarithmic));
    let bounds = bounds.into_iter().flatten().map(shown);
    let guides: Vec<f64> = bounds
        .filter(|bound| bound.is_finite() && (!first.logarithmic || *bound > 0.0))
        .collect();
    let points = runs.iter().chain(&means);
    let values = points.flat_map(|point| point.bar.into_iter().flatten().chain([point.x]));
    let values: Vec<f64> = values.chain(guides.iter().copied()).collect();
    let (title, scale) = match first.logarithmic {
        true => ("times", Scale::Logarithmic),
        false => ("", Scale::Linear),
    };
    Some(Chart {
        title: first.text.clone(),
        x: Axis::new(title, scale, &values),
        y: Axis::rows(&names),
        series: vec![
            Series::new("", Mark::Rows, means),
            Series::new("", Mark::Runs, thinned(runs)),
        ],
        guides: [guides, Vec::new()],
    })
}

/// `None` for what has other panels.
fn panel(plot: &Plot, records: &[&Summary], model: &str) -> Option<Chart> {
    let ordinate = |y: &[Expression]| match y {
        [one] => one.symbol(),
        _ => String::new(),
    };
    Some(match plot {
        Plot::Seeds { .. } | Plot::Scatter { .. } => return None,
        Plot::Runs {
            x,
            y,
            by,
            relative_to,
            at,
            select,
        } => {
            let (at, control) = (at.as_ref(), relative_to.as_ref());
            let seeds = by_seed(records);
            let lines = lines(&select.of(records, model), y, by.as_deref());
            let series = lines.into_iter().flat_map(|(label, line, y)| {
                let points = line.into_iter().filter_map(|run| {
                    let value = relative(run, y, at, control, &seeds, model)?;
                    Some(Point::new(read_at(run, x, at)?.value, value))
                });
                averaged(label, points.collect())
            });
            let series = series.collect();
            let suffix = if control.is_some() { ", relative" } else { "" };
            let (x, y) = (x.symbol(), ordinate(y) + suffix);
            let mut chart = Chart::new(model, (x, Scale::Fitting), (y, Scale::Fitting), series);
            chart.guides[1].extend(control.map(|_| 1.0));
            chart
        }
        Plot::Along {
            along,
            x,
            y,
            by,
            select,
            guide,
        } => {
            let place = if along == TRAINING { "epoch" } else { "x" };
            let abscissa = x.clone().or_else(|| place.parse().ok())?;
            let lines = lines(&select.of(records, model), y, by.as_deref());
            let series = lines.into_iter().flat_map(|(label, line, y)| {
                let points = line.into_iter().flat_map(|run| RunPoint::along(run, along));
                averaged(
                    label,
                    points
                        .filter_map(|point| plotted(&point, &abscissa, y))
                        .collect(),
                )
            });
            let series = series.collect();
            let place = match along.as_str() {
                TRAINING => "epoch",
                "scaling" => "a",
                "rescaling" => "α",
                "rank" => "threshold / λ₁",
                curve if curve.starts_with("keskar") => "ε",
                _ => "‖d‖ / ‖θ‖",
            };
            let x = x
                .as_ref()
                .map_or_else(|| place.to_owned(), Expression::symbol);
            let y = (ordinate(y), Scale::Fitting);
            let mut chart = Chart::new(model, (x, Scale::Fitting), y, series);
            chart.guides[1].extend(guide);
            chart
        }
        Plot::Density { by } => {
            let label = |record: &Summary| format!("{} {}", by.replace('_', " "), word(record, by));
            let series = first_of_each(records, label, |spectra| {
                let pairs = spectra.density.iter();
                let peak = pairs.clone().map(|[_, y]| *y).fold(0.0, f64::max);
                // Below are the tails of the smoothing.
                let height = |y: f64| if y < 1e-7 * peak { 0.0 } else { y };
                pairs.map(|&[x, y]| Point::new(x, height(y))).collect()
            });
            let y = ("share of eigenvalues per unit of λ", Scale::Logarithmic);
            Chart::new(model, ("eigenvalue λ", Scale::Fitting), y, series)
        }
        Plot::Eigenvalues {} => {
            let label = |record: &Summary| record.setting.model.name.clone();
            let series = first_of_each(records, label, |spectra| {
                let mut sizes: Vec<f64> = spectra.eigenvalues.iter().map(|one| one.abs()).collect();
                sizes.sort_by(|one, other| f64::total_cmp(other, one));
                let largest = sizes.first().copied().unwrap_or(0.0);
                let shares = (1..).zip(sizes);
                let points = shares.map(|(rank, size)| Point::new(f64::from(rank), size / largest));
                points.filter(|point| point.y >= 1e-9).collect()
            });
            let y = ("|λ| / λ₁", Scale::Logarithmic);
            Chart::new(model, ("rank", Scale::Fitting), y, series)
        }
    })
}

/// y against x at a point of a run, where both have numbers.
fn plotted(point: &RunPoint<'_>, x: &Expression, y: &Expression) -> Option<Point> {
    Some(Point::new(point.read(x)?.value, point.read(y)?.value))
}

/// A line for each y, or for each value of a field: its label, its runs and what is read of them.
fn lines<'a, 'y>(
    runs: &[&'a Summary],
    y: &'y [Expression],
    by: Option<&str>,
) -> Vec<(String, Vec<&'a Summary>, &'y Expression)> {
    let Some(by) = by else {
        return y.iter().map(|y| (y.symbol(), runs.to_vec(), y)).collect();
    };
    let words = distinct(runs.iter().map(|run| word(run, by))).into_iter();
    let of = |value: String| {
        let of_value = runs.iter().copied().filter(|run| word(run, by) == value);
        let of_value = of_value.collect();
        Some((value, of_value, y.first()?))
    };
    words.filter_map(of).collect()
}

/// The means of the points of equal x, geometric where all are positive, and the points themselves.
fn averaged(label: String, points: Vec<Point>) -> [Series; 2] {
    let positive = points.iter().all(|point| point.y > 0.0);
    // In their order where x is the same, so that a sum keeps its bits.
    let mut sorted: Vec<&Point> = points.iter().collect();
    sorted.sort_by(|one, other| f64::total_cmp(&one.x, &other.x));
    let mean = |of_place: &[&Point]| {
        let values = of_place.iter().map(|point| point.y);
        let count = of_place.len() as f64;
        Point::new(
            of_place[0].x,
            match positive {
                true => (values.map(f64::ln).sum::<f64>() / count).exp(),
                false => values.sum::<f64>() / count,
            },
        )
    };
    let means = sorted.chunk_by(|one, other| one.x == other.x).map(mean);
    [
        Series::new(label, Mark::Line, thinned(means.collect())),
        Series::new("", Mark::Runs, thinned(points)),
    ]
}

/// Points of a series that are drawn: more of them are a blot, and megabytes.
const MOST_POINTS: usize = 1000;

/// Of more points than are drawn every second, third and so on.
fn thinned(points: Vec<Point>) -> Vec<Point> {
    let step = points.len().div_ceil(MOST_POINTS).max(1);
    points.into_iter().step_by(step).collect()
}

/// A line for each label, of the first record that has points for it.
fn first_of_each(
    records: &[&Summary],
    label: impl Fn(&Summary) -> String,
    points: impl Fn(&Spectra) -> Vec<Point>,
) -> Vec<Series> {
    let mut series: Vec<Series> = Vec::new();
    for record in records {
        let points = record.spectra.as_deref().map(&points).unwrap_or_default();
        let label = label(record);
        if !points.is_empty() && series.iter().all(|known| known.label != label) {
            series.push(Series::new(label, Mark::Bare, points));
        }
    }
    series
}

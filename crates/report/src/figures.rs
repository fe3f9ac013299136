//! The figures that claims ask for, drawn from the records: small panels that a page or a file arranges.

use flatness_records::{Outcome, Record};

use crate::claim::{FigureSpec, Plot, Scope};
use crate::reading::{Place, Point as RunPoint, TRAINING, read_at};
use crate::reproduction::{distinct, models};
use crate::selection::{ALL_MODELS, Field};
use crate::svg::{Axis, Chart, Mark, Point, Series, arranged};
use crate::{Claim, ClaimVerdict, Expression, PredicateVerdict, Reproduction, Selection};

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
    let mut figures = Vec::new();
    for claim in claims {
        let verdicts: Vec<&ClaimVerdict> = verdicts
            .iter()
            .filter(|verdict| verdict.claim == claim.id)
            .collect();
        for spec in &claim.figures {
            let charts = charts(reproduction, spec, &verdicts);
            let shown = charts.iter().filter(|chart| chart.shows_something());
            let panels: Vec<String> = shown.map(Chart::draw).collect();
            if !panels.is_empty() {
                figures.push(Figure {
                    id: spec.id.clone(),
                    claim: claim.id.clone(),
                    title: spec.title.clone(),
                    caption: spec.caption.clone(),
                    panels,
                });
            }
        }
    }
    figures
}

fn charts(
    reproduction: &Reproduction,
    spec: &FigureSpec,
    verdicts: &[&ClaimVerdict],
) -> Vec<Chart> {
    if let Plot::Seeds { predicates } = &spec.plot {
        return predicates
            .iter()
            .filter_map(|id| seeds(id, verdicts))
            .collect();
    }
    let records = reproduction.records_of(&spec.experiment);
    let records: Vec<&Record> = records
        .filter(|record| record.outcome == Outcome::Completed)
        .collect();
    let subjects = match spec.scope {
        Scope::Together => vec![ALL_MODELS.to_owned()],
        Scope::Model => models(records.iter().copied()),
    };
    subjects
        .iter()
        .map(|model| panel(&spec.plot, &Selection::default().of(&records, model), model))
        .collect()
}

/// One predicate: a row for each model, the points of its seeds, and the mean with its interval.
fn seeds(id: &str, verdicts: &[&ClaimVerdict]) -> Option<Chart> {
    let of_id = |verdict: &&ClaimVerdict| {
        let predicate = verdict
            .predicates
            .iter()
            .find(|one| one.id.as_deref() == Some(id))?;
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
    let mut means = Vec::new();
    let mut runs = Vec::new();
    let mut names = Vec::new();
    for (place, (model, predicate)) in (0..).zip(&rows) {
        let y = -f64::from(place);
        names.push(format!("{model} ({})", predicate.sample.seeds.len()));
        runs.extend(
            predicate
                .sample
                .seeds
                .iter()
                .map(|seed| Point::new(shown(seed.value), y - 0.28)),
        );
        means.extend(predicate.estimate.map(|estimate| Point {
            x: shown(estimate.mean),
            y,
            bar: estimate.interval.map(|interval| interval.map(shown)),
        }));
    }
    let bounds = first.threshold.map_or([f64::NAN; 2], |threshold| {
        threshold.bounds(first.logarithmic).map(shown)
    });
    let guides: Vec<f64> = bounds
        .into_iter()
        .filter(|bound| bound.is_finite() && (!first.logarithmic || *bound > 0.0))
        .collect();
    let values = runs
        .iter()
        .map(|point| point.x)
        .chain(guides.iter().copied());
    let bars = means.iter().filter_map(|point| point.bar).flatten();
    let values: Vec<f64> = values
        .chain(means.iter().map(|point| point.x))
        .chain(bars)
        .collect();
    let x = if first.logarithmic {
        Axis::logarithmic("times", values.into_iter())
    } else {
        Axis::linear("", values.into_iter())
    };
    Some(Chart {
        title: first.text.clone(),
        x,
        y: Axis::rows(&names),
        series: vec![
            Series {
                label: String::new(),
                points: means,
                mark: Mark::Rows,
            },
            Series {
                label: String::new(),
                points: runs,
                mark: Mark::Runs,
            },
        ],
        guides: [guides, Vec::new()],
    })
}

/// A line: its label, its runs and what is read of them.
type Line<'a> = (String, Vec<&'a Record>, &'a Expression);

fn panel(plot: &Plot, records: &[&Record], model: &str) -> Chart {
    let title = model.to_owned();
    match plot {
        Plot::Seeds { .. } => chart(title, "", "", Vec::new(), false),
        Plot::Runs {
            x,
            y,
            by,
            relative_to,
            at,
            select,
        } => {
            let runs = select.of(records, model);
            let at = at.as_ref();
            let series = lines(&runs, y, by.as_deref())
                .into_iter()
                .flat_map(|(label, line, y)| {
                    let point = |run: &&Record| {
                        let x = read_at(run, x, at)?.value;
                        let value = relative(run, y, at, relative_to.as_ref(), records, model)?;
                        Some(Point::new(x, value))
                    };
                    averaged(label, line.iter().filter_map(point).collect())
                });
            let relative = if relative_to.is_some() {
                ", relative"
            } else {
                ""
            };
            let mut drawn = chart(
                title,
                &x.symbol(),
                &(ordinate(y) + relative),
                series.collect(),
                false,
            );
            if relative_to.is_some() {
                drawn.guides[1].push(1.0);
            }
            drawn
        }
        Plot::Along {
            along,
            x,
            y,
            by,
            select,
            guide,
        } => {
            let runs = select.of(records, model);
            let abscissa = x
                .clone()
                .or_else(|| if along == TRAINING { "epoch" } else { "x" }.parse().ok());
            let series = lines(&runs, y, by.as_deref())
                .into_iter()
                .flat_map(|(label, line, y)| {
                    let points = line.iter().flat_map(|run| RunPoint::along(run, along));
                    let point = |point: RunPoint<'_>| {
                        Some(Point::new(
                            point.read(abscissa.as_ref()?)?.value,
                            point.read(y)?.value,
                        ))
                    };
                    averaged(label, points.filter_map(point).collect())
                });
            let x_title = match (x, along.as_str()) {
                (Some(x), _) => x.symbol(),
                (None, TRAINING) => "epoch".to_owned(),
                (None, "scaling") => "a".to_owned(),
                (None, "rescaling") => "α".to_owned(),
                (None, "rank") => "threshold / λ₁".to_owned(),
                (None, curve) if curve.starts_with("keskar") => "ε".to_owned(),
                (None, _) => "‖d‖ / ‖θ‖".to_owned(),
            };
            let mut drawn = chart(title, &x_title, &ordinate(y), series.collect(), false);
            drawn.guides[1].extend(guide);
            drawn
        }
        Plot::Density { by } => chart(
            title,
            "eigenvalue λ",
            "share of eigenvalues per unit of λ",
            densities(records, by),
            true,
        ),
        Plot::Eigenvalues {} => chart(title, "rank", "|λ| / λ₁", spectra(records), true),
    }
}

fn ordinate(y: &[Expression]) -> String {
    match y {
        [one] => one.symbol(),
        _ => String::new(),
    }
}

fn chart(title: String, x: &str, y: &str, series: Vec<Series>, logarithmic: bool) -> Chart {
    let points = || series.iter().flat_map(|series| &series.points);
    let values = points()
        .map(|point| point.y)
        .filter(|value| !logarithmic || *value > 0.0);
    let y = if logarithmic {
        Axis::logarithmic(y, values)
    } else {
        Axis::fitting(y, values)
    };
    Chart {
        title,
        x: Axis::fitting(x, points().map(|point| point.x)),
        y,
        series,
        guides: [Vec::new(), Vec::new()],
    }
}

/// A line for each y, or for each value of a field.
fn lines<'a>(runs: &[&'a Record], y: &'a [Expression], by: Option<&str>) -> Vec<Line<'a>> {
    let Some(by) = by else {
        return y.iter().map(|y| (y.symbol(), runs.to_vec(), y)).collect();
    };
    let word = |run: &&Record| Field::of(run, by).map_or_else(String::new, |field| field.words());
    let of = |value: String| {
        let of_value = runs
            .iter()
            .copied()
            .filter(|run| word(run) == value)
            .collect();
        y.first().map(|y| (value, of_value, y))
    };
    distinct(runs.iter().map(word))
        .into_iter()
        .filter_map(of)
        .collect()
}

/// y of a run, over that of the run of its seed that `control` selects.
fn relative(
    run: &Record,
    y: &Expression,
    at: Option<&Place>,
    control: Option<&Selection>,
    records: &[&Record],
    model: &str,
) -> Option<f64> {
    let value = read_at(run, y, at)?.value;
    let Some(control) = control else {
        return Some(value);
    };
    let of_seed: Vec<&Record> = records
        .iter()
        .copied()
        .filter(|other| other.spec.seed == run.spec.seed)
        .collect();
    Some(value / read_at(control.one(&of_seed, model)?, y, at)?.value)
}

/// The means of the points of equal x, geometric where all are positive, and the points themselves.
fn averaged(label: String, points: Vec<Point>) -> [Series; 2] {
    let mut places = distinct(points.iter().map(|point| point.x));
    places.sort_by(f64::total_cmp);
    let positive = points.iter().all(|point| point.y > 0.0);
    let mean = |&x: &f64| {
        let values = points
            .iter()
            .filter(|point| point.x == x)
            .map(|point| point.y);
        let count = values.clone().count() as f64;
        let y = if positive {
            (values.map(f64::ln).sum::<f64>() / count).exp()
        } else {
            values.sum::<f64>() / count
        };
        Point::new(x, y)
    };
    let means = Series {
        label,
        points: places.iter().map(mean).collect(),
        mark: Mark::Line,
    };
    let runs = Series {
        label: String::new(),
        points,
        mark: Mark::Runs,
    };
    [means, runs]
}

/// Of the first seed.
fn densities(records: &[&Record], by: &str) -> Vec<Series> {
    let mut series: Vec<Series> = Vec::new();
    for record in records {
        let matrices = record
            .measurements
            .last()
            .map_or(&[][..], |last| &last.measured.matrices);
        let Some(density) = matrices.iter().find_map(|matrix| matrix.density.as_ref()) else {
            continue;
        };
        let label = Field::of(record, by).map_or_else(String::new, |field| field.words());
        let label = format!("{} {label}", by.replace('_', " "));
        if series.iter().any(|known| known.label == label) {
            continue;
        }
        let peak = density.density.iter().copied().fold(0.0, f64::max);
        let pairs = density.grid.iter().zip(&density.density);
        // Below are the tails of the smoothing.
        let points = pairs.map(|(&x, &y)| Point::new(x, if y < 1e-7 * peak { 0.0 } else { y }));
        series.push(Series {
            label,
            points: points.collect(),
            mark: Mark::Bare,
        });
    }
    series
}

/// Of the first seed of every model.
fn spectra(records: &[&Record]) -> Vec<Series> {
    let mut series: Vec<Series> = Vec::new();
    for record in records {
        let matrices = record
            .measurements
            .last()
            .map_or(&[][..], |last| &last.measured.matrices);
        let eigenvalues = matrices
            .iter()
            .map(|matrix| &matrix.eigenvalues)
            .find(|values| !values.is_empty());
        let (Some(eigenvalues), label) = (eigenvalues, record.model.name.clone()) else {
            continue;
        };
        if series.iter().any(|known| known.label == label) {
            continue;
        }
        let mut sizes: Vec<f64> = eigenvalues.iter().map(|value| value.abs()).collect();
        sizes.sort_by(|one, other| f64::total_cmp(other, one));
        let largest = sizes.first().copied().unwrap_or(1.0);
        let shares = (1..)
            .zip(sizes)
            .map(|(rank, size)| Point::new(f64::from(rank), size / largest));
        series.push(Series {
            label,
            points: shares.filter(|point| point.y >= 1e-9).collect(),
            mark: Mark::Bare,
        });
    }
    series
}

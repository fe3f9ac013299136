//! The figures of a report: small panels, one or two per model, that a page or a file arranges.

mod average;
mod axis;
mod chart;
mod correlation;
mod curves;
mod decay;
mod density;
mod optimizer;
mod path;
mod pen;
mod perturbation;
mod theme;

use std::fmt::Write as _;

use flatness_records::Record;

use self::chart::{Chart, WIDTH};
use crate::correlation::TARGETS;
use crate::reproduction::models;
use crate::{Error, Measure, Reproduction, correlations};

pub use self::curves::curves_svg;
pub(crate) use self::theme::palette;

/// Panels of one kind and what they show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figure {
    /// File name without extension.
    pub id: &'static str,
    /// Claim it belongs to, such as `C1`.
    pub claim: &'static str,
    /// What is shown.
    pub title: &'static str,
    /// How to read it.
    pub caption: &'static str,
    /// SVG elements, one per panel, whose colours are custom properties with a fallback.
    pub panels: Vec<String>,
    /// Height of every panel in CSS pixels.
    height: i32,
}

/// A model's panels; those in which its runs have nothing to show are left out.
type ModelCharts = fn(&str, &[&Record]) -> Vec<Chart>;

struct Kind {
    id: &'static str,
    claim: &'static str,
    title: &'static str,
    caption: &'static str,
    charts: ModelCharts,
}

const KINDS: [Kind; 8] = [
    Kind {
        id: "c1-curvature",
        claim: "C1",
        title: "Curvature at the end of training against weight decay",
        caption: "Hessian of the mean cross-entropy without the L2 term. Geometric means over seeds; bars show one standard error.",
        charts: |model, records| vec![decay::curvature(model, records)],
    },
    Kind {
        id: "c1-accuracy",
        claim: "C1",
        title: "Test accuracy at the end of training against weight decay",
        caption: "Means over seeds; bars show one standard error.",
        charts: |model, records| vec![decay::accuracy(model, records)],
    },
    Kind {
        id: "c1-density",
        claim: "C1",
        title: "Where the eigenvalues lie",
        caption: "Spectral density of the Hessian of one seed by stochastic Lanczos quadrature, broadened by a Gaussian; cut off at one ten-millionth of its peak.",
        charts: |model, records| density::spectrum(model, records).into_iter().collect(),
    },
    Kind {
        id: "c2-training",
        claim: "C2",
        title: "Loss and curvature along training without weight decay",
        caption: "On a subset of the training images. Geometric means over seeds; bars show one standard error.",
        charts: |model, records| vec![path::training(model, records)],
    },
    Kind {
        id: "c2-scaling",
        claim: "C2",
        title: "Curvature when all parameters are multiplied by a",
        caption: "At the end of training; a = 1 is the trained network. In theory the sharpness first rises, then collapses as the predictions grow confident. Medians over the seeds, bars from the smallest to the largest; what has collapsed by more than twelve orders is left out.",
        charts: |model, records| vec![path::scaling(model, records)],
    },
    Kind {
        id: "c3-sharpness",
        claim: "C3",
        title: "Test accuracy against raw and scale-aware sharpness, by optimiser",
        caption: "At the end of training, over the seeds: geometric means of the sharpness, means of the accuracy, bars of one standard error. The marker is the finished parameters: the average where there is one, with a line from the last iterate to it. Up and to the right: sharper and better.",
        charts: |model, records| {
            [Measure::SpectralNorm, Measure::ScaledSpectralNorm]
                .map(|sharpness| optimizer::accuracy(model, records, sharpness))
                .to_vec()
        },
    },
    Kind {
        id: "c5-rise",
        claim: "C5",
        title: "How far the quadratic law reaches",
        caption: "Rise of the loss over its prediction against the relative length of the perturbation, over the seeds; means with one standard error, the band is ±10 %. “Spectrum” predicts Tr(H)/P ‖d‖²/2 for random directions and λ₁ ‖d‖²/2 for the top eigenvector; ½dᵀHd uses the very directions taken.",
        charts: |model, records| vec![perturbation::ratio(model, records)],
    },
    Kind {
        id: "c8-scale",
        claim: "C8",
        title: "Raw and scale-aware sharpness against weight decay",
        caption: "Each measure over its value without decay at the same seed. Above the line: sharper than without decay.",
        charts: |model, records| vec![decay::relative_sharpness(model, records)],
    },
];

/// Every figure that the records of `reproduction` have something to show in.
///
/// # Errors
/// [`Error::Plot`] when the drawing library refuses.
pub fn figures(reproduction: &Reproduction) -> Result<Vec<Figure>, Error> {
    let mut figures = Vec::new();
    for kind in &KINDS {
        let records: Vec<&Record> = reproduction.records_of(kind.claim).collect();
        let (mut panels, mut height) = (Vec::new(), 0);
        for model in models(records.iter().copied()) {
            let of_model: Vec<&Record> = records
                .iter()
                .copied()
                .filter(|record| record.model.name == model)
                .collect();
            let charts = (kind.charts)(&model, &of_model);
            for chart in charts.iter().filter(|chart| chart.shows_something()) {
                height = chart.height;
                panels.push(chart.draw()?);
            }
        }
        let Kind {
            id,
            claim,
            title,
            caption,
            ..
        } = *kind;
        figures.push(Figure {
            id,
            claim,
            title,
            caption,
            panels,
            height,
        });
    }
    figures.push(correlation_figure(reproduction)?);
    figures.retain(|figure| !figure.panels.is_empty());
    Ok(figures)
}

fn correlation_figure(reproduction: &Reproduction) -> Result<Figure, Error> {
    let correlations = correlations(&reproduction.records_of("C8").collect::<Vec<_>>());
    let charts = TARGETS.map(|target| correlation::ranks(target, &correlations));
    let panels = charts
        .iter()
        .filter(|chart| chart.shows_something())
        .map(Chart::draw)
        .collect::<Result<_, _>>()?;
    Ok(Figure {
        id: "c8-correlation",
        claim: "C8",
        title: "Which measure orders the runs as generalisation does",
        caption: "Kendall's τ over the runs of a seed, mean over seeds; bars show one standard error. To the right of the line, sharper goes with worse.",
        panels,
        height: charts[0].height,
    })
}

impl Figure {
    /// The figure as one SVG file, panels side by side, at most three in a row, in light or dark
    /// as the reader prefers.
    #[must_use]
    pub fn standalone(&self) -> String {
        arranged(self.title, &self.panels, self.height)
    }
}

/// Panels of one height under a heading.
fn arranged(title: &str, panels: &[String], panel_height: i32) -> String {
    const COLUMNS: usize = 3;
    const HEADING: i32 = 34;
    let columns = panels.len().clamp(1, COLUMNS) as i32;
    let rows = panels.len().div_ceil(COLUMNS) as i32;
    let (width, height) = (columns * WIDTH, HEADING + rows * panel_height);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" role=\"img\">\n\
         <title>{title}</title>\n<style>{palette}</style>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"var(--plot-surface, #ffffff)\"/>\n\
         <text x=\"14\" y=\"24\" font-family=\"system-ui, sans-serif\" font-size=\"15\" font-weight=\"600\" fill=\"var(--plot-ink, #1d1e20)\">{title}</text>\n",
        palette = palette(":root"),
    );
    for (number, panel) in (0..).zip(panels) {
        let (x, y) = (number % 3 * WIDTH, HEADING + number / 3 * panel_height);
        // Writing to a String cannot fail.
        let _ = writeln!(
            svg,
            "<svg x=\"{x}\" y=\"{y}\"{}",
            panel.strip_prefix("<svg").unwrap_or(panel)
        );
    }
    svg + "</svg>\n"
}

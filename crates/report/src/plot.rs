//! The figures of a report: small panels, one or two per model, that a page or a file arranges.

mod average;
mod axis;
mod chart;
mod correlation;
mod curves;
mod decay;
mod density;
mod landscape;
mod loss_line;
mod measured_density;
mod optimizer;
mod path;
mod pen;
mod perturbation;
mod ranks;
mod regions;
mod rescaling;
mod series;
mod stems;
mod theme;

use std::fmt::Write as _;

use flatness_records::Record;

use self::chart::{Chart, WIDTH};
use crate::correlation::TARGETS;
use crate::reproduction::models;
use crate::{Error, Measure, Reproduction, correlations};

pub use self::curves::curves_svg;
pub use self::landscape::{Landscape, landscape_svg};
pub use self::loss_line::{LossLine, loss_line_svg};
pub use self::measured_density::{Curve, density_svg, signed_density_svg};
pub use self::stems::stems_svg;
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

/// Panels of the records of a claim; those in which they have nothing to show are left out.
enum Panels {
    /// For each model by itself, whose name is given.
    OfModel(fn(&str, &[&Record]) -> Vec<Chart>),
    /// For all models together.
    Together(fn(&[&Record]) -> Vec<Chart>),
}

struct Kind {
    id: &'static str,
    claim: &'static str,
    title: &'static str,
    caption: &'static str,
    panels: Panels,
}

const KINDS: [Kind; 12] = [
    Kind {
        id: "c1-curvature",
        claim: "C1",
        title: "Curvature at the end of training against weight decay",
        caption: "Hessian of the mean cross-entropy without the L2 term. Geometric means over seeds; bars show one standard error.",
        panels: Panels::OfModel(|model, records| vec![decay::curvature(model, records)]),
    },
    Kind {
        id: "c1-accuracy",
        claim: "C1",
        title: "Test accuracy at the end of training against weight decay",
        caption: "Means over seeds; bars show one standard error.",
        panels: Panels::OfModel(|model, records| vec![decay::accuracy(model, records)]),
    },
    Kind {
        id: "c1-density",
        claim: "C1",
        title: "Where the eigenvalues lie",
        caption: "Spectral density of the Hessian of one seed by stochastic Lanczos quadrature, broadened by a Gaussian; cut off at one ten-millionth of its peak.",
        panels: Panels::OfModel(|model, records| {
            density::spectrum(model, records).into_iter().collect()
        }),
    },
    Kind {
        id: "c2-training",
        claim: "C2",
        title: "Loss and curvature along training without weight decay",
        caption: "On a subset of the training images. Geometric means over seeds; bars show one standard error.",
        panels: Panels::OfModel(|model, records| vec![path::training(model, records)]),
    },
    Kind {
        id: "c2-scaling",
        claim: "C2",
        title: "Curvature when all parameters are multiplied by a",
        caption: "At the end of training; a = 1 is the trained network. In theory the sharpness first rises, then collapses as the predictions grow confident. Medians over the seeds, bars from the smallest to the largest; what has collapsed by more than twelve orders is left out.",
        panels: Panels::OfModel(|model, records| vec![path::scaling(model, records)]),
    },
    Kind {
        id: "c3-sharpness",
        claim: "C3",
        title: "Test accuracy against raw and scale-aware sharpness, by optimiser",
        caption: "At the end of training, over the seeds: geometric means of the sharpness, means of the accuracy, bars of one standard error. The marker is the finished parameters: the average where there is one, with a line from the last iterate to it. Up and to the right: sharper and better.",
        panels: Panels::OfModel(|model, records| {
            [Measure::SpectralNorm, Measure::ScaledSpectralNorm]
                .map(|sharpness| optimizer::accuracy(model, records, sharpness))
                .to_vec()
        }),
    },
    Kind {
        id: "c4-rank",
        claim: "C4",
        title: "Numerical rank of exact Hessians over widths",
        caption: "Left: rank against the number of parameters P, beside what it is compared with; geometric means over seeds, bars show one standard error. Right: all eigenvalues of one seed in order of their absolute value, over the largest; those below the line count as zero.",
        panels: Panels::Together(|records| {
            vec![
                ranks::against_parameters(records),
                ranks::eigenvalues(records),
            ]
        }),
    },
    Kind {
        id: "c5-rise",
        claim: "C5",
        title: "How far the quadratic law reaches",
        caption: "Rise of the loss over its prediction against the relative length of the perturbation, over the seeds; means with one standard error, the band is ±10 %. “Spectrum” predicts Tr(H)/P ‖d‖²/2 for random directions and λ₁ ‖d‖²/2 for the top eigenvector; ½dᵀHd uses the very directions taken.",
        panels: Panels::OfModel(|model, records| vec![perturbation::ratio(model, records)]),
    },
    Kind {
        id: "c6-regions",
        claim: "C6",
        title: "Keskar’s sharpness against the size of its region",
        caption: "φ(ε), the largest rise of the loss that was found in each region over 1 + L, and its prediction λ₁ε²/2(1 + L). Geometric means over seeds; bars show one standard error.",
        panels: Panels::OfModel(|model, records| vec![regions::sharpness(model, records)]),
    },
    Kind {
        id: "c7-rescaling",
        claim: "C7",
        title: "Sharpness under rescaling of two layers by α and 1/α",
        caption: "Each number over its value at α = 1 at the same seed: geometric means over seeds, bars show one standard error. The network computes the same function at every α.",
        panels: Panels::OfModel(|model, records| vec![rescaling::relative(model, records)]),
    },
    Kind {
        id: "c8-scale",
        claim: "C8",
        title: "Raw and scale-aware sharpness against weight decay",
        caption: "Each measure over its value without decay at the same seed. Above the line: sharper than without decay.",
        panels: Panels::OfModel(|model, records| vec![decay::relative_sharpness(model, records)]),
    },
    Kind {
        id: "c8-correlation",
        claim: "C8",
        title: "Which measure orders the runs as generalisation does",
        caption: "Kendall's τ over the runs of a seed, mean over seeds; bars show one standard error. To the right of the line, sharper goes with worse.",
        panels: Panels::Together(|records| {
            let correlations = correlations(records);
            TARGETS
                .map(|target| correlation::ranks(target, &correlations))
                .to_vec()
        }),
    },
];

/// Every figure that the records of `reproduction` have something to show in.
///
/// # Errors
/// [`Error::Plot`] when the drawing library refuses.
pub fn figures(reproduction: &Reproduction) -> Result<Vec<Figure>, Error> {
    let figures = KINDS.iter().map(|kind| figure(kind, reproduction));
    let mut figures = figures.collect::<Result<Vec<_>, _>>()?;
    figures.retain(|figure| !figure.panels.is_empty());
    Ok(figures)
}

fn figure(kind: &Kind, reproduction: &Reproduction) -> Result<Figure, Error> {
    let records: Vec<&Record> = reproduction.records_of(kind.claim).collect();
    let of_model = |model: &String| {
        let records = records.iter().copied();
        records
            .filter(|record| record.model.name == *model)
            .collect::<Vec<_>>()
    };
    let charts = match kind.panels {
        Panels::Together(charts) => charts(&records),
        Panels::OfModel(charts) => models(records.iter().copied())
            .iter()
            .flat_map(|model| charts(model, &of_model(model)))
            .collect(),
    };
    let shown = || charts.iter().filter(|chart| chart.shows_something());
    Ok(Figure {
        id: kind.id,
        claim: kind.claim,
        title: kind.title,
        caption: kind.caption,
        panels: shown().map(Chart::draw).collect::<Result<_, _>>()?,
        height: shown().next().map_or(0, |chart| chart.height),
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

/// One panel under a heading.
fn alone(title: &str, chart: &Chart) -> Result<String, Error> {
    Ok(arranged(title, &[chart.draw()?], chart.height))
}

/// Refuses a field whose length is not that of the others.
fn check_length(
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

/// Panels of one height under a heading.
fn arranged(title: &str, panels: &[String], panel_height: i32) -> String {
    const HEADING: i32 = 34;
    // Two by two rather than three and one.
    let columns = match panels.len() {
        4 => 2,
        count => count.clamp(1, 3),
    };
    let rows = panels.len().div_ceil(columns) as i32;
    let columns = columns as i32;
    let (width, height) = (columns * WIDTH, HEADING + rows * panel_height);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" role=\"img\">\n\
         <title>{title}</title>\n<style>{palette}</style>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"var(--plot-surface, #ffffff)\"/>\n\
         <text x=\"14\" y=\"24\" font-family=\"system-ui, sans-serif\" font-size=\"15\" font-weight=\"600\" fill=\"var(--plot-ink, #1d1e20)\">{title}</text>\n",
        palette = palette(":root"),
    );
    for (number, panel) in (0..).zip(panels) {
        let (column, row) = (number % columns, number / columns);
        let (x, y) = (column * WIDTH, HEADING + row * panel_height);
        // Writing to a String cannot fail.
        let _ = writeln!(
            svg,
            "<svg x=\"{x}\" y=\"{y}\"{}",
            panel.strip_prefix("<svg").unwrap_or(panel)
        );
    }
    svg + "</svg>\n"
}

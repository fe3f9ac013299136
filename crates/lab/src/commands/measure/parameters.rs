//! Measures that take the scale of the parameters into account.

use anyhow::{Context, Result};
use flatness_curvature::Curvature;
use flatness_measures::{
    RelativeFlatnessSettings, RelativeTrace, Watch, adaptive, fisher_rao, neuron_weights,
    relative_flatness, weight_norms,
};
use flatness_records::{LanczosSpec, Quantity, Uncertainty};

use super::Subject;
use super::report::Line;
use super::spectral::BLOCK;
use crate::arguments::What;
use crate::measurement::extremes;
use crate::progress::Watched;

/// Lanczos steps for the one eigenvalue of the adaptive sharpness.
pub(super) const STEPS: usize = 40;

/// Random signs for a trace of the relative flatness.
const PROBES: usize = 24;

pub(super) fn measure(subject: &Subject<'_>, curvature: &Curvature<'_>) -> Result<Vec<Line>> {
    let Subject { theta, network, .. } = *subject;
    let layout = network.layout();
    let mut lines = Vec::new();
    if subject.asks(|what| *what == What::Norms) {
        let norms = weight_norms(layout, theta)?;
        lines.push(Line::new("norm", Quantity::exact(norms.total, 0)));
        lines.extend(norms.layers.into_iter().map(|layer| {
            let name = format!("norm of {}", layer.name);
            Line::new(name, Quantity::exact(layer.norm, 0))
        }));
    }
    if subject.asks(|what| *what == What::FisherRao) {
        let form = fisher_rao(&curvature.gauss_newton(), theta)?;
        let exact = Quantity::exact(form.value, form.cost.products);
        lines.push(Line::new("fisher_rao", exact));
    }
    let stage = |total: usize| {
        let progress = subject.progress;
        progress.stage("scaled by weights", "products", total as u64)
    };
    if subject.asks(|what| *what == What::Adaptive) {
        let stage = stage(STEPS);
        let hessian = Watched {
            operator: curvature.hessian(),
            stage: &stage,
        };
        let scaled = adaptive(hessian, theta, 0.0)?;
        let spec = LanczosSpec {
            steps: STEPS,
            tolerance: subject.options.tolerance,
        };
        let (largest, _) = extremes(&scaled, &spec, subject.streams.seed("adaptive"))?;
        lines.push(Line::new("adaptive_lambda_max", largest));
    }
    if subject.asks(|what| *what == What::RelativeFlatness) {
        let weight = neuron_weights(layout)
            .next_back()
            .context("the network has no layer with weights, so no relative flatness")?;
        let seed = subject.streams.seed("relative-flatness");
        let settings = RelativeFlatnessSettings {
            trace: RelativeTrace::Probes {
                probes: PROBES,
                seed,
            },
            block: BLOCK,
        };
        let stage = stage(PROBES);
        let hessian = curvature.hessian();
        let watch = Watch {
            advance: &|products| stage.advance(products, ""),
            ..Watch::NOBODY
        };
        let found = relative_flatness(&hessian, layout, theta, &weight.name, &settings, watch)?;
        let estimate = found.estimate;
        lines.push(Line::new(
            format!("relative_flatness of {}", found.weight),
            Quantity {
                value: estimate.value,
                products: found.cost.products,
                uncertainty: Uncertainty::Stochastic {
                    standard_error: estimate.error(),
                    probes: estimate.draws as u64,
                    seed,
                },
            },
        ));
    }
    Ok(lines)
}

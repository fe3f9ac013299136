//! How long a run will take on one core, to start the longest first and to tell the reader.
//!
//! seconds = ((training passes + measuring passes) · examples · multiply-adds of an example + 8 P³) / rate
//!
//! The P³ only where all eigenvalues are taken.
//! A forward pass is one unit, a gradient three, a product with a kept linearisation four. The rule of
//! the optimiser is elementwise and counts nothing; a sharpness-aware step takes two gradients, and an
//! average is measured besides the last iterate.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use flatness_records::{Dtype, MeasureSpec, Spec};
use serde::Deserialize;

/// Multiply-adds a second of one core in the thin float32 products of small networks, elementwise
/// operations included: what logistic regression and the small MLPs reach when both cores are busy.
const RATE: f64 = 3e10;

/// What the eigenvalues of a dense matrix take for each P³, in multiply-adds at the rate above: 1.3 s for P = 1660.
const EIGENVALUES: f64 = 8.0;

/// Box, subspace and ball.
const REGIONS: usize = 3;

const GRADIENT: f64 = 3.0;
const PRODUCT: f64 = 4.0;

/// Double over single precision.
const DOUBLE: f64 = 2.0;

/// Training images of the embedded fixture and of the whole data set.
const FIXTURE_EXAMPLES: usize = 10_000;
const ALL_EXAMPLES: usize = 60_000;

/// Size of a model, as `flatness models --json` tells it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct ModelSize {
    name: String,
    parameters: usize,
    multiply_adds: f64,
}

/// Whether the runs use the embedded images or a directory, which may hold all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Images {
    Fixture,
    All,
}

/// Asks the binary for the sizes of the models called `names`; its own sentence for one that it does not know.
pub(crate) fn model_sizes(binary: &Path, names: &BTreeSet<&str>) -> Result<Vec<ModelSize>> {
    let output = Command::new(binary)
        .args(["models", "--json"])
        .args(names)
        .output()
        .with_context(|| format!("cannot start {}", binary.display()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{}", said.trim().trim_start_matches("error: "));
    }
    serde_json::from_slice(&output.stdout).with_context(|| {
        format!(
            "`{} models --json` did not print model sizes",
            binary.display()
        )
    })
}

/// Seconds of a run on one core; `None` for a model that the binary does not know.
pub(crate) fn seconds(spec: &Spec, sizes: &[ModelSize], images: Images) -> Option<f64> {
    let size = sizes.iter().find(|size| size.name == spec.model.name)?;
    let available = match images {
        Images::Fixture => FIXTURE_EXAMPLES,
        Images::All => ALL_EXAMPLES,
    };
    let held_out = spec.data.validation_examples.min(available);
    let examples = spec
        .data
        .train_examples
        .unwrap_or(available - held_out)
        .min(available) as f64;
    let gradients = spec.train.sharpness_aware.map_or(1.0, |_| 2.0);
    let training = GRADIENT * gradients * f64::from(spec.train.epochs);
    let iterates = spec.train.average.as_ref().map_or(1.0, |_| 2.0);
    let measure = spec.measure.as_ref();
    let measuring = measure.map_or(0.0, |measure| passes(measure, iterates));
    let width = match spec.model.dtype {
        Dtype::F32 => 1.0,
        Dtype::F64 => DOUBLE,
    };
    let doubled = measure.map_or(0.0, |measure| {
        perturbed(measure) + ascents(measure) + exact(measure, size.parameters)
    });
    let passes = width * (training + measuring) + DOUBLE * doubled;
    let dense = measure.and_then(|measure| measure.exact_spectrum.as_ref());
    let dense = dense.map_or(0.0, |_| EIGENVALUES * (size.parameters as f64).powi(3));
    Some((passes * examples * size.multiply_adds + dense) / RATE)
}

/// Forward passes over the split that all measurements of a run are worth, of which `iterates` are
/// after the last epoch.
fn passes(measure: &MeasureSpec, iterates: f64) -> f64 {
    let spectrum = (measure.lanczos.steps + measure.trace.probes) as f64;
    let measured = iterates + measure.epochs.len() as f64;
    // The elementwise-scaled Hessian has a Lanczos run of its own.
    let adaptive = measure.lanczos.steps as f64;
    let per_epoch = measure.matrices.len() as f64 * spectrum + adaptive;
    // Of the first matrix only.
    let density = measure
        .density
        .as_ref()
        .map_or(0.0, |density| (density.probes * density.steps) as f64);
    let rescaled = measure.rescaling.as_ref().map_or(0.0, |rescaling| {
        rescaling.alphas.len() as f64 * (spectrum + adaptive)
    });
    let scaled = measure.scales.len() as f64 * spectrum;
    PRODUCT * (measured * per_epoch + scaled + rescaled + density)
}

/// The same for the perturbations, which are in double precision and predict from a spectrum of their own.
fn perturbed(measure: &MeasureSpec) -> f64 {
    measure.perturbation.as_ref().map_or(0.0, |perturbation| {
        let directions = perturbation.directions + 1;
        let products = measure.lanczos.steps + measure.trace.probes + directions;
        // Both signs of every direction at every radius.
        let losses = 2 * perturbation.relative_radii.len() * directions;
        PRODUCT * products as f64 + losses as f64
    })
}

/// The same for Keskar's sharpness, a gradient for each step of every ascent.
fn ascents(measure: &MeasureSpec) -> f64 {
    measure.keskar.as_ref().map_or(0.0, |keskar| {
        let ascents = REGIONS * keskar.epsilons.len() * keskar.starts;
        GRADIENT * (ascents * keskar.steps) as f64 + PRODUCT * measure.lanczos.steps as f64
    })
}

/// The same for a dense Hessian, a product for each of its columns.
fn exact(measure: &MeasureSpec, parameters: usize) -> f64 {
    let exact = measure.exact_spectrum.as_ref();
    exact.map_or(0.0, |_| PRODUCT * parameters as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::expand;
    use crate::profile::Profile;

    fn sizes() -> Vec<ModelSize> {
        let size = |name: &str, multiply_adds| ModelSize {
            name: name.to_owned(),
            parameters: 1000,
            multiply_adds,
        };
        vec![
            size("logistic", 7840.0),
            size("mlp", 9840.0),
            size("mlp-medium", 15510.0),
        ]
    }

    #[test]
    fn larger_models_and_more_images_take_longer() {
        let grids = expand(&Profile::load("quick").unwrap(), "quick").unwrap();
        let of = |run: usize, images| seconds(grids[0].runs[run].spec(), &sizes(), images).unwrap();
        let fixture: Vec<f64> = [0, 6, 12].map(|run| of(run, Images::Fixture)).to_vec();
        assert!(fixture[0] > 0.0 && fixture.is_sorted(), "{fixture:?}");
        let ratio = of(0, Images::All) / of(0, Images::Fixture);
        assert!(
            (ratio - 6.0).abs() < 1e-12,
            "every term is proportional to the images: {ratio}"
        );
    }

    #[test]
    fn an_average_is_measured_too_and_sharpness_aware_steps_take_two_gradients() {
        let grids = expand(&Profile::load("quick").unwrap(), "quick").unwrap();
        let sizes = [ModelSize {
            name: "cnn".to_owned(),
            parameters: 1000,
            multiply_adds: 1e6,
        }];
        let of = |spec: &Spec| seconds(spec, &sizes, Images::Fixture).unwrap();
        // SGD and SWA, which differ in the average.
        let of_optimizers = grids.iter().find(|grid| grid.name == "optimizers").unwrap();
        let [sgd, swa] = [0, 3].map(|run| of_optimizers.runs[run].spec());
        let unit = 500.0 * 1e6 / RATE;
        // 12 + 10 products for the Hessian, 12 for the elementwise-scaled one.
        let measurement = 4.0 * 34.0 * unit;
        let training = 3.0 * 30.0 * unit;
        let mut aware = sgd.clone();
        aware.train.sharpness_aware = Some(0.05);
        for (spec, expected) in [
            (sgd, training + measurement),
            (swa, training + 2.0 * measurement),
            (&aware, 2.0 * training + measurement),
        ] {
            assert!((of(spec) / expected - 1.0).abs() < 1e-12, "{expected}");
        }
    }

    #[test]
    fn exact_spectra_ascents_and_rescaling_take_their_time() {
        let grids = expand(&Profile::load("quick").unwrap(), "quick").unwrap();
        let sizes = ["mlp-pooled-2", "mlp"].map(|name| ModelSize {
            name: name.to_owned(),
            parameters: 1000,
            multiply_adds: 1e4,
        });
        for (experiment, remove, examples, passes, rest) in [
            // A product for each parameter in double precision, and the eigenvalues.
            (
                "rank",
                (|measure| measure.exact_spectrum = None) as fn(&mut MeasureSpec),
                50.0,
                2.0 * 4.0 * 1000.0,
                8.0 * 1e9,
            ),
            // Three regions, five sizes, two starts of thirty gradients, and the forty products of λ₁.
            (
                "regions",
                |measure| measure.keskar = None,
                500.0,
                2.0 * (3.0 * 900.0 + 4.0 * 40.0),
                0.0,
            ),
            // Five factors with 40 + 20 products for the Hessian, 40 for the elementwise-scaled one.
            (
                "rescaling",
                |measure| measure.rescaling = None,
                500.0,
                2.0 * 4.0 * 500.0,
                0.0,
            ),
        ] {
            let grid = grids.iter().find(|grid| grid.name == experiment).unwrap();
            let with = grid.runs[0].spec();
            let mut without = with.clone();
            remove(without.measure.as_mut().unwrap());
            let of = |spec: &Spec| seconds(spec, &sizes, Images::Fixture).unwrap();
            let expected = (passes * examples * 1e4 + rest) / RATE;
            let got = of(with) - of(&without);
            assert!(
                (got / expected - 1.0).abs() < 1e-9,
                "{experiment}: {got} {expected}"
            );
        }
    }

    #[test]
    fn an_unknown_model_has_no_estimate() {
        let grids = expand(&Profile::load("quick").unwrap(), "quick").unwrap();
        assert_eq!(seconds(grids[0].runs[0].spec(), &[], Images::Fixture), None);
    }
}

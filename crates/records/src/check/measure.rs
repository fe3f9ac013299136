//! The ranges of what is measured.

use super::Check;
use crate::{Error, MeasureSpec};

impl Check<'_> {
    pub(crate) fn measure(&self, measure: &MeasureSpec, epochs: u32) -> Result<(), Error> {
        for &epoch in &measure.epochs {
            self.require(
                epoch <= epochs,
                "measure.epochs",
                "at most train.epochs",
                epoch,
            )?;
        }
        self.require(
            !measure.matrices.is_empty(),
            "measure.matrices",
            "not empty",
            "[]",
        )?;
        self.positive("measure.batch_size", measure.batch_size)?;
        self.positive("measure.lanczos.steps", measure.lanczos.steps)?;
        self.positive_number("measure.lanczos.tolerance", measure.lanczos.tolerance)?;
        if let Some(power) = &measure.power {
            self.positive("measure.power.iterations", power.iterations)?;
            self.positive_number("measure.power.tolerance", power.tolerance)?;
        }
        self.require(
            measure.trace.probes >= 2,
            "measure.trace.probes",
            "at least 2",
            measure.trace.probes,
        )?;
        self.positive("measure.trace.block", measure.trace.block)?;
        if let Some(density) = &measure.density {
            self.require(
                density.probes >= 2,
                "measure.density.probes",
                "at least 2",
                density.probes,
            )?;
            self.positive("measure.density.steps", density.steps)?;
        }
        for &scale in &measure.scales {
            self.positive_number("measure.scales", scale)?;
        }
        if let Some(perturbation) = &measure.perturbation {
            for &radius in &perturbation.relative_radii {
                self.positive_number("measure.perturbation.relative_radii", radius)?;
            }
            self.require(
                perturbation.directions >= 2,
                "measure.perturbation.directions",
                "at least 2",
                perturbation.directions,
            )?;
        }
        if let Some(exact) = &measure.exact_spectrum {
            self.below_one(
                "measure.exact_spectrum.relative_threshold",
                exact.relative_threshold,
            )?;
        }
        if let Some(keskar) = &measure.keskar {
            for &epsilon in &keskar.epsilons {
                self.positive_number("measure.keskar.epsilons", epsilon)?;
            }
            self.positive("measure.keskar.subspace", keskar.subspace)?;
            self.positive("measure.keskar.steps", keskar.steps)?;
            self.positive("measure.keskar.starts", keskar.starts)?;
        }
        if let Some(rescaling) = &measure.rescaling {
            for &alpha in &rescaling.alphas {
                self.positive_number("measure.rescaling.alphas", alpha)?;
            }
        }
        Ok(())
    }
}

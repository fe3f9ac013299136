//! One step: gradient, clipping, optimiser, running statistics, average.
//!
//! ```text
//! g = ∇L_B(θ), or with SAM ∇L_B(θ + ρ g / ‖g‖);   g <- clip(g);   θ <- optimiser(θ, g)
//! s <- 0.9 s + 0.1 s_B    running means and variances, with those of the batch B at θ
//! ```

use anyhow::Result;
use candle_core::Tensor;
use flatness_curvature::MeanLoss;
use flatness_data::{Augmentation, Augmented, Flip};
use flatness_kernels::launch::with_tf32;
use flatness_kernels::{Elementwise, Number, update_elements};
use flatness_optim::{SharpnessAware, clip_by_norm};
use flatness_records::Interval;

use super::Trainer;

/// Weight of a new batch in the running statistics of batch-norm, as in `torch.nn.BatchNorm2d`.
const STATISTICS_MOMENTUM: f64 = 0.1;

/// s <- 0.9 s + 0.1 s_B.
struct Running;

impl Elementwise<1, 1, 2> for Running {
    const NAME: &'static str = "running_statistics";

    fn constants(&self) -> [f64; 2] {
        [1.0 - STATISTICS_MOMENTUM, STATISTICS_MOMENTUM]
    }

    #[inline(always)]
    fn apply<X: Number>(&self, [keep, share]: &[X; 2], [s]: &[X; 1], [batch]: &[X; 1]) -> [X; 1] {
        [keep.times(s).plus(&share.times(batch))]
    }
}

impl Trainer<'_> {
    /// One step on the examples at the indices in `batch`, unless the loss is not finite; the loss before
    /// it.
    pub(super) fn step(
        &mut self,
        mean_loss: &MeanLoss<'_>,
        batch: &[u32],
        learning_rate: f64,
    ) -> Result<f64> {
        let spec = self.spec();
        let theta = &self.weights.theta;
        let seed = format!("dropout {}", self.position.steps);
        let seed = self.setup.run.streams().seed(&seed);
        let at = |theta: &Tensor| {
            let gradient = || mean_loss.training_gradient(theta, batch, seed);
            if spec.tf32 {
                with_tf32(gradient)
            } else {
                gradient()
            }
        };
        let at_theta = at(theta)?;
        let evaluation = at_theta.evaluation;
        if !evaluation.loss.is_finite() {
            return Ok(evaluation.loss);
        }
        let gradient = match spec.sharpness_aware {
            None => at_theta.gradient,
            Some(radius) => {
                let perturbed =
                    SharpnessAware::new(radius)?.perturbed(theta, &at_theta.gradient)?;
                at(&perturbed)?.gradient
            }
        };
        if let Some(largest) = spec.clip_norm {
            clip_by_norm(&gradient, largest)?;
        }
        self.optimizer.step(theta, &gradient, learning_rate)?;
        // The statistics are those at the parameters, also where the gradient is taken elsewhere.
        let (running, all) = (&self.weights.buffers, 0..self.weights.buffers.elem_count());
        if !all.is_empty() {
            update_elements([running], [&at_theta.statistics], &[(all, Running)])?;
        }
        if let Some(averaging) = &mut self.averaging {
            averaging.add(Interval::Step, self.position.epoch, theta)?;
        }
        self.position.steps += 1;
        self.position.loss_sum += evaluation.loss * batch.len() as f64;
        self.position.correct += (evaluation.accuracy * batch.len() as f64).round();
        Ok(evaluation.loss)
    }

    /// The examples of the epoch after `epoch` with their random changes, if there are any.
    pub(super) fn augmented(&self, epoch: u32) -> Result<Option<Augmented>> {
        let (Some(spec), Some(images)) = (&self.spec().augmentation, self.setup.images) else {
            return Ok(None);
        };
        let augmentation = Augmentation {
            seed: self.setup.run.streams().seed("augmentation"),
            flip: if spec.flip { Flip::Half } else { Flip::Never },
            pad: spec.pad,
        };
        let augmented = Augmented::new(images, augmentation, u64::from(epoch))?;
        Ok(Some(augmented))
    }
}

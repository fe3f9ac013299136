//! The residual networks of [`residual`](crate::residual) in plain candle operations.
//!
//! ```text
//! batch norm   (x − mean) (var + 1e-5)^(-1/2) γ + β      per channel, var with divisor N H W
//! block        s(x) + conv(relu(bn(conv(relu(bn(x))))))
//! ```
//!
//! candle finds the padding of a strided convolution's gradient from the height alone: images are
//! square.

use candle_core::{Result, Tensor};
use flatness_layers::Loss;

use super::{Oracle, Pieces, summed_loss};
use crate::Residual;

/// What batch-norm normalises by.
#[derive(Debug, Clone)]
pub enum Statistics {
    /// Mean and biased variance of the batch.
    Batch,
    /// These means and variances, (C) each, layer by layer.
    Fixed(Tensor),
}

/// A residual network with its loss, as a function of a flat vector: the parameters in the order of
/// [`residual`](crate::residual).
#[derive(Debug, Clone)]
pub struct ResidualAutograd {
    /// Which network.
    pub form: Residual,
    /// What its batch-norm layers normalise by.
    pub statistics: Statistics,
    /// Loss of an example.
    pub loss: Loss<'static>,
}

/// Of inputs (B, 2, 4, 4).
impl Oracle for ResidualAutograd {
    fn graph(&self, theta: &Tensor, inputs: &Tensor, labels: &Tensor) -> Result<Tensor> {
        let mut sweep = Sweep {
            form: self.form,
            parameters: Pieces::new(theta),
            statistics: match &self.statistics {
                Statistics::Batch => None,
                Statistics::Fixed(statistics) => Some(Pieces::new(statistics)),
            },
        };
        let logits = sweep.logits(inputs)?;
        sweep.parameters.finish();
        if let Some(statistics) = sweep.statistics {
            statistics.finish();
        }
        summed_loss(self.loss, &logits, labels)
    }
}

struct Sweep<'t> {
    form: Residual,
    parameters: Pieces<'t>,
    statistics: Option<Pieces<'t>>,
}

impl Sweep<'_> {
    fn logits(&mut self, inputs: &Tensor) -> Result<Tensor> {
        let x = self.convolution(inputs, 2, 3, 1)?;
        let x = self.block(&x, 2, 1)?;
        let x = self.block(&x, 3, 2)?;
        let x = self.normalized(&x)?.relu()?.mean((2, 3))?;
        let weight = self.parameters.take(&[3, 3])?;
        let bias = self.parameters.take(&[3])?;
        x.matmul(&weight.t()?)?.broadcast_add(&bias)
    }

    fn block(&mut self, x: &Tensor, outputs: usize, stride: usize) -> Result<Tensor> {
        let (first, second) = match self.form {
            Residual::PreActivation => (stride, 1),
            Residual::Wide => (1, stride),
        };
        let y = self.normalized(x)?.relu()?;
        let y = self.convolution(&y, outputs, 3, first)?;
        let y = self.normalized(&y)?.relu()?;
        let y = self.convolution(&y, outputs, 3, second)?;
        if y.dims() == x.dims() {
            return x + y;
        }
        self.convolution(x, outputs, 1, stride)? + y
    }

    fn convolution(
        &mut self,
        x: &Tensor,
        outputs: usize,
        kernel: usize,
        stride: usize,
    ) -> Result<Tensor> {
        let shape = [outputs, x.dim(1)?, kernel, kernel];
        let weight = self.parameters.take(&shape)?;
        let y = x.conv2d(&weight, kernel / 2, stride, 1, 1)?;
        match self.form {
            Residual::PreActivation => Ok(y),
            Residual::Wide => y.broadcast_add(&self.parameters.take(&[1, outputs, 1, 1])?),
        }
    }

    fn normalized(&mut self, x: &Tensor) -> Result<Tensor> {
        let shape = [1, x.dim(1)?, 1, 1];
        let (mean, variance) = match &mut self.statistics {
            Some(statistics) => (statistics.take(&shape)?, statistics.take(&shape)?),
            None => {
                let mean = x.mean_keepdim((0, 2, 3))?;
                let variance = x.broadcast_sub(&mean)?.sqr()?.mean_keepdim((0, 2, 3))?;
                (mean, variance)
            }
        };
        let deviation = (variance + 1e-5)?.sqrt()?;
        let scale = self.parameters.take(&shape)?;
        let shift = self.parameters.take(&shape)?;
        x.broadcast_sub(&mean)?
            .broadcast_div(&deviation)?
            .broadcast_mul(&scale)?
            .broadcast_add(&shift)
    }
}

//! A fully connected network in plain candle operations, differentiated by candle's backward pass.
//!
//! ```text
//! l = Σᵢ −log softmax(zᵢ)_y     or     l = Σᵢ ½ ‖zᵢ − yᵢ‖²       a sum over the batch, never a mean
//! gradient = backward(l),   H v = backward(⟨backward(l), v⟩)
//! ```
//!
//! It shares neither layers, layout nor losses with the crates under test. candle detaches every
//! gradient it propagates unless `CANDLE_GRAD_DO_NOT_DETACH` is set before a thread's first
//! backward pass; a second backward pass then silently gives wrong numbers. The workspace sets the
//! variable for every test process, and [`Autograd::hessian_product`] checks on a cube that it was
//! seen.
//!
//! candle's ReLU'(0) is 1 and the library's is 0: compare away from kinks.

use candle_core::{D, Device, Tensor, Var};
use flatness_layers::Loss;

use crate::{Activation, values};

/// A fully connected network with its loss, as a function of a flat vector: weight (outputs,
/// inputs) and bias of each layer in turn.
#[derive(Debug, Clone)]
pub struct Autograd {
    /// Widths from inputs to classes.
    pub widths: Vec<usize>,
    /// What stands between affine layers.
    pub activation: Activation,
    /// Loss of an example.
    pub loss: Loss,
}

impl Autograd {
    /// The summed loss at `theta` (P) of `inputs` (B, widths\[0\]) and u32 `labels` (B).
    ///
    /// # Panics
    /// When a shape does not fit.
    #[must_use]
    pub fn loss(&self, theta: &[f64], inputs: &Tensor, labels: &Tensor) -> f64 {
        let theta = variable(theta);
        let loss = self.graph(&theta, inputs, labels).expect("a loss");
        loss.to_scalar().expect("a scalar")
    }

    /// The gradient (P) of the summed loss.
    ///
    /// # Panics
    /// When a shape does not fit.
    #[must_use]
    pub fn gradient(&self, theta: &[f64], inputs: &Tensor, labels: &Tensor) -> Vec<f64> {
        let theta = variable(theta);
        let loss = self.graph(&theta, inputs, labels).expect("a loss");
        values(&backward(&loss, &theta))
    }

    /// The Hessian of the summed loss times `vector` (P).
    ///
    /// # Panics
    /// When a shape does not fit, or candle detaches gradients in this process.
    #[must_use]
    pub fn hessian_product(
        &self,
        theta: &[f64],
        vector: &[f64],
        inputs: &Tensor,
        labels: &Tensor,
    ) -> Vec<f64> {
        check_double_backward();
        let theta = variable(theta);
        let loss = self.graph(&theta, inputs, labels).expect("a loss");
        double_backward(&loss, &theta, vector)
    }

    fn graph(&self, theta: &Var, inputs: &Tensor, labels: &Tensor) -> candle_core::Result<Tensor> {
        let mut x = inputs.clone();
        let mut offset = 0;
        for (index, pair) in self.widths.windows(2).enumerate() {
            if index > 0 {
                x = match self.activation {
                    Activation::Relu => x.relu()?,
                    Activation::Tanh => x.tanh()?,
                };
            }
            let (n_inputs, n_outputs) = (pair[0], pair[1]);
            let weight = theta
                .narrow(0, offset, n_outputs * n_inputs)?
                .reshape((n_outputs, n_inputs))?;
            offset += n_outputs * n_inputs;
            let bias = theta.narrow(0, offset, n_outputs)?;
            offset += n_outputs;
            x = x.matmul(&weight.t()?)?.broadcast_add(&bias)?;
        }
        assert_eq!(theta.dims(), [offset], "length of the flat vector");
        let classes = x.dim(D::Minus1)?;
        let columns = Tensor::arange(0, classes as u32, &Device::Cpu)?.unsqueeze(0)?;
        let targets = labels.unsqueeze(1)?.broadcast_eq(&columns)?;
        let targets = targets.to_dtype(x.dtype())?;
        match self.loss {
            Loss::SquaredError => (x - targets)?.sqr()?.sum_all()? * 0.5,
            Loss::CrossEntropy => {
                // candle's log_softmax_last_dim has no second derivative; detached, the maximum is
                // a constant.
                let shifted = x.broadcast_sub(&x.max_keepdim(D::Minus1)?.detach())?;
                let normalizer = shifted.exp()?.sum_keepdim(D::Minus1)?.log()?;
                (shifted.broadcast_sub(&normalizer)? * targets)?
                    .sum_all()?
                    .neg()
            }
        }
    }
}

fn variable(theta: &[f64]) -> Var {
    Tensor::new(theta, &Device::Cpu)
        .and_then(|theta| Var::from_tensor(&theta))
        .expect("a variable")
}

fn backward(loss: &Tensor, theta: &Var) -> Tensor {
    let gradients = loss.backward().expect("a backward pass");
    gradients
        .get(theta)
        .expect("a loss that depends on the parameters")
        .clone()
}

fn double_backward(loss: &Tensor, theta: &Var, vector: &[f64]) -> Vec<f64> {
    let vector = Tensor::new(vector, &Device::Cpu).expect("a vector");
    let along = backward(loss, theta)
        .mul(&vector)
        .and_then(|product| product.sum_all())
        .expect("a vector like the gradient");
    values(&backward(&along, theta))
}

/// ∇² Σ x³ = diag(6 x): with detached gradients the second pass gives 2 x v or 4 x v instead.
fn check_double_backward() {
    let x = variable(&[1.0, 2.0, -3.0]);
    let cubes = (x.sqr())
        .and_then(|squares| (squares * x.as_tensor())?.sum_all())
        .expect("cubes");
    let product = double_backward(&cubes, &x, &[1.0, -1.0, 0.5]);
    assert_eq!(
        product,
        [6.0, -12.0, -9.0],
        "candle's second backward pass is wrong in this process: set CANDLE_GRAD_DO_NOT_DETACH=1 before it \
         starts, as .cargo/config.toml does for cargo test"
    );
}

//! Networks in plain candle operations, differentiated by candle's backward pass.
//!
//! ```text
//! l = Σᵢ −log softmax(zᵢ)_y,   Σᵢ −Σ q log softmax(zᵢ)   or   Σᵢ ½ ‖zᵢ − yᵢ‖²      a sum, never a mean
//! gradient = backward(l),   H v = backward(⟨backward(l), v⟩)
//! ```
//!
//! [`Autograd`] is fully connected, [`ResidualAutograd`] convolutional. They share neither layers,
//! layout nor losses with the crates under test. candle detaches every gradient it propagates unless
//! `CANDLE_GRAD_DO_NOT_DETACH` is set before a thread's first backward pass; a second backward pass
//! then silently gives wrong numbers. The workspace sets the variable for every test process, and
//! each Hessian product checks on a cube that it was seen.
//!
//! candle's ReLU'(0) is 1 and the library's is 0: compare away from kinks.

use candle_core::{D, Device, Result, Tensor, Var};
use flatness_layers::Loss;

use crate::{Activation, values};

mod residual;

pub use residual::{ResidualAutograd, Statistics};

/// A fully connected network with its loss, as a function of a flat vector: weight (outputs,
/// inputs) and bias of each layer in turn.
#[derive(Debug, Clone)]
pub struct Autograd {
    /// Widths from inputs to classes.
    pub widths: Vec<usize>,
    /// What stands between affine layers.
    pub activation: Activation,
    /// Loss of an example.
    pub loss: Loss<'static>,
}

/// A network with its loss, as a function of a flat vector.
pub trait Oracle: std::fmt::Debug {
    /// The summed loss at `theta` (P) of inputs (B, ...) and u32 labels (B), as operations of candle.
    ///
    /// # Errors
    /// Those of candle.
    fn graph(&self, theta: &Tensor, inputs: &Tensor, labels: &Tensor) -> Result<Tensor>;

    /// The summed loss at `theta` (P).
    fn loss(&self, theta: &[f64], inputs: &Tensor, labels: &Tensor) -> f64 {
        let loss = self
            .graph(&variable(theta), inputs, labels)
            .expect("a loss");
        loss.to_scalar().expect("a scalar")
    }

    /// The gradient (P) of the summed loss.
    fn gradient(&self, theta: &[f64], inputs: &Tensor, labels: &Tensor) -> Vec<f64> {
        let theta = variable(theta);
        let loss = self.graph(&theta, inputs, labels).expect("a loss");
        values(&backward(&loss, &theta))
    }

    /// The Hessian of the summed loss times `vector` (P); panics where candle detaches gradients in
    /// this process.
    fn hessian_product(
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
}

impl Oracle for Autograd {
    fn graph(&self, theta: &Tensor, inputs: &Tensor, labels: &Tensor) -> Result<Tensor> {
        let mut x = inputs.clone();
        let mut pieces = Pieces::new(theta);
        for (index, pair) in self.widths.windows(2).enumerate() {
            if index > 0 {
                x = match self.activation {
                    Activation::Relu => x.relu()?,
                    Activation::Tanh => x.tanh()?,
                    Activation::Softplus => (x.exp()? + 1.0)?.log()?,
                    other => candle_core::bail!("no oracle for {other:?}"),
                };
            }
            let weight = pieces.take(&[pair[1], pair[0]])?;
            let bias = pieces.take(&[pair[1]])?;
            x = x.matmul(&weight.t()?)?.broadcast_add(&bias)?;
        }
        pieces.finish();
        summed_loss(self.loss, &x, labels)
    }
}

/// A flat vector, taken piece by piece.
struct Pieces<'t> {
    flat: &'t Tensor,
    offset: usize,
}

impl<'t> Pieces<'t> {
    fn new(flat: &'t Tensor) -> Self {
        Self { flat, offset: 0 }
    }

    fn take(&mut self, shape: &[usize]) -> Result<Tensor> {
        let length = shape.iter().product();
        let piece = self.flat.narrow(0, self.offset, length)?.reshape(shape)?;
        self.offset += length;
        Ok(piece)
    }

    fn finish(self) {
        assert_eq!(self.flat.dims(), [self.offset], "length of the flat vector");
    }
}

fn summed_loss(loss: Loss<'_>, logits: &Tensor, labels: &Tensor) -> Result<Tensor> {
    let classes = logits.dim(D::Minus1)?;
    let columns = Tensor::arange(0, classes as u32, &Device::Cpu)?.unsqueeze(0)?;
    let targets = labels.unsqueeze(1)?.broadcast_eq(&columns)?;
    let targets = targets.to_dtype(logits.dtype())?;
    match loss {
        Loss::SquaredError => (logits - targets)?.sqr()?.sum_all()? * 0.5,
        Loss::BinaryCrossEntropy => {
            let likely = (logits.neg()?.exp()? + 1.0)?.recip()?;
            let missed = (targets.affine(-1.0, 1.0)? * likely.affine(-1.0, 1.0)?.log()?)?;
            ((targets * likely.log()?)? + missed)?.sum_all()?.neg()
        }
        Loss::CrossEntropy => cross_entropy(logits, &targets),
        Loss::LabelSmoothing { smoothing } => {
            let targets = targets.affine(1.0 - smoothing, smoothing / classes as f64)?;
            cross_entropy(logits, &targets)
        }
        Loss::ClassWeights { weights, smoothing } => {
            let targets = targets.affine(1.0 - smoothing, smoothing / classes as f64)?;
            let weights = Tensor::new(weights, &Device::Cpu)?;
            cross_entropy(logits, &targets.broadcast_mul(&weights)?)
        }
    }
}

fn cross_entropy(logits: &Tensor, targets: &Tensor) -> Result<Tensor> {
    // candle's log_softmax_last_dim has no second derivative; detached, the maximum is a constant.
    let shifted = logits.broadcast_sub(&logits.max_keepdim(D::Minus1)?.detach())?;
    let normalizer = shifted.exp()?.sum_keepdim(D::Minus1)?.log()?;
    (shifted.broadcast_sub(&normalizer)? * targets)?
        .sum_all()?
        .neg()
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

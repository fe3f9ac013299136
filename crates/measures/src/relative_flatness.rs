//! Relative flatness of a layer's weight W (d neurons, m inputs each) (claim C8):
//!
//! ```text
//! κ(W) = Σ over neurons s, s' of ⟨w_s, w_s'⟩ Tr H_{s,s'},    H_{s,s'} = ∂²L / ∂w_s ∂w_s'   (m, m)
//!      = Tr (K ⊗ I) H_W,     K = W Wᵀ = R Rᵀ
//!      = E v·Hv,     v = R Z, Z of independent signs (rank K, m)
//! ```
//!
//! L is a mean over the data; biases have no part in it. Small is flat. Source: Petzka, Kamp, Adilova,
//! Sminchisescu, Boley, "Relative Flatness and Generalization", NeurIPS 2021, definition 3, for the
//! layer behind the features, of which the last layer is the usual one; every other layer has a κ too. A filter of a convolution counts as a neuron, its kernel as inputs; that
//! is our extension. Rescaling two layers of a ReLU network does not change it.
//!
//! Random signs take a product each, and give a standard error (Hutchinson 1990).

use candle_core::{DType, Device, Tensor};
use flatness_layers::{ParamLayout, Parameter};
use flatness_operator::{LinearOperator, check_dim};
use nalgebra::DMatrix;

use crate::estimate::average;
use crate::objective::{finite, unless_interrupted};
use crate::quadratic::form;
use crate::vector::{Draw, check_count, check_draws};
use crate::{Cost, Error, Estimate, Stop, Watch};

/// What [`relative_flatness`] is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelativeFlatnessSettings {
    /// Random signs, at least 2; one product each.
    pub probes: usize,
    /// Their seed.
    pub seed: u64,
    /// Vectors per block product, at least 1: 2 × block × P elements of memory.
    pub block: usize,
}

/// κ of one weight.
#[derive(Debug, Clone, PartialEq)]
pub struct RelativeFlatness {
    /// Name of the weight, such as `fc.weight`.
    pub weight: String,
    /// κ
    pub estimate: Estimate,
    /// Complete or interrupted: then of fewer probes.
    pub stop: Stop,
    /// Products with the whole matrix.
    pub cost: Cost,
}

/// The weights that have a row for each neuron, in the order of the layout: those of affine and
/// convolutional layers. The last is that of the output.
pub fn neuron_weights(layout: &ParamLayout) -> impl DoubleEndedIterator<Item = &Parameter> {
    let parameters = layout.parameters().iter();
    parameters.filter(|parameter| parameter.shape.len() >= 2)
}

/// κ of the weight called `weight` at `theta` (P), for the `operator` of the whole parameter vector laid out by
/// `layout`: the Hessian by its definition, H + γ I with an L2 term.
///
/// # Errors
/// [`Error::NoSuchWeight`], [`Error::Zero`], [`Error::TooFewDraws`], [`Error::Interrupted`] before there are
/// two probes, a product that is not finite, a `theta` that is not of the
/// layout, and those of the operator.
pub fn relative_flatness(
    operator: &dyn LinearOperator,
    layout: &ParamLayout,
    theta: &Tensor,
    weight: &str,
    settings: &RelativeFlatnessSettings,
    watch: Watch<'_>,
) -> Result<RelativeFlatness, Error> {
    let RelativeFlatnessSettings {
        probes,
        seed,
        block,
    } = *settings;
    check_count("block", block)?;
    check_draws("probes", probes)?;
    let place = Place::find(layout, theta, weight)?;
    let root = root(&place.rows)?;
    let (columns, inputs) = (root.ncols(), place.rows.ncols());
    let cpu = Tensor::zeros(0, DType::F64, &Device::Cpu)?;
    let vector = |index: usize| {
        let signs = Draw::Rademacher.vector(columns * inputs, &cpu, seed, index)?;
        place.vector(&(&root * DMatrix::from_vec(columns, inputs, signs.to_vec1()?)))
    };
    let (mut values, mut roundings) = (Vec::with_capacity(probes), Vec::with_capacity(probes));
    let mut stop = Stop::Complete;
    for start in (0..probes).step_by(block) {
        let block = start..(start + block).min(probes);
        if unless_interrupted(watch.ask(), start >= 2)?.is_none() {
            stop = Stop::Interrupted;
            break;
        }
        let vectors: Vec<Tensor> = block.map(vector).collect::<Result<_, Error>>()?;
        let products = operator.apply_block(&Tensor::stack(&vectors, 0)?)?;
        for (index, vector) in vectors.iter().enumerate() {
            let form = form(vector, &products.get(index)?)?;
            values.push(form.value);
            roundings.push(form.rounding);
        }
        (watch.advance)(vectors.len() as u64);
    }
    Ok(RelativeFlatness {
        weight: weight.to_owned(),
        estimate: Estimate::mean(&values, average(&roundings)),
        stop,
        cost: Cost {
            products: values.len() as u64,
            ..Cost::default()
        },
    })
}

/// A weight in the flat vector.
struct Place {
    /// Elements before it, and behind it.
    before: usize,
    after: usize,
    /// W, (d, m).
    rows: DMatrix<f64>,
    /// Number type and device of the flat vector.
    like: Tensor,
}

impl Place {
    fn find(layout: &ParamLayout, theta: &Tensor, name: &str) -> Result<Self, Error> {
        check_dim("theta", theta, layout.dim())?;
        for (parameter, range) in layout.parameters().iter().zip(layout.ranges()) {
            if parameter.name == name && parameter.shape.len() >= 2 {
                let neurons = parameter.shape[0];
                let own = theta.narrow(0, range.start, range.len())?;
                let elements: Vec<f64> = own.to_dtype(DType::F64)?.to_vec1()?;
                return Ok(Self {
                    before: range.start,
                    after: layout.dim() - range.end,
                    rows: DMatrix::from_row_slice(neurons, parameter.len() / neurons, &elements),
                    like: theta.clone(),
                });
            }
        }
        let names: Vec<&str> = neuron_weights(layout)
            .map(|parameter| parameter.name.as_str())
            .collect();
        Err(Error::NoSuchWeight {
            name: name.to_owned(),
            names: names.join(", "),
        })
    }

    /// The flat vector (P) with `matrix` (d, m) in the place of W and zeros elsewhere.
    fn vector(&self, matrix: &DMatrix<f64>) -> Result<Tensor, Error> {
        // nalgebra keeps columns, so that those of the transpose are the rows.
        let rows = matrix.transpose();
        let piece = Tensor::new(rows.as_slice(), &Device::Cpu)?;
        let piece = piece.to_dtype(self.like.dtype())?;
        let piece = piece.to_device(self.like.device())?;
        Ok(piece.pad_with_zeros(0, self.before, self.after)?)
    }
}

/// S with S Sᵀ = W Wᵀ, (d, rank): with column pivoting Wᵀ Π = Q R, and so S = Π Rᵀ without the columns
/// that are zero to rounding.
fn root(rows: &DMatrix<f64>) -> Result<DMatrix<f64>, Error> {
    finite("the norm of the weight", rows.norm_squared())?;
    let (neurons, inputs) = rows.shape();
    let factors = rows.transpose().col_piv_qr();
    let upper = factors.r();
    let rounding = neurons.max(inputs) as f64 * f64::EPSILON * upper[(0, 0)].abs();
    let rank = (0..upper.nrows()).filter(|&index| upper[(index, index)].abs() > rounding);
    // A weight of zeros: one column of them, and a flatness of zero.
    let rank = rank.count().max(1);
    let mut root = upper.rows(0, rank).transpose();
    factors.p().inv_permute_rows(&mut root);
    Ok(root)
}

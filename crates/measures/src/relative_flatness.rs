//! Relative flatness of a layer's weight W (d neurons, m inputs each) (claim C8):
//!
//! ```text
//! κ(W) = Σ over neurons s, s' of ⟨w_s, w_s'⟩ Tr H_{s,s'},    H_{s,s'} = ∂²L / ∂w_s ∂w_s'   (m, m)
//!      = Tr (K ⊗ I) H_W,     K = W Wᵀ = R R:      = Σ over s, t of v·Hv,   v = R e_s e_tᵀ
//!      = E v·Hv,   v = R Z, Z of independent signs (d, m)
//! ```
//!
//! L is a mean over the data; biases have no part in it. Small is flat. Source: Petzka, Kamp, Adilova,
//! Sminchisescu, Boley, "Relative Flatness and Generalization", NeurIPS 2021, definition 3, for the
//! layer behind the features, of which the last layer is the usual one; every other layer has a κ too. A filter of a convolution counts as a neuron, its kernel as inputs; that
//! is our extension. Rescaling two layers of a ReLU network does not change it.
//!
//! Exactly it takes rank K · m ≤ d m products, 1,280 for a last layer of 10 x 128; by random signs one
//! product each, with a standard error (Hutchinson 1990).

use candle_core::{DType, Device, Tensor};
use flatness_kernels::dot;
use flatness_layers::{ParamLayout, Parameter};
use flatness_operator::LinearOperator;
use nalgebra::DMatrix;

use crate::draws::Draw;
use crate::sweeps::{Progress, finite};
use crate::vector::check_draws;
use crate::{Error, Estimate};

/// How the trace is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelativeTrace {
    /// One product per neuron and input.
    Exact,
    /// From random signs.
    Probes {
        /// Their number, at least 2; one product each.
        probes: usize,
        /// Their seed.
        seed: u64,
    },
}

/// What [`relative_flatness`] is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelativeFlatnessSettings {
    /// How the trace is taken.
    pub trace: RelativeTrace,
    /// Vectors per block product, at least 1: 2 × block × P elements of memory.
    pub block: usize,
}

/// κ of one weight.
#[derive(Debug, Clone, PartialEq)]
pub struct RelativeFlatness {
    /// Name of the weight, such as `fc.weight`.
    pub weight: String,
    /// κ; exactly, up to rounding, where there are no probes.
    pub value: f64,
    /// Where it is an estimate, the same with its error.
    pub estimate: Option<Estimate>,
    /// Products with the whole matrix.
    pub products: u64,
}

/// The weights that have a row for each neuron, in the order of the layout: those of affine and
/// convolutional layers. The last is that of the output.
pub fn neuron_weights(layout: &ParamLayout) -> impl DoubleEndedIterator<Item = &Parameter> {
    let parameters = layout.parameters().iter();
    parameters.filter(|parameter| parameter.shape.len() >= 2)
}

/// κ of the weight called `weight` at `theta` (P), for the Hessian `operator` of the whole parameter
/// vector laid out by `layout`.
///
/// # Errors
/// [`Error::NoSuchWeight`], [`Error::Zero`], [`Error::TooFewDraws`], a product that is not finite, a
/// `theta` that is not of the layout, and those of the operator.
pub fn relative_flatness<Operator: LinearOperator + ?Sized>(
    operator: &Operator,
    layout: &ParamLayout,
    theta: &Tensor,
    weight: &str,
    settings: &RelativeFlatnessSettings,
    progress: Progress<'_>,
) -> Result<RelativeFlatness, Error> {
    if settings.block == 0 {
        return Err(Error::Zero { field: "block" });
    }
    let place = Place::find(layout, theta, weight)?;
    let root = root(&place.rows)?;
    let mut values = Vec::new();
    let mut take = |vectors: Vec<Tensor>| {
        let products = vectors.len() as u64;
        values.extend(forms(operator, &vectors)?);
        progress(products);
        Ok::<(), Error>(())
    };
    match settings.trace {
        RelativeTrace::Exact => {
            let inputs = place.rows.ncols();
            let units = (0..root.ncols() * inputs).collect::<Vec<_>>();
            for indices in units.chunks(settings.block) {
                let unit = |&index: &usize| {
                    let mut matrix = DMatrix::zeros(root.nrows(), inputs);
                    matrix.set_column(index % inputs, &root.column(index / inputs));
                    place.vector(&matrix)
                };
                take(indices.iter().map(unit).collect::<Result<_, _>>()?)?;
            }
            Ok(RelativeFlatness {
                weight: weight.to_owned(),
                value: values.iter().sum(),
                estimate: None,
                products: values.len() as u64,
            })
        }
        RelativeTrace::Probes { probes, seed } => {
            check_draws("probes", probes)?;
            let indices: Vec<usize> = (0..probes).collect();
            for indices in indices.chunks(settings.block) {
                let probe = |&index: &usize| {
                    let (count, inputs) = (root.ncols(), place.rows.ncols());
                    let cpu = Tensor::zeros(0, DType::F64, &Device::Cpu)?;
                    let signs = Draw::Rademacher.vector(count * inputs, &cpu, seed, index)?;
                    place.vector(&(&root * DMatrix::from_vec(count, inputs, signs.to_vec1()?)))
                };
                take(indices.iter().map(probe).collect::<Result<_, _>>()?)?;
            }
            let estimate = Estimate::of(&values, seed);
            Ok(RelativeFlatness {
                weight: weight.to_owned(),
                value: estimate.value,
                estimate: Some(estimate),
                products: values.len() as u64,
            })
        }
    }
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
        let views = layout.views(theta)?;
        let mut before = 0;
        for (parameter, view) in layout.parameters().iter().zip(views) {
            if parameter.name == name && parameter.shape.len() >= 2 {
                let neurons = parameter.shape[0];
                let flat = view.to_dtype(DType::F64)?.flatten_all()?;
                let elements: Vec<f64> = flat.to_vec1()?;
                return Ok(Self {
                    before,
                    after: layout.dim() - before - parameter.len(),
                    rows: DMatrix::from_row_slice(neurons, parameter.len() / neurons, &elements),
                    like: theta.clone(),
                });
            }
            before += parameter.len();
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

/// v·Av for each of the vectors.
fn forms<Operator: LinearOperator + ?Sized>(
    operator: &Operator,
    vectors: &[Tensor],
) -> Result<Vec<f64>, Error> {
    let block = Tensor::stack(vectors, 0)?;
    let products = operator.apply_block(&block)?;
    let form = |(index, vector): (usize, &Tensor)| {
        finite("a product", dot(vector, &products.get(index)?)?)
    };
    vectors.iter().enumerate().map(form).collect()
}

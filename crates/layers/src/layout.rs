//! The one vector space: all parameters of a network as one flat tensor θ of P elements.
//!
//! A parameter is a named piece of θ; [`ParamLayout::views`] gives the pieces without a copy. A
//! *block* of V vectors is a tensor (V, P); the sweeps use it as one contiguous tensor (V, shape)
//! per parameter, from [`ParamLayout::split`], and [`ParamLayout::join`] is its inverse.
//! [`ParamLayout::select`] and [`ParamLayout::layers`] name ranges of it.

mod groups;

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor};
use flatness_kernels::{add_in_place, home};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::expect::{expect_number_type, expect_shape};
use crate::{Error, Initializer};

/// One parameter: a named piece of the flat vector.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// Name, such as `fc0.weight`.
    pub name: String,
    /// Shape; weights are (outputs, inputs).
    pub shape: Vec<usize>,
    /// Distribution of its initial values.
    pub initializer: Initializer,
}

impl Parameter {
    /// Number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether it has no elements.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Names, shapes and order of the parameters in the flat vector.
#[derive(Debug, Clone, PartialEq)]
pub struct ParamLayout {
    parameters: Vec<Parameter>,
    offsets: Vec<usize>,
    dim: usize,
}

impl ParamLayout {
    /// Lays `parameters` out one behind the other.
    #[must_use]
    pub fn new(parameters: Vec<Parameter>) -> Self {
        let mut dim = 0;
        let offsets = parameters
            .iter()
            .map(|parameter| {
                let offset = dim;
                dim += parameter.len();
                offset
            })
            .collect();
        Self {
            parameters,
            offsets,
            dim,
        }
    }

    /// P, the number of elements of the flat vector.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// The parameters in order.
    #[must_use]
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// Pieces of `theta` (P) in their shapes, without a copy.
    ///
    /// # Errors
    /// [`Error::Shape`] when `theta` does not have P elements in one axis.
    pub fn views(&self, theta: &Tensor) -> Result<Vec<Tensor>, Error> {
        expect_shape(self.span(), theta, &[self.dim])?;
        let views = self.parameters.iter().zip(self.ranges());
        let views = views.map(|(parameter, range)| {
            let view = theta.narrow(0, range.start, range.len())?;
            Ok(view.reshape(parameter.shape.as_slice())?)
        });
        views.collect()
    }

    /// Pieces of a block (V, P), each contiguous with shape (V, shape).
    ///
    /// # Errors
    /// [`Error::Shape`] when the rows do not have P elements.
    pub fn split(&self, block: &Tensor) -> Result<Vec<Tensor>, Error> {
        let vectors = block.dims().first().copied().unwrap_or(0);
        expect_shape("block of vectors", block, &[vectors, self.dim])?;
        let pieces = self.parameters.iter().zip(self.ranges());
        let pieces = pieces.map(|(parameter, range)| {
            let piece = block.narrow(1, range.start, range.len())?.contiguous()?;
            Ok(piece.reshape(with_vectors(vectors, &parameter.shape))?)
        });
        pieces.collect()
    }

    /// The block (V, P) whose pieces are `pieces`, each (V, shape).
    ///
    /// # Errors
    /// [`Error::Shape`] when the pieces are not those of this layout, [`Error::NumberType`] when they
    /// are of several.
    pub fn join(&self, pieces: &[Tensor]) -> Result<Tensor, Error> {
        let (vectors, dtype) = form(pieces);
        self.expect_pieces("pieces of a block", pieces, &[vectors], dtype)?;
        let pieces = self.parameters.iter().zip(pieces);
        let rows = pieces.map(|(parameter, piece)| piece.reshape((vectors, parameter.len())));
        let rows = rows.collect::<candle_core::Result<Vec<_>>>()?;
        if rows.is_empty() {
            return Ok(Tensor::zeros((vectors, 0), dtype, &Device::Cpu)?);
        }
        Ok(Tensor::cat(&rows, 1)?)
    }

    /// The flat vector (P) whose pieces are `pieces`, each in its shape.
    ///
    /// # Errors
    /// [`Error::Shape`] when the pieces are not those of this layout, [`Error::NumberType`] when they
    /// are of several.
    pub fn concatenate(&self, pieces: &[Tensor]) -> Result<Tensor, Error> {
        let (_, dtype) = form(pieces);
        self.expect_pieces("pieces of a vector", pieces, &[], dtype)?;
        let flat = pieces.iter().map(Tensor::flatten_all);
        let flat = flat.collect::<candle_core::Result<Vec<_>>>()?;
        if flat.is_empty() {
            return Ok(Tensor::zeros(0, dtype, &Device::Cpu)?);
        }
        Ok(Tensor::cat(&flat, 0)?)
    }

    /// Zero pieces (V, shape) to sum into.
    ///
    /// # Errors
    /// Memory that cannot be had on the device.
    pub fn zeros(
        &self,
        vectors: usize,
        dtype: DType,
        device: &Device,
    ) -> Result<Vec<Tensor>, Error> {
        let shapes = self.parameters.iter();
        let shapes = shapes.map(|parameter| with_vectors(vectors, &parameter.shape));
        let zeros = shapes.map(|shape| Ok(Tensor::zeros(shape, dtype, device)?));
        zeros.collect()
    }

    /// Adds the pieces `addends` to the pieces `sums`, in place.
    ///
    /// # Errors
    /// Pieces of different shapes or number types, or a device error.
    pub fn add(&self, sums: &[Tensor], addends: &[Tensor]) -> Result<(), Error> {
        let (vectors, dtype) = form(sums);
        self.expect_pieces("sums", sums, &[vectors], dtype)?;
        self.expect_pieces("addends", addends, &[vectors], dtype)?;
        for (sum, addend) in sums.iter().zip(addends) {
            add_in_place(sum, addend)?;
        }
        Ok(())
    }

    /// Initial parameters (P), drawn in double precision from `seed`; on the CPU where there are none.
    ///
    /// # Errors
    /// Memory that cannot be had on the device.
    pub fn initialize(&self, seed: u64, dtype: DType, device: &Device) -> Result<Tensor, Error> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let values: Vec<f64> = self
            .parameters
            .iter()
            .flat_map(|parameter| parameter.initializer.sample(parameter.len(), &mut rng))
            .collect();
        Ok(Tensor::from_vec(values, self.dim, &Device::Cpu)?
            .to_dtype(dtype)?
            .to_device(home(self.dim, device))?)
    }

    /// The flat vector whose pieces are the tensors of `named`.
    ///
    /// # Errors
    /// [`Error::Names`], which lists every missing, unknown and mis-shaped name.
    pub fn gather(&self, named: &HashMap<String, Tensor>) -> Result<Tensor, Error> {
        let mut problems = Vec::new();
        let mut pieces = Vec::with_capacity(self.parameters.len());
        for Parameter { name, shape, .. } in &self.parameters {
            match named.get(name) {
                None => problems.push(format!("{name} {shape:?} is missing")),
                Some(tensor) if tensor.dims() != shape => {
                    let got = tensor.dims();
                    problems.push(format!("{name} has shape {got:?}, expected {shape:?}"));
                }
                Some(tensor) => pieces.push(tensor.clone()),
            }
        }
        let is_known = |name: &String| self.parameters.iter().any(|known| known.name == *name);
        let mut unknown: Vec<_> = named.keys().filter(|name| !is_known(name)).collect();
        unknown.sort();
        problems.extend(unknown.iter().map(|name| format!("{name} is unknown")));
        if !problems.is_empty() {
            return Err(Error::Names {
                problems: problems.join("; "),
            });
        }
        self.concatenate(&pieces)
    }

    /// Checks that there is one piece per parameter, in its shape behind the axes `before`, and each
    /// of `dtype`.
    pub(crate) fn expect_pieces(
        &self,
        place: &str,
        pieces: &[Tensor],
        before: &[usize],
        dtype: DType,
    ) -> Result<(), Error> {
        if pieces.len() != self.parameters.len() {
            return Err(Error::Shape {
                place: format!("number of {place}"),
                expected: vec![self.parameters.len()],
                got: vec![pieces.len()],
            });
        }
        for (Parameter { name, shape, .. }, piece) in self.parameters.iter().zip(pieces) {
            let place = format_args!("{name} among the {place}");
            expect_shape(place, piece, &[before, shape].concat())?;
            expect_number_type(place, piece, dtype)?;
        }
        Ok(())
    }

    /// What the flat vector holds, for messages.
    fn span(&self) -> String {
        match self.parameters.as_slice() {
            [] => "flat vector of no parameters".to_owned(),
            [only] => format!("flat vector of {}", only.name),
            [first, .., last] => format!("flat vector of {} to {}", first.name, last.name),
        }
    }
}

/// First axis and number type of the first piece, which the others are held to: V of pieces
/// (V, shape).
pub(crate) fn form(pieces: &[Tensor]) -> (usize, DType) {
    pieces.first().map_or((0, DType::F32), |piece| {
        (piece.dims().first().copied().unwrap_or(0), piece.dtype())
    })
}

fn with_vectors(vectors: usize, shape: &[usize]) -> Vec<usize> {
    [&[vectors], shape].concat()
}

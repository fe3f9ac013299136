//! The Hessian of whatever has a gradient g, by central differences of it.
//!
//! ```text
//! H v ≈ ‖v‖ (g(θ + h u) - g(θ - h u)) / 2h,   u = v / ‖v‖,   h = ε^(1/3) max(‖θ‖, 1)
//! truncation   h²/6 times the third derivative along u:  a third of what doubling h changes
//! rounding     ε ‖g‖ / h
//! ```
//!
//! Two gradients a product, and never exact: five to ten digits are right in float64, two or three in float32, and none where
//! the gradient jumps between the two points (ReLU, maxima). For models whose layers have no rules of their own.

use candle_core::{DType, Device, Tensor};

use crate::linear_operator::check_block;
use crate::{Error, LinearOperator};

/// A Hessian by differences of a gradient.
#[derive(Debug, Clone)]
pub struct GradientDifferences<Gradient> {
    theta: Tensor,
    gradient: Gradient,
    step: f64,
    /// ‖g‖ at θ.
    norm: f64,
}

/// How wrong a product with a unit vector is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DifferenceError {
    /// Norm of what the curvature of the gradient adds.
    pub truncation: f64,
    /// Norm of what rounding of the gradients adds.
    pub rounding: f64,
}

impl<Gradient, Failure> GradientDifferences<Gradient>
where
    Gradient: Fn(&Tensor) -> Result<Tensor, Failure>,
    Error: From<Failure>,
{
    /// At `theta` (P), f32 or f64, of the `gradient` (P) as a function of it.
    ///
    /// # Errors
    /// Another number type, a gradient of another shape, and what `gradient` fails with.
    pub fn new(theta: &Tensor, gradient: Gradient) -> Result<Self, Error> {
        let unit = unit_of_rounding(theta.dtype());
        let mut differences = Self {
            theta: theta.clone(),
            gradient,
            step: unit.cbrt() * norm(theta)?.max(1.0),
            norm: 0.0,
        };
        differences.norm = norm(&differences.at(theta)?)?;
        Ok(differences)
    }

    /// The same with another step h, in the units of θ.
    #[must_use]
    pub fn with_step(self, step: f64) -> Self {
        Self { step, ..self }
    }

    /// h
    #[must_use]
    pub fn step(&self) -> f64 {
        self.step
    }

    /// How wrong the product with `vector` (P) is, for a vector of length one: four gradients.
    ///
    /// # Errors
    /// As [`LinearOperator::apply`].
    pub fn error(&self, vector: &Tensor) -> Result<DifferenceError, Error> {
        let unit = (vector / norm(vector)?)?;
        let [once, twice] = [self.step, 2.0 * self.step].map(|step| self.along(&unit, step));
        Ok(DifferenceError {
            truncation: norm(&(twice? - once?)?)? / 3.0,
            rounding: unit_of_rounding(self.theta.dtype()) * self.scale(),
        })
    }

    /// (g(θ + h u) - g(θ - h u)) / 2h
    fn along(&self, unit: &Tensor, step: f64) -> Result<Tensor, Error> {
        let moved = (unit * step)?;
        let [ahead, behind] =
            [(&self.theta + &moved)?, (&self.theta - &moved)?].map(|theta| self.at(&theta));
        Ok(((ahead? - behind?)? / (2.0 * step))?)
    }

    fn at(&self, theta: &Tensor) -> Result<Tensor, Error> {
        let gradient = (self.gradient)(theta)?;
        if gradient.dims() != self.theta.dims() {
            return Err(Error::ShapeMismatch {
                what: "the gradient",
                expected: format!("{:?}", self.theta.dims()),
                got: gradient.dims().to_vec(),
            });
        }
        // What autograd keeps of it is of no use.
        Ok(gradient.detach())
    }
}

impl<Gradient, Failure> LinearOperator for GradientDifferences<Gradient>
where
    Gradient: Fn(&Tensor) -> Result<Tensor, Failure>,
    Error: From<Failure>,
{
    fn dim(&self) -> usize {
        self.theta.elem_count()
    }

    fn dtype(&self) -> DType {
        self.theta.dtype()
    }

    fn device(&self) -> &Device {
        self.theta.device()
    }

    /// The gradients over h, whose difference a product is.
    fn scale(&self) -> f64 {
        self.norm / self.step
    }

    fn apply_block(&self, vectors: &Tensor) -> Result<Tensor, Error> {
        let rows = check_block(self, vectors)?;
        let products = (0..rows).map(|row| {
            let vector = vectors.get(row)?;
            let length = norm(&vector)?;
            if length == 0.0 {
                return Ok(vector);
            }
            let product = self.along(&(vector / length)?, self.step)?;
            Ok((product * length)?)
        });
        let products = products.collect::<Result<Vec<Tensor>, Error>>()?;
        Ok(Tensor::stack(&products, 0)?)
    }
}

/// ε of a number type.
fn unit_of_rounding(dtype: DType) -> f64 {
    match dtype {
        DType::F64 => f64::EPSILON,
        _ => f64::from(f32::EPSILON),
    }
}

fn norm(vector: &Tensor) -> Result<f64, Error> {
    let squares = vector.to_dtype(DType::F64)?.sqr()?.sum_all()?;
    Ok(squares.to_scalar::<f64>()?.sqrt())
}

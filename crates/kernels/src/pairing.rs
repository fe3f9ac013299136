//! Bilinear functions y = a ∘ b of two values, and their derivative passes.
//!
//! ```text
//! product        y = a ⊙ b      a (B, ...)         b (B, ...)         y (B, ...)
//! mat mul        y = a b        a (B, ..., M, K)   b (B, ..., K, N)   y (B, ..., M, N)
//!
//! tangent        ẏ = ȧ ∘ b + a ∘ ḃ
//! cotangent      ā = ȳ ∘ b,   b̄ = a ∘ ȳ      with bᵀ and aᵀ in matrix products
//! second order   ā += ȳ ∘ ḃ,  b̄ += ȧ ∘ ȳ     likewise, at the primal ȳ (B, ...)
//! ```
//!
//! The axes of an example are aligned at the last one and repeated where they have one element, as in NumPy, those before
//! the two of a matrix in matrix products; cotangents are summed along them. Tangents and cotangents are blocks
//! (B, V, ...). Functions fail for shapes that do not fit, tensors that are not contiguous, or a device error.

#[cfg(test)]
mod tests;

use candle_core::{Result, Tensor, bail};

use crate::broadcast::{
    add_products, broadcast_shape, each_place, expect_repeated, padded, reduced,
};
use crate::elementwise::{add_in_place, update_with};
use crate::product::{Extent, accumulate};
use crate::real::{Real, dispatch, elements, expect_shape, on_cpu};

/// The function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pairing {
    /// Of elements.
    Product,
    /// Of the matrices along the last two axes.
    MatMul,
}

/// One of the two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// a
    Left,
    /// b
    Right,
}

/// An operand of one product: a primal value (B, ...) or a block (B, V, ...).
#[derive(Clone, Copy)]
struct Factor<'a> {
    tensor: &'a Tensor,
    /// V; none of a primal value.
    vectors: Option<usize>,
    /// Of one example.
    shape: &'a [usize],
    /// Whether it is its transpose that is multiplied.
    transposed: bool,
}

impl<'a> Factor<'a> {
    fn primal(tensor: &'a Tensor) -> Result<Self> {
        Ok(Self {
            tensor,
            vectors: None,
            shape: tensor.dims().get(1..).unwrap_or_default(),
            transposed: false,
        })
    }

    fn block(tensor: &'a Tensor) -> Result<Self> {
        Ok(Self {
            tensor,
            vectors: Some(tensor.dim(1)?),
            shape: &tensor.dims()[2..],
            transposed: false,
        })
    }

    fn transposed(self) -> Self {
        Self {
            transposed: true,
            ..self
        }
    }

    /// B, V or 1, axes of one element, and its own, `rank` in all.
    fn dims(self, rank: usize) -> Vec<usize> {
        let leading = [self.tensor.dims()[0], self.vectors.unwrap_or(1)];
        padded(2, &[&leading, self.shape].concat(), rank)
    }

    /// Whether it belongs to a sum (B, V, ...).
    fn fits(self, sum: &[usize]) -> bool {
        let vectors = self.vectors.is_none_or(|vectors| vectors == sum[1]);
        vectors && self.tensor.dims()[0] == sum[0]
    }
}

impl Pairing {
    /// Shape of one example of y, of those of a and b; none where they do not fit.
    #[must_use]
    pub fn result_shape(self, left: &[usize], right: &[usize]) -> Option<Vec<usize>> {
        match (self, left, right) {
            (Self::Product, ..) => broadcast_shape(left, right),
            (Self::MatMul, [left @ .., rows, inner], [right @ .., own, columns])
                if inner == own =>
            {
                let mut shape = broadcast_shape(left, right)?;
                shape.extend([rows, columns]);
                Some(shape)
            }
            _ => None,
        }
    }

    /// y = a ∘ b, (B, ...).
    pub fn evaluate(self, left: &Tensor, right: &Tensor) -> Result<Tensor> {
        let shape = self.output(left, right)?;
        let factors = [Factor::primal(left)?, Factor::primal(right)?];
        self.product(factors, [left.dim(0)?, 1], &shape)?.squeeze(1)
    }

    /// ẏ = ȧ ∘ b + a ∘ ḃ, (B, V, ...), of a and b and their tangents, of which one may be absent for zero.
    pub fn tangent(
        self,
        [left, right]: [&Tensor; 2],
        [dleft, dright]: [Option<&Tensor>; 2],
    ) -> Result<Tensor> {
        let Some(block) = dleft.or(dright) else {
            bail!("expected a tangent");
        };
        let (shape, leading) = (self.output(left, right)?, [block.dim(0)?, block.dim(1)?]);
        for (value, tangent) in [(left, dleft), (right, dright)] {
            let expected = [&[value.dim(0)?, leading[1]], &value.dims()[1..]].concat();
            tangent.map_or(Ok(()), |tangent| {
                expect_shape("tangents", tangent, &expected)
            })?;
        }
        let first = match dleft {
            Some(dleft) => {
                let factors = [Factor::block(dleft)?, Factor::primal(right)?];
                Some(self.product(factors, leading, &shape)?)
            }
            None => None,
        };
        let Some(dright) = dright else {
            return first.map_or_else(|| bail!("expected a tangent"), Ok);
        };
        let factors = [Factor::primal(left)?, Factor::block(dright)?];
        match first {
            Some(sum) if sum.elem_count() == 0 => Ok(sum),
            Some(sum) => self.add(factors, &sum).map(|()| sum),
            None => self.product(factors, leading, &shape),
        }
    }

    /// The cotangent (B, V, `shape`) of the value at `side`, of the `other` value (B, ...) and `cotangent` ȳ (B, V, ...).
    pub fn input_cotangent(
        self,
        side: Side,
        other: &Tensor,
        cotangent: &Tensor,
        shape: &[usize],
    ) -> Result<Tensor> {
        let factors = self.transposes(side, Factor::primal(other)?, Factor::block(cotangent)?);
        self.product(factors, [cotangent.dim(0)?, cotangent.dim(1)?], shape)
    }

    /// Adds to `sum`, the cotangent (B, V, ...) of the value at `side`, what the tangent of the other value
    /// `other_tangent` (B, V, ...) and the primal `cotangent` ȳ (B, ...) make of it, in place.
    pub fn add_second_order(
        self,
        side: Side,
        other_tangent: &Tensor,
        cotangent: &Tensor,
        sum: &Tensor,
    ) -> Result<()> {
        let (other, cotangent) = (Factor::block(other_tangent)?, Factor::primal(cotangent)?);
        self.add(self.transposes(side, other, cotangent), sum)
    }

    fn output(self, left: &Tensor, right: &Tensor) -> Result<Vec<usize>> {
        let shapes = (left.dims().split_first(), right.dims().split_first());
        let (Some((batch, left)), Some((own, right))) = shapes else {
            bail!("expected examples of two values");
        };
        match self.result_shape(left, right) {
            Some(shape) if batch == own => Ok(shape),
            _ => bail!(
                "expected two values that fit, got {left:?} of {batch} and {right:?} of {own}"
            ),
        }
    }

    /// The factors of the cotangent of the value at `side`.
    fn transposes<'a>(
        self,
        side: Side,
        other: Factor<'a>,
        cotangent: Factor<'a>,
    ) -> [Factor<'a>; 2] {
        match side {
            Side::Left => [cotangent, other.transposed()],
            Side::Right => [other.transposed(), cotangent],
        }
    }

    /// The product of `factors`, (B, V, `shape`), summed along the axes of one element of `shape` where they have more.
    fn product(
        self,
        factors: [Factor<'_>; 2],
        leading: [usize; 2],
        shape: &[usize],
    ) -> Result<Tensor> {
        let (like, dims) = (factors[0].tensor, [&leading, shape].concat());
        if on_cpu(like) {
            let sum = Tensor::zeros(dims, like.dtype(), like.device())?;
            if sum.elem_count() > 0 {
                self.add(factors, &sum)?;
            }
            return Ok(sum);
        }
        self.composed(factors, &dims)
    }

    /// sum += the product of `factors`, in place.
    fn add(self, factors: [Factor<'_>; 2], sum: &Tensor) -> Result<()> {
        if on_cpu(sum) {
            return dispatch!(sum.dtype(), add_on_slices(self, factors, sum));
        }
        add_in_place(sum, &self.composed(factors, sum.dims())?)
    }

    /// The axes of both factors and of a sum (B, V, ...), and of the shape to which all are repeated, as many for each;
    /// without those of matrices in matrix products.
    fn axes(self, factors: [Factor<'_>; 2], sum: &[usize]) -> Result<[Vec<usize>; 4]> {
        if sum.len() < 2 || !factors.iter().all(|factor| factor.fits(sum)) {
            let of = factors.map(|factor| factor.tensor.dims());
            bail!(
                "expected factors that belong to {sum:?}, got {:?} and {:?}",
                of[0],
                of[1]
            );
        }
        let ranks = factors.map(|factor| factor.shape.len() + 2);
        let rank = sum.len().max(ranks[0]).max(ranks[1]);
        let mut dims = [
            factors[0].dims(rank),
            factors[1].dims(rank),
            padded(2, sum, rank),
        ];
        if self == Self::MatMul {
            if rank < 4 {
                bail!("expected matrices, got {dims:?}");
            }
            dims.iter_mut().for_each(|dims| dims.truncate(rank - 2));
        }
        let Some(full) = broadcast_shape(&dims[0], &dims[1]) else {
            bail!(
                "expected factors that fit, got {:?} and {:?}",
                dims[0],
                dims[1]
            );
        };
        expect_repeated("sum", &dims[2], &full)?;
        let [left, right, sum] = dims;
        Ok([left, right, sum, full])
    }

    /// The product as candle operations, for every device, of the shape `sum`.
    fn composed(self, [left, right]: [Factor<'_>; 2], sum: &[usize]) -> Result<Tensor> {
        let [own_left, own_right, mut kept, mut full] = self.axes([left, right], sum)?;
        let product = match self {
            Self::Product => {
                let [left, right] = [(left, own_left), (right, own_right)]
                    .map(|(factor, own)| factor.tensor.reshape(own));
                left?.broadcast_mul(&right?)?
            }
            Self::MatMul => {
                // One axis of matrices, since candle does not take more than two.
                let stack = |factor: Factor<'_>, own: Vec<usize>| {
                    let [.., rows, columns] = *factor.shape else {
                        bail!("expected matrices, got {:?}", factor.shape);
                    };
                    let matrix = [rows, columns];
                    let stack = factor.tensor.reshape([own.as_slice(), &matrix].concat())?;
                    let stack = stack.broadcast_as([full.as_slice(), &matrix].concat())?;
                    let count: usize = full.iter().product();
                    let stack = stack.contiguous()?.reshape((count, rows, columns))?;
                    if factor.transposed {
                        stack.t()
                    } else {
                        Ok(stack)
                    }
                };
                let product = stack(left, own_left)?.matmul(&stack(right, own_right)?)?;
                let matrix = &product.dims()[1..];
                kept.extend(matrix);
                full.extend(matrix);
                product.reshape(full)?
            }
        };
        reduced(&product, &kept)?.reshape(sum)
    }
}

fn add_on_slices<T: Real>(pairing: Pairing, factors: [Factor<'_>; 2], sum: &Tensor) -> Result<()> {
    let [left_dims, right_dims, sum_dims, full] = pairing.axes(factors, sum.dims())?;
    let [left, right] = factors;
    let (left_values, right_values) = (elements::<T>(left.tensor)?, elements::<T>(right.tensor)?);
    let (left_values, right_values) = (left_values.slice()?, right_values.slice()?);
    update_with(sum, &[left.tensor, right.tensor], |elements: &mut [T]| {
        if pairing == Pairing::Product {
            let (a, b) = (
                (left_values, &left_dims[..]),
                (right_values, &right_dims[..]),
            );
            return add_products(&full, (elements, &sum_dims), a, b);
        }
        let matrix = |shape: &[usize], index| match *shape {
            [.., rows, columns] => Extent::outer(rows, columns, index),
            _ => Extent::outer(0, 0, 0),
        };
        let operand = |factor: Factor<'_>, index| match factor.transposed {
            true => matrix(factor.shape, index).transposed(),
            false => matrix(factor.shape, index),
        };
        let dims = [&sum_dims[..], &left_dims, &right_dims];
        each_place(&full, dims, &mut |[place, i, j]: [usize; 3]| {
            let (left, right) = (operand(left, i), operand(right, j));
            let target = matrix(sum.dims(), place);
            accumulate(elements, target, (left_values, left), (right_values, right))
        })
    })
}

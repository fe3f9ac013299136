//! y = (x₁, x₂, ...), behind each other along one axis. Linear: no second-order terms.

use candle_core::Tensor;

use crate::layer::parameterless;
use crate::{Cotangent, Error, Layer, Point, SecondOrder, Tangent};

/// Values behind each other.
#[derive(Debug, Clone, Copy)]
pub struct Concat {
    axis: usize,
}

impl Concat {
    /// Along `axis` of an example, the batch not counted.
    #[must_use]
    pub fn new(axis: usize) -> Self {
        Self { axis }
    }
}

impl Layer for Concat {
    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, &'static str> {
        const ALIKE: &str = "it needs inputs that are alike in every axis but one";
        let (first, rest) = inputs.split_first().ok_or(ALIKE)?;
        let mut shape = first.to_vec();
        if self.axis >= shape.len() {
            return Err("it needs inputs that have its axis");
        }
        for own in rest {
            let behind = own.get(self.axis).copied().ok_or(ALIKE)?;
            shape[self.axis] += behind;
            let mut alike = shape.iter().zip(*own).enumerate();
            if own.len() != shape.len() || !alike.all(|(axis, (a, b))| axis == self.axis || a == b)
            {
                return Err(ALIKE);
            }
        }
        Ok(shape)
    }

    fn forward(&self, _: &[Tensor], inputs: &[&Tensor]) -> Result<(Tensor, Vec<Tensor>), Error> {
        Ok((
            Tensor::cat(inputs, self.axis + 1)?.contiguous()?,
            Vec::new(),
        ))
    }

    fn jvp(&self, at: Point<'_>, tangent: Tangent<'_>) -> Result<Option<Tensor>, Error> {
        let Some(like) = tangent.inputs.iter().copied().flatten().next() else {
            return Ok(None);
        };
        let pieces = tangent.inputs.iter().zip(at.input_shapes);
        let pieces = pieces.map(|(piece, own)| match piece {
            Some(piece) => Ok((*piece).clone()),
            None => {
                let shape = [&like.dims()[..2], own].concat();
                Tensor::zeros(shape, like.dtype(), like.device())
            }
        });
        let pieces = pieces.collect::<candle_core::Result<Vec<_>>>()?;
        Ok(Some(Tensor::cat(&pieces, self.axis + 2)?.contiguous()?))
    }

    fn vjp_input(
        &self,
        at: Point<'_>,
        input: usize,
        cotangent: &Tensor,
    ) -> Result<Cotangent, Error> {
        let length = |shape: &Vec<usize>| shape[self.axis];
        let start = at.input_shapes[..input].iter().map(length).sum();
        let piece = cotangent.narrow(self.axis + 2, start, length(&at.input_shapes[input]))?;
        // A piece that lies together is a view.
        Ok(match piece.is_contiguous() {
            true => Cotangent::Shared(piece),
            false => Cotangent::Fresh(piece.contiguous()?),
        })
    }

    parameterless!();

    fn second_order(&self) -> SecondOrder<'_> {
        SecondOrder::Zero
    }
}

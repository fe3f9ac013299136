//! A layer of one's own with all four rules, here layer normalisation of vectors without weights, held to its contract:
//!
//! ```text
//! cargo run -p flatness-testkit --example layer_norm
//! ```

use candle_core::{D, Tensor};
use flatness_layers::{Cotangent, Error, Layer, Point, SecondOrder, SecondOrderRule, Tangent};
use flatness_testkit::check_layer;

/// y = (x - mean) r, r = (var + 1e-5)^(-1/2), of x (B, W).
#[derive(Debug)]
struct LayerNorm;

fn mean(x: &Tensor) -> candle_core::Result<Tensor> {
    x.mean_keepdim(D::Minus1)
}

/// N(b) = r (b - mean b - y mean(y b)) of a block b (B, V, W): both dy/dx and its transpose.
fn project(saved: &[Tensor], block: &Tensor) -> candle_core::Result<Tensor> {
    let (y, r) = (saved[0].unsqueeze(1)?, saved[1].unsqueeze(1)?);
    let along = y.broadcast_mul(&mean(&block.broadcast_mul(&y)?)?)?;
    (block.broadcast_sub(&mean(block)?)? - along)?.broadcast_mul(&r)
}

impl Layer for LayerNorm {
    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, &'static str> {
        match inputs {
            [[width]] if *width > 0 => Ok(vec![*width]),
            _ => Err("it takes one vector"),
        }
    }

    fn forward(&self, _: &[Tensor], inputs: &[&Tensor]) -> Result<(Tensor, Vec<Tensor>), Error> {
        let centred = inputs[0].broadcast_sub(&mean(inputs[0])?)?;
        let r = (mean(&centred.sqr()?)? + 1e-5)?.sqrt()?.recip()?;
        let y = centred.broadcast_mul(&r)?;
        Ok((y.clone(), vec![y, r]))
    }

    fn jvp(&self, at: Point<'_>, tangent: Tangent<'_>) -> Result<Option<Tensor>, Error> {
        Ok(tangent
            .input()
            .map(|dx| project(at.saved, dx))
            .transpose()?)
    }

    fn vjp_input(&self, at: Point<'_>, _: usize, cotangent: &Tensor) -> Result<Cotangent, Error> {
        Ok(Cotangent::Fresh(project(at.saved, cotangent)?))
    }

    fn vjp_parameters(&self, _: Point<'_>, _: &Tensor, _: &[Tensor]) -> Result<(), Error> {
        Ok(())
    }

    fn second_order(&self) -> SecondOrder<'_> {
        SecondOrder::Terms(self)
    }
}

impl SecondOrderRule for LayerNorm {
    /// The derivative of N(ȳ) along ẋ: -r mean(y ẋ) N(ȳ) - r (ẏ mean(y ȳ) + y mean(ẏ ȳ)).
    fn add_terms(
        &self,
        at: Point<'_>,
        cotangent: &Tensor,
        tangent: Tangent<'_>,
        _: &[Tensor],
        input_sums: &[Option<&Tensor>],
    ) -> Result<(), Error> {
        let (Some(dx), Some(sum)) = (tangent.input(), input_sums[0]) else {
            return Ok(());
        };
        let (y, r) = (at.saved[0].unsqueeze(1)?, at.saved[1].unsqueeze(1)?);
        let (cotangent, dy) = (cotangent.unsqueeze(1)?, project(at.saved, dx)?);
        let shrink =
            project(at.saved, &cotangent)?.broadcast_mul(&mean(&dx.broadcast_mul(&y)?)?)?;
        let turn = dy.broadcast_mul(&mean(&(&y * &cotangent)?)?)?;
        let bend = y.broadcast_mul(&mean(&dy.broadcast_mul(&cotangent)?)?)?;
        let terms = ((shrink + turn)? + bend)?.broadcast_mul(&r.neg()?)?;
        Ok(flatness_layers::add_in_place(sum, &terms)?)
    }
}

fn main() {
    check_layer(&LayerNorm, &[&[5]], 1);
    println!("all four rules hold");
}

//! A layer at a seeded point, its rules run on blocks, and blocks as flat vectors.

use candle_core::{Device, Tensor};
use flatness_layers::{Layer, Point, SecondOrder, Tangent};

use crate::{gaussian, gaussian_away_from_zero, values};

pub(super) const EXAMPLES: usize = 3;
pub(super) const VECTORS: usize = 2;

/// Inputs keep this distance from zero, where piecewise layers have their kinks: more than ten
/// times the widest step of the differences.
const GAP: f64 = 0.1;

/// A layer, a point and two tangents of each kind.
pub(super) struct Case<'l> {
    pub(super) layer: &'l dyn Layer,
    pub(super) input_shapes: Vec<Vec<usize>>,
    /// (B, input shape) of each input.
    pub(super) inputs: Vec<Tensor>,
    /// Each in its shape.
    pub(super) parameters: Vec<Tensor>,
    /// ẋ, (B, V, input shape) of each input.
    pub(super) dinputs: Vec<Tensor>,
    /// θ̇, each (V, shape)
    pub(super) dparameters: Vec<Tensor>,
    /// ȳ of the primal sweep, (B, output shape)
    pub(super) primal: Tensor,
    /// ȳ of a block, (B, V, output shape)
    pub(super) cotangent: Tensor,
}

impl<'l> Case<'l> {
    /// At Gaussian inputs.
    pub(super) fn new(layer: &'l dyn Layer, input_shapes: &[&[usize]], seed: u64) -> Self {
        let inputs = input_shapes.iter().zip(seed..);
        let inputs =
            inputs.map(|(own, seed)| gaussian_away_from_zero(shape(&[EXAMPLES], own), GAP, seed));
        Self::at(layer, inputs.collect(), seed)
    }

    /// At `inputs`, (B, input shape) each.
    pub(super) fn at(layer: &'l dyn Layer, inputs: Vec<Tensor>, seed: u64) -> Self {
        let input_shapes: Vec<Vec<usize>> = inputs.iter().map(|x| x.dims()[1..].to_vec()).collect();
        assert!(
            inputs.iter().all(|x| x.dims()[0] == EXAMPLES),
            "{EXAMPLES} examples of each input"
        );
        let shapes: Vec<&[usize]> = input_shapes.iter().map(Vec::as_slice).collect();
        let output_shape = layer.output_shape(&shapes);
        let output_shape = output_shape.expect("a shape that the layer takes");
        let parameters = layer.parameters().into_iter();
        let shapes: Vec<Vec<usize>> = parameters.map(|parameter| parameter.shape).collect();
        let mut next_seed = seed;
        let mut draw = |shape: Vec<usize>| {
            next_seed += 1;
            gaussian(shape, next_seed)
        };
        Self {
            layer,
            parameters: shapes.iter().map(|own| draw(own.clone())).collect(),
            dinputs: (input_shapes.iter())
                .map(|own| draw(shape(&[EXAMPLES, VECTORS], own)))
                .collect(),
            dparameters: (shapes.iter().map(|own| draw(shape(&[VECTORS], own)))).collect(),
            primal: draw(shape(&[EXAMPLES], &output_shape)),
            cotangent: draw(shape(&[EXAMPLES, VECTORS], &output_shape)),
            inputs,
            input_shapes,
        }
    }

    pub(super) fn forward(
        &self,
        inputs: &[Tensor],
        parameters: &[Tensor],
    ) -> (Tensor, Vec<Tensor>) {
        let inputs: Vec<&Tensor> = inputs.iter().collect();
        self.layer.forward(parameters, &inputs).expect("forward")
    }

    pub(super) fn jvp(&self, tangent: Tangent<'_>) -> Option<Tensor> {
        let (_, saved) = self.forward(&self.inputs, &self.parameters);
        self.layer
            .jvp(self.point(&self.parameters, &saved), tangent)
            .expect("jvp")
    }

    /// (x̄, θ̄) of a block at (x, θ).
    pub(super) fn vjp(
        &self,
        inputs: &[Tensor],
        parameters: &[Tensor],
        cotangent: &Tensor,
    ) -> Vec<Tensor> {
        let (_, saved) = self.forward(inputs, parameters);
        let at = self.point(parameters, &saved);
        let sums = self.sums(cotangent.dims()[1], 0.0);
        let added = self.layer.vjp_parameters(at, cotangent, &sums);
        added.expect("vjp of the parameters");
        let inputs = (0..inputs.len()).map(|input| {
            let rule = self.layer.vjp_input(at, input, cotangent);
            rule.expect("vjp of the input").into_tensor()
        });
        inputs.chain(sums).collect()
    }

    /// (x̄, θ̄) of the second-order rule alone, starting from zero.
    pub(super) fn second_order(&self, tangent: Tangent<'_>, vectors: usize) -> Vec<Tensor> {
        let (inputs, sums) = (self.input_sums(vectors, 0.0), self.sums(vectors, 0.0));
        if let SecondOrder::Terms(rule) = self.layer.second_order() {
            let (_, saved) = self.forward(&self.inputs, &self.parameters);
            let at = self.point(&self.parameters, &saved);
            let wanted: Vec<_> = inputs.iter().map(Some).collect();
            rule.add_terms(at, &self.primal, tangent, &sums, &wanted)
                .expect("second order");
        }
        inputs.into_iter().chain(sums).collect()
    }

    pub(super) fn point<'a>(&'a self, parameters: &'a [Tensor], saved: &'a [Tensor]) -> Point<'a> {
        Point {
            parameters,
            saved,
            input_shapes: &self.input_shapes,
        }
    }

    pub(super) fn sums(&self, vectors: usize, value: f64) -> Vec<Tensor> {
        self.parameters
            .iter()
            .map(|own| {
                Tensor::full(value, shape(&[vectors], own.dims()), &Device::Cpu).expect("sums")
            })
            .collect()
    }

    pub(super) fn input_sums(&self, vectors: usize, value: f64) -> Vec<Tensor> {
        let shapes = self.input_shapes.iter();
        let shapes = shapes.map(|own| shape(&[EXAMPLES, vectors], own));
        let sums = shapes.map(|shape| Tensor::full(value, shape, &Device::Cpu).expect("sums"));
        sums.collect()
    }

    /// x and θ as one flat vector, for the differences.
    pub(super) fn flat_point(&self) -> Vec<f64> {
        concatenated(self.inputs.iter().chain(&self.parameters))
    }

    /// ẋ and θ̇ of vector `index` as one flat vector.
    pub(super) fn flat_tangent(&self, index: usize) -> Vec<f64> {
        let dinputs = self.dinputs.iter().map(|d| vector(d, index, 1));
        let dparameters = self.dparameters.iter().map(|d| vector(d, index, 0));
        concatenated(&dinputs.chain(dparameters).collect::<Vec<_>>())
    }

    /// x̄ (B, V, ...) and θ̄ (V, ...) of vector `index` as one flat vector.
    pub(super) fn flat_cotangent(&self, block: &[Tensor], index: usize) -> Vec<f64> {
        let pieces = block.iter().enumerate();
        let axis = |position| usize::from(position < self.inputs.len());
        let pieces = pieces.map(|(position, piece)| vector(piece, index, axis(position)));
        concatenated(&pieces.collect::<Vec<_>>())
    }

    pub(super) fn unflatten(&self, flat: &[f64]) -> (Vec<Tensor>, Vec<Tensor>) {
        let mut start = 0;
        let pieces = self.inputs.iter().chain(&self.parameters).map(|like| {
            let piece = &flat[start..start + like.elem_count()];
            start += like.elem_count();
            Tensor::from_slice(piece, like.shape(), &Device::Cpu).expect("a piece")
        });
        let mut inputs: Vec<Tensor> = pieces.collect();
        let parameters = inputs.split_off(self.inputs.len());
        (inputs, parameters)
    }
}

pub(super) fn shape(leading: &[usize], rest: &[usize]) -> Vec<usize> {
    [leading, rest].concat()
}

/// Vector `index` of a block whose axis of vectors is `axis`, without that axis.
pub(super) fn vector(block: &Tensor, index: usize, axis: usize) -> Tensor {
    let one = block
        .narrow(axis, index, 1)
        .and_then(|one| one.squeeze(axis));
    one.and_then(|one| one.contiguous())
        .expect("a vector of a block")
}

pub(super) fn concatenated<'a>(tensors: impl IntoIterator<Item = &'a Tensor>) -> Vec<f64> {
    tensors.into_iter().flat_map(values).collect()
}

//! A graph of named layers over one flat parameter vector.

use std::sync::Arc;

use candle_core::Tensor;

use crate::expect::{expect_float, expect_number_type, expect_shape};
use crate::layout::form;
use crate::node::{Node, Step};
use crate::values::Values;
use crate::{
    Dropout, DropoutMask, Error, Graph, Layer, Linearization, Loss, ParamLayout, Transpose,
};

/// A graph of layers, with the layout of its parameters. It holds no values of parameters.
///
/// Batch-norm layers normalise by their batch, as in training, unless [`Network::freeze`] has fixed
/// their statistics; dropout layers do nothing but in the network of [`Network::thin`]. Clones share
/// the layers.
#[derive(Debug, Clone)]
pub struct Network {
    nodes: Vec<Node>,
    layout: ParamLayout,
    buffers: ParamLayout,
    /// Shape of one example of each value.
    shapes: Vec<Vec<usize>>,
    /// The last node that takes each value; the output has none.
    last_use: Vec<usize>,
    /// Whether parameters stand before each value, so that its cotangent is wanted.
    differentiable: Vec<bool>,
}

impl Network {
    /// Chains named layers behind inputs of `input_shape` (one example). Parameters are called
    /// `<layer>.<parameter>`.
    ///
    /// # Errors
    /// [`Error::Input`] when a layer cannot take what comes before it, [`Error::Names`] when two
    /// parameters have one name, [`Error::NoParameters`].
    pub fn chain(
        input_shape: &[usize],
        layers: Vec<(String, Box<dyn Layer>)>,
    ) -> Result<Self, Error> {
        let mut graph = Graph::new(input_shape);
        let mut value = graph.input();
        for (name, layer) in layers {
            value = graph.own(&name, layer.into(), &[value])?;
        }
        graph.finish(value)
    }

    pub(crate) fn new(
        nodes: Vec<Node>,
        shapes: Vec<Vec<usize>>,
        layout: ParamLayout,
        buffers: ParamLayout,
    ) -> Self {
        let mut last_use = vec![nodes.len(); shapes.len()];
        let mut differentiable = vec![false; shapes.len()];
        for (index, node) in nodes.iter().enumerate() {
            for &input in &node.inputs {
                last_use[input] = index;
            }
            differentiable[index + 1] = !node.parameters.is_empty()
                || node.inputs.iter().any(|&input| differentiable[input]);
        }
        Self {
            nodes,
            layout,
            buffers,
            shapes,
            last_use,
            differentiable,
        }
    }

    /// Layout of the parameters.
    #[must_use]
    pub fn layout(&self) -> &ParamLayout {
        &self.layout
    }

    /// Layout of the running statistics of the layers that normalise by their batch; empty where
    /// there are none or they are frozen.
    #[must_use]
    pub fn buffers(&self) -> &ParamLayout {
        &self.buffers
    }

    /// Whether the examples of a batch depend on each other, through the statistics of batch-norm.
    #[must_use]
    pub fn couples_examples(&self) -> bool {
        self.steps().any(|step| step.layer.batch_norm().is_some())
    }

    /// Whether there are dropout layers, which [`Network::thin`] switches on.
    #[must_use]
    pub fn has_dropout(&self) -> bool {
        let mut dropouts = self.steps().filter_map(|step| step.layer.dropout());
        dropouts.any(|dropout| dropout.rate() > 0.0)
    }

    /// The layer called `name`, where there is one.
    #[must_use]
    pub fn layer(&self, name: &str) -> Option<&dyn Layer> {
        let step = self.steps().find(|step| step.name == name)?;
        Some(step.layer)
    }

    /// The steps in order.
    pub fn steps(&self) -> impl Iterator<Item = Step<'_>> {
        self.nodes.iter().map(Node::step)
    }

    /// Shape of one input example.
    #[must_use]
    pub fn input_shape(&self) -> &[usize] {
        &self.shapes[0]
    }

    /// Shape of one output example.
    #[must_use]
    pub fn output_shape(&self) -> &[usize] {
        &self.shapes[self.nodes.len()]
    }

    /// Multiply-adds of the matrix products of one forward pass, per example.
    #[must_use]
    pub fn multiply_adds(&self) -> u64 {
        self.nodes
            .iter()
            .map(|node| node.layer.multiply_adds(&node.shapes()))
            .sum()
    }

    /// Elements of all layer outputs, per example.
    #[must_use]
    pub fn activations(&self) -> usize {
        let outputs = self.shapes.iter().skip(1);
        outputs.map(|shape| shape.iter().product::<usize>()).sum()
    }

    /// Elements per example and vector of the largest tensor in a sweep on a device, where a convolution lays out its
    /// patches.
    #[must_use]
    pub fn largest_tensor(&self) -> usize {
        let activations = self.shapes.iter().map(|shape| shape.iter().product());
        let nodes = self.nodes.iter();
        let patches = nodes.map(|node| node.layer.patches(&node.shapes()));
        activations.chain(patches).max().unwrap_or(0)
    }

    /// The same network with the statistics of its batch-norm layers fixed at `buffers` (Q), in the
    /// order of [`Network::buffers`]. Its examples are independent.
    ///
    /// # Errors
    /// [`Error::Shape`] for buffers of another length, [`Error::NumberType`] for others than f32 and
    /// f64, or a device error. That they are of the number type of the parameters shows in the
    /// sweeps.
    pub fn freeze(&self, buffers: &Tensor) -> Result<Self, Error> {
        let views = self.buffers.views(buffers)?;
        self.replace(|_, node| {
            let Some(layer) = node.layer.batch_norm() else {
                return Ok(node.layer.clone());
            };
            let first = self.statistics(node).ok_or(Error::Value)?;
            Ok(Arc::new(
                layer.freeze(views[first].clone(), &views[first + 1])?,
            ))
        })
    }

    /// The same network with its dropout layers switched on: the masks are a function of `seed`, of
    /// the layer and of the number of the example, which counts from `first_example`.
    ///
    /// # Errors
    /// None of its own; those of [`Graph::finish`].
    pub fn thin(&self, seed: u64, first_example: usize) -> Result<Self, Error> {
        self.replace(|index, node| {
            Ok(match node.layer.dropout() {
                Some(dropout) => Arc::new(DropoutMask::new(dropout, seed, index, first_example)),
                None => node.layer.clone(),
            })
        })
    }

    /// The same network with dropout layers that drop nothing in training either.
    ///
    /// # Errors
    /// None of its own; those of [`Graph::finish`].
    pub fn without_dropout(&self) -> Result<Self, Error> {
        self.replace(|_, node| {
            Ok(match node.layer.dropout() {
                Some(_) => Arc::new(Dropout::new(0.0)?),
                None => node.layer.clone(),
            })
        })
    }

    /// The same network with the first axis of its outputs last, (C, ...) to (..., C), as losses of positions take them.
    #[must_use]
    pub fn with_first_axis_last(&self) -> Self {
        let output = self.output_shape();
        let order: Vec<usize> = (1..output.len()).chain([0]).collect();
        let turned = Node {
            name: "classes".to_owned(),
            inputs: vec![self.nodes.len()],
            input_shapes: vec![output.to_vec()],
            parameters: Vec::new(),
            layer: Arc::new(Transpose::new(&order)),
        };
        let shape = order.iter().map(|&axis| output[axis]).collect();
        Self::new(
            [&self.nodes[..], &[turned]].concat(),
            [&self.shapes[..], &[shape]].concat(),
            self.layout.clone(),
            self.buffers.clone(),
        )
    }

    /// The same graph with other layers in it.
    fn replace(
        &self,
        mut layer: impl FnMut(usize, &Node) -> Result<Arc<dyn Layer>, Error>,
    ) -> Result<Self, Error> {
        let mut graph = Graph::new(self.input_shape());
        let mut values = vec![graph.input()];
        for (index, node) in self.nodes.iter().enumerate() {
            let inputs: Vec<_> = node.inputs.iter().map(|&input| values[input]).collect();
            let names = node.parameters.iter();
            let names: Vec<_> = names
                .map(|&index| self.layout.parameters()[index].name.as_str())
                .collect();
            values.push(graph.place(&node.name, layer(index, node)?, &inputs, &names)?);
        }
        graph.finish(values[self.nodes.len()])
    }

    /// Logits (B, C) of `inputs` (B, input shape) at `parameters`, the views of the layout.
    ///
    /// # Errors
    /// [`Error::Shape`] and [`Error::NumberType`] for parameters, inputs or frozen statistics that do
    /// not fit, or a tensor operation that fails.
    pub fn forward(&self, parameters: &[Tensor], inputs: &Tensor) -> Result<Tensor, Error> {
        self.sweep(parameters, inputs, |_| ())
    }

    /// The forward sweep, with what derivatives at this point need, for `loss` summed over the
    /// batch.
    ///
    /// `parameters` are the views of the layout, `inputs` (B, input shape), `labels` as [`Loss::evaluate`] takes them.
    ///
    /// # Errors
    /// As [`Network::forward`], and those of [`Loss::evaluate`].
    pub fn linearize<'n>(
        &'n self,
        parameters: &[Tensor],
        inputs: &Tensor,
        labels: &Tensor,
        loss: Loss<'_>,
    ) -> Result<Linearization<'n>, Error> {
        self.linearize_and_see(parameters, inputs, labels, loss, 1.0, |_| Ok(()))
    }

    /// The same with every loss multiplied by `factor`; `see` is shown the outputs (B, output shape), which nothing keeps.
    ///
    /// # Errors
    /// As [`Network::linearize`], and that of `see`.
    pub fn linearize_and_see<'n>(
        &'n self,
        parameters: &[Tensor],
        inputs: &Tensor,
        labels: &Tensor,
        loss: Loss<'_>,
        factor: f64,
        see: impl FnOnce(&Tensor) -> Result<(), Error>,
    ) -> Result<Linearization<'n>, Error> {
        let mut saved = Vec::with_capacity(self.nodes.len());
        let logits = self.sweep(parameters, inputs, |kept| saved.push(kept))?;
        see(&logits)?;
        let loss = loss.evaluate(&logits, labels)?.scaled(factor)?;
        Ok(Linearization::new(self, parameters, saved, loss))
    }

    /// Runs the nodes in order; `keep` takes what each of them saves.
    fn sweep(
        &self,
        parameters: &[Tensor],
        inputs: &Tensor,
        mut keep: impl FnMut(Vec<Tensor>),
    ) -> Result<Tensor, Error> {
        self.check(parameters, inputs)?;
        let mut values = Values::new(self, Some(inputs.clone()));
        for node in &self.nodes {
            let inputs = node.inputs.iter().map(|&input| values.get(input));
            let inputs = inputs.collect::<Result<Vec<_>, Error>>()?;
            let (y, kept) = node.layer.forward(&node.own(parameters), &inputs)?;
            keep(kept);
            values.push(Some(y));
        }
        values.get(self.nodes.len()).cloned()
    }

    /// Where the running mean of a batch-norm is among the buffers, before its variance.
    pub(crate) fn statistics(&self, node: &Node) -> Option<usize> {
        let mut buffers = self.buffers.parameters().iter();
        buffers.position(|buffer| {
            let own = buffer.name.strip_prefix(&node.name);
            own == Some(".running_mean")
        })
    }

    pub(crate) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Whether parameters stand before `value`.
    pub(crate) fn differentiable(&self, value: usize) -> bool {
        self.differentiable[value]
    }

    /// The last node that takes `value`.
    pub(crate) fn last_use(&self, value: usize) -> usize {
        self.last_use[value]
    }

    /// Checks parameters and inputs (B, input shape), which are of one number type.
    fn check(&self, parameters: &[Tensor], inputs: &Tensor) -> Result<(), Error> {
        let (_, dtype) = form(parameters);
        self.layout
            .expect_pieces("parameters", parameters, &[], dtype)?;
        if let [first, ..] = parameters {
            expect_float(&self.layout.parameters()[0].name, first)?;
        }
        let examples = inputs.dims().first().copied().unwrap_or(0);
        let expected = [&[examples], self.input_shape()].concat();
        expect_shape("inputs (batch axis first)", inputs, &expected)?;
        expect_number_type("inputs", inputs, dtype)
    }
}

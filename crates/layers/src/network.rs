//! A graph of named layers over one flat parameter vector.

use std::ops::Range;
use std::sync::Arc;

use candle_core::Tensor;

use crate::{DropoutMask, Error, Graph, Layer, Linearization, Loss, ParamLayout, Point};

/// One step of a network. Value 0 is the input, value k + 1 the output of node k.
#[derive(Debug, Clone)]
pub(crate) enum Node {
    /// A layer behind one value.
    Layer(LayerNode),
    /// The sum of two values.
    Add([usize; 2]),
}

/// A layer in its place.
#[derive(Debug, Clone)]
pub(crate) struct LayerNode {
    pub(crate) name: String,
    pub(crate) layer: Arc<dyn Layer>,
    /// Value it takes.
    pub(crate) input: usize,
    /// Shape of one input example.
    pub(crate) input_shape: Vec<usize>,
    /// Its parameters among those of the layout.
    pub(crate) parameters: Range<usize>,
}

impl LayerNode {
    pub(crate) fn at<'a>(&'a self, parameters: &'a [Tensor], saved: &'a [Tensor]) -> Point<'a> {
        Point {
            parameters: &parameters[self.parameters.clone()],
            saved,
            input_shape: &self.input_shape,
        }
    }
}

impl Node {
    /// Values it takes.
    pub(crate) fn inputs(&self) -> &[usize] {
        match self {
            Self::Layer(node) => std::slice::from_ref(&node.input),
            Self::Add(inputs) => inputs,
        }
    }

    fn layer(&self) -> Option<&LayerNode> {
        match self {
            Self::Layer(node) => Some(node),
            Self::Add(_) => None,
        }
    }
}

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
            value = graph.shared(&name, layer.into(), value)?;
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
            for &input in node.inputs() {
                last_use[input] = index;
            }
            differentiable[index + 1] = node.inputs().iter().any(|&input| differentiable[input])
                || node.layer().is_some_and(|node| !node.parameters.is_empty());
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
        self.layers().any(|node| node.layer.batch_norm().is_some())
    }

    /// Whether there are dropout layers, which [`Network::thin`] switches on.
    #[must_use]
    pub fn has_dropout(&self) -> bool {
        self.layers().any(|node| node.layer.dropout().is_some())
    }

    /// The layer called `name`, where there is one.
    #[must_use]
    pub fn layer(&self, name: &str) -> Option<&dyn Layer> {
        let node = self.layers().find(|node| node.name == name)?;
        Some(node.layer.as_ref())
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
        self.layers()
            .map(|node| node.layer.multiply_adds(&node.input_shape))
            .sum()
    }

    /// Elements of all layer outputs, per example.
    #[must_use]
    pub fn activations(&self) -> usize {
        let outputs = self.shapes.iter().skip(1);
        outputs.map(|shape| shape.iter().product::<usize>()).sum()
    }

    /// The same network with the statistics of its batch-norm layers fixed at `buffers` (Q), in the
    /// order of [`Network::buffers`]. Its examples are independent.
    ///
    /// # Errors
    /// [`Error::Shape`] for buffers of another length, or a device error.
    pub fn freeze(&self, buffers: &Tensor) -> Result<Self, Error> {
        let mut views = self.buffers.views(buffers)?.into_iter();
        self.replace(|_, node| {
            let Some(layer) = node.layer.batch_norm() else {
                return Ok(node.layer.clone());
            };
            let (mean, variance) = views.next().zip(views.next()).ok_or(Error::Value)?;
            Ok(Arc::new(layer.freeze(mean, &variance)?))
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

    /// The same graph with other layers in it.
    fn replace(
        &self,
        mut layer: impl FnMut(usize, &LayerNode) -> Result<Arc<dyn Layer>, Error>,
    ) -> Result<Self, Error> {
        let mut graph = Graph::new(self.input_shape());
        let mut values = vec![graph.input()];
        for (index, node) in self.nodes.iter().enumerate() {
            values.push(match node {
                Node::Layer(node) => {
                    graph.shared(&node.name, layer(index, node)?, values[node.input])?
                }
                Node::Add([left, right]) => graph.add("sum", values[*left], values[*right])?,
            });
        }
        graph.finish(values[self.nodes.len()])
    }

    /// Logits (B, C) of `inputs` (B, input shape) at `parameters`, the views of the layout.
    ///
    /// # Errors
    /// [`Error::Shape`] for parameters or inputs that do not fit, or a tensor operation that fails.
    pub fn forward(&self, parameters: &[Tensor], inputs: &Tensor) -> Result<Tensor, Error> {
        self.sweep(parameters, inputs, |_| ())
    }

    /// The forward sweep, with what derivatives at this point need, for `loss` summed over the
    /// batch.
    ///
    /// `parameters` are the views of the layout, `inputs` (B, input shape), `labels` (B) u32.
    ///
    /// # Errors
    /// [`Error::Shape`] for parameters or inputs that do not fit, labels out of range, or a tensor
    /// operation that fails.
    pub fn linearize<'n>(
        &'n self,
        parameters: &[Tensor],
        inputs: &Tensor,
        labels: &Tensor,
        loss: Loss,
    ) -> Result<Linearization<'n>, Error> {
        let mut saved = Vec::with_capacity(self.nodes.len());
        let logits = self.sweep(parameters, inputs, |kept| saved.push(kept))?;
        let loss = loss.evaluate(&logits, labels)?;
        Ok(Linearization::new(self, parameters.to_vec(), saved, loss))
    }

    /// Runs the nodes in order; `keep` takes what each of them saves.
    fn sweep(
        &self,
        parameters: &[Tensor],
        inputs: &Tensor,
        mut keep: impl FnMut(Vec<Tensor>),
    ) -> Result<Tensor, Error> {
        self.layout.expect_pieces("parameters", parameters)?;
        self.check_inputs(inputs)?;
        let mut values = Values::new(self, Some(inputs.clone()));
        for node in &self.nodes {
            let (y, kept) = match node {
                Node::Layer(node) => {
                    let x = values.get(node.input)?;
                    node.layer
                        .forward(&parameters[node.parameters.clone()], x)?
                }
                Node::Add([left, right]) => {
                    ((values.get(*left)? + values.get(*right)?)?, Vec::new())
                }
            };
            keep(kept);
            values.push(Some(y));
        }
        values.get(self.nodes.len()).cloned()
    }

    pub(crate) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The layers in order.
    pub(crate) fn layers(&self) -> impl Iterator<Item = &LayerNode> {
        self.nodes.iter().filter_map(Node::layer)
    }

    /// Whether parameters stand before `value`.
    pub(crate) fn differentiable(&self, value: usize) -> bool {
        self.differentiable[value]
    }

    fn check_inputs(&self, inputs: &Tensor) -> Result<(), Error> {
        match inputs.dims() {
            [_, shape @ ..] if shape == self.input_shape() => Ok(()),
            got => Err(Error::Shape {
                place: "inputs (batch axis first)".to_owned(),
                expected: [got.first().copied().unwrap_or(0)]
                    .into_iter()
                    .chain(self.input_shape().iter().copied())
                    .collect(),
                got: got.to_vec(),
            }),
        }
    }
}

/// The values of a forward sweep, each dropped behind its last user.
pub(crate) struct Values<'n> {
    network: &'n Network,
    tensors: Vec<Option<Tensor>>,
}

impl<'n> Values<'n> {
    pub(crate) fn new(network: &'n Network, input: Option<Tensor>) -> Self {
        Self {
            network,
            tensors: vec![input],
        }
    }

    /// The value, where it is not zero.
    pub(crate) fn try_get(&self, value: usize) -> Option<&Tensor> {
        self.tensors[value].as_ref()
    }

    fn get(&self, value: usize) -> Result<&Tensor, Error> {
        self.try_get(value).ok_or(Error::Value)
    }

    /// The output of the next node; what this node was the last to take is dropped.
    pub(crate) fn push(&mut self, output: Option<Tensor>) {
        let index = self.tensors.len() - 1;
        for &input in self.network.nodes[index].inputs() {
            if self.network.last_use[input] == index {
                self.tensors[input] = None;
            }
        }
        self.tensors.push(output);
    }
}

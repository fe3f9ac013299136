//! Building a network node by node, skips included.

use std::collections::HashSet;
use std::sync::Arc;

use crate::node::{LayerNode, Node};
use crate::{Error, Layer, Network, ParamLayout, Parameter};

/// The output of one node of a [`Graph`], or its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Value(usize);

/// A network under construction: nodes in topological order.
///
/// Parameters and buffers are laid out in the order in which their layers are put in.
///
/// ```
/// use flatness_layers::{Affine, Graph, Relu};
///
/// let mut graph = Graph::new(&[4]);
/// let x = graph.input();
/// let hidden = graph.layer("fc0", Affine::new(4, 4), x)?;
/// let hidden = graph.layer("relu", Relu, hidden)?;
/// let skipped = graph.add("skip", x, hidden)?;
/// let logits = graph.layer("fc1", Affine::new(4, 2), skipped)?;
/// assert_eq!(graph.finish(logits)?.layout().dim(), 30);
/// # Ok::<(), flatness_layers::Error>(())
/// ```
#[derive(Debug)]
pub struct Graph {
    nodes: Vec<Node>,
    /// Shape of one example of each value: of the input, then of each node's output.
    shapes: Vec<Vec<usize>>,
    names: Vec<String>,
    parameters: Vec<Parameter>,
    buffers: Vec<Parameter>,
}

impl Graph {
    /// A graph whose input has `input_shape` (one example).
    #[must_use]
    pub fn new(input_shape: &[usize]) -> Self {
        Self {
            nodes: Vec::new(),
            shapes: vec![input_shape.to_vec()],
            names: vec!["input".to_owned()],
            parameters: Vec::new(),
            buffers: Vec::new(),
        }
    }

    /// The input of the network.
    #[must_use]
    pub fn input(&self) -> Value {
        Value(0)
    }

    /// Shape of one example of `value`.
    ///
    /// # Errors
    /// [`Error::Value`] for a value of another graph.
    pub fn shape(&self, value: Value) -> Result<&[usize], Error> {
        let shape = self.shapes.get(value.0).ok_or(Error::Value)?;
        Ok(shape)
    }

    /// Puts `layer` behind `input`; its parameters are called `<name>.<parameter>`.
    ///
    /// # Errors
    /// [`Error::Input`] when the layer cannot take `input`, [`Error::Value`].
    pub fn layer(
        &mut self,
        name: &str,
        layer: impl Layer + 'static,
        input: Value,
    ) -> Result<Value, Error> {
        self.shared(name, Arc::new(layer), input)
    }

    /// As [`Graph::layer`], for a layer that is shared.
    pub(crate) fn shared(
        &mut self,
        name: &str,
        layer: Arc<dyn Layer>,
        input: Value,
    ) -> Result<Value, Error> {
        let input_shape = self.shape(input)?.to_vec();
        let output = layer
            .output_shape(&input_shape)
            .map_err(|reason| Error::Input {
                layer: name.to_owned(),
                input: input_shape.clone(),
                reason,
            })?;
        let own = |parameter: Parameter| Parameter {
            name: format!("{name}.{}", parameter.name),
            ..parameter
        };
        let start = self.parameters.len();
        self.parameters
            .extend(layer.parameters().into_iter().map(own));
        if let Some(normalization) = layer.batch_norm() {
            self.buffers.extend(normalization.buffers().map(own));
        }
        let parameters = start..self.parameters.len();
        let node = Node::Layer(LayerNode {
            name: name.to_owned(),
            layer,
            input: input.0,
            input_shape,
            parameters,
        });
        Ok(self.push(name, node, output))
    }

    /// The sum of two values of one shape: a skip connection.
    ///
    /// # Errors
    /// [`Error::Input`] when the shapes differ, [`Error::Value`].
    pub fn add(&mut self, name: &str, left: Value, right: Value) -> Result<Value, Error> {
        let shape = self.shape(left)?.to_vec();
        if self.shape(right)? != shape {
            return Err(Error::Input {
                layer: name.to_owned(),
                input: self.shape(right)?.to_vec(),
                reason: "both sides of a sum must have one shape",
            });
        }
        Ok(self.push(name, Node::Add([left.0, right.0]), shape))
    }

    fn push(&mut self, name: &str, node: Node, shape: Vec<usize>) -> Value {
        self.nodes.push(node);
        self.shapes.push(shape);
        self.names.push(name.to_owned());
        Value(self.nodes.len())
    }

    /// The network from the input to `output`.
    ///
    /// # Errors
    /// [`Error::Names`] when two parameters have one name or a node leads nowhere,
    /// [`Error::NoParameters`], [`Error::Value`].
    pub fn finish(self, output: Value) -> Result<Network, Error> {
        let names = |problems: String| Err(Error::Names { problems });
        if output.0 != self.nodes.len() {
            return Err(Error::Value);
        }
        let mut seen = HashSet::new();
        let named = self.parameters.iter().chain(&self.buffers);
        if let Some(twice) = named
            .map(|parameter| &parameter.name)
            .find(|&name| !seen.insert(name))
        {
            return names(format!("there are two of {twice}"));
        }
        let used: HashSet<usize> = self.nodes.iter().flat_map(Node::inputs).copied().collect();
        if let Some(idle) = (0..output.0).find(|value| !used.contains(value)) {
            return names(format!("the output of {} leads nowhere", self.names[idle]));
        }
        if self.parameters.is_empty() {
            return Err(Error::NoParameters);
        }
        Ok(Network::new(
            self.nodes,
            self.shapes,
            ParamLayout::new(self.parameters),
            ParamLayout::new(self.buffers),
        ))
    }
}

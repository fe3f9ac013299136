//! A network at a point with a batch: its sweeps written out as dense matrices.

use std::ops::Range;

use candle_core::{DType, Device, Tensor};
use flatness_layers::{CurvedLinearization, Error, Linearization, Loss, Network};
use nalgebra::{DMatrix, DVector};

use crate::{Activation, gaussian, labels, network, values};

/// A small network, parameters, and a batch of Gaussian inputs with random labels. Loss and
/// derivatives are sums over the batch.
#[derive(Debug)]
pub struct Problem {
    /// The network under test.
    pub network: Network,
    /// Loss of an example.
    pub loss: Loss<'static>,
    /// Parameters, (P).
    pub theta: Vec<f64>,
    /// (B, input shape)
    pub inputs: Tensor,
    /// (B), u32
    pub labels: Tensor,
}

/// A product of one of the sweeps: it adds to the sums.
type Sweep<'a> = &'a dyn Fn(&CurvedLinearization<'_>, &[Tensor], &[Tensor]) -> Result<(), Error>;

impl Problem {
    /// A problem with `examples` examples; parameters are the network's own initial ones, all from
    /// `seed`.
    pub fn of(network: Network, loss: Loss<'static>, examples: usize, seed: u64) -> Self {
        let theta = network.layout().initialize(seed, DType::F64, &Device::Cpu);
        let shape = [&[examples], network.input_shape()].concat();
        let [classes] = *network.output_shape() else {
            panic!("classes expected, got {:?}", network.output_shape());
        };
        Self {
            loss,
            theta: values(&theta.expect("initial parameters")),
            inputs: gaussian(shape, seed + 1),
            labels: labels(examples, classes as u32, seed + 2),
            network,
        }
    }

    /// A problem of a fully connected network of these `widths`.
    pub fn new(
        widths: &[usize],
        activation: Activation,
        loss: Loss<'static>,
        examples: usize,
        seed: u64,
    ) -> Self {
        let network = network(&widths[..1], widths, activation);
        Self::of(network, loss, examples, seed)
    }

    /// Number of classes C.
    pub fn classes(&self) -> usize {
        self.network.output_shape()[0]
    }

    /// Positions in the flat vector of the parameters called `<layer>.<parameter>`, for each layer
    /// in order.
    pub fn layers(&self) -> Vec<(&str, Range<usize>)> {
        self.network.layout().layers()
    }

    /// Number of examples B.
    pub fn examples(&self) -> usize {
        self.inputs.dims()[0]
    }

    /// Number of parameters P.
    pub fn dim(&self) -> usize {
        self.theta.len()
    }

    /// The linearisation at `theta` (P), which need not be the problem's own.
    pub fn linearize(&self, theta: &[f64]) -> Linearization<'_> {
        let theta = Tensor::new(theta, &Device::Cpu).expect("a vector");
        let views = self.network.layout().views(&theta).expect("P elements");
        self.network
            .linearize(&views, &self.inputs, &self.labels, self.loss)
            .expect("a linearisation")
    }

    /// The gradient (P) at `theta`.
    pub fn gradient(&self, theta: &[f64]) -> Vec<f64> {
        let sums = self.zeros(1);
        let point = self.linearize(theta);
        point.add_gradient(&sums).expect("a gradient");
        self.joined(&sums)
    }

    /// H v for each row of `vectors` (V, P): V·P numbers, row by row.
    pub fn hessian_product(&self, vectors: &Tensor) -> Vec<f64> {
        self.product(vectors, &|point, tangents, sums| {
            point.add_hessian_product(tangents, sums)
        })
    }

    /// G v for each row of `vectors` (V, P): V·P numbers, row by row.
    pub fn gauss_newton_product(&self, vectors: &Tensor) -> Vec<f64> {
        self.product(vectors, &|point, tangents, sums| {
            let point = point.linearization();
            point.add_gauss_newton_product(tangents, sums)
        })
    }

    /// The Hessian (P, P), column by column from the products, not symmetrised.
    pub fn hessian(&self) -> DMatrix<f64> {
        let columns = self.hessian_product(&self.unit_vectors());
        DMatrix::from_vec(self.dim(), self.dim(), columns)
    }

    /// The Gauss-Newton matrix (P, P), column by column from the products, not symmetrised.
    pub fn gauss_newton(&self) -> DMatrix<f64> {
        let columns = self.gauss_newton_product(&self.unit_vectors());
        DMatrix::from_vec(self.dim(), self.dim(), columns)
    }

    /// The Jacobian J (C, P) of each example's logits, from products with unit vectors.
    pub fn jacobians(&self) -> Vec<DMatrix<f64>> {
        let tangents = self.split(&self.unit_vectors());
        let product = self.linearize(&self.theta).jacobian_product(&tangents);
        let product = product.expect("a Jacobian product"); // (B, P, C)
        (0..self.examples())
            .map(|example| {
                let columns = values(&product.get(example).expect("an example"));
                DMatrix::from_vec(columns.len() / self.dim(), self.dim(), columns)
            })
            .collect()
    }

    /// The logits (B, C).
    pub fn logits(&self) -> Tensor {
        let theta = Tensor::new(self.theta.as_slice(), &Device::Cpu).expect("a vector");
        let views = self.network.layout().views(&theta).expect("P elements");
        self.network.forward(&views, &self.inputs).expect("logits")
    }

    /// Class probabilities (C) of each example, from the logits by the textbook formula.
    pub fn probabilities(&self) -> Vec<DVector<f64>> {
        let logits = self.logits();
        (0..self.examples())
            .map(|example| {
                let exponentials =
                    DVector::from_vec(values(&logits.get(example).expect("a row"))).map(f64::exp);
                &exponentials / exponentials.sum()
            })
            .collect()
    }

    /// A block of vectors (V, P) in the pieces that sweeps take.
    pub fn split(&self, vectors: &Tensor) -> Vec<Tensor> {
        self.network
            .layout()
            .split(vectors)
            .expect("rows of P elements")
    }

    /// Zero sums for V vectors.
    pub fn zeros(&self, vectors: usize) -> Vec<Tensor> {
        self.network
            .layout()
            .zeros(vectors, DType::F64, &Device::Cpu)
            .expect("zeros")
    }

    /// Sums (V, shape) as V·P numbers, row by row.
    pub fn joined(&self, sums: &[Tensor]) -> Vec<f64> {
        values(&self.network.layout().join(sums).expect("whole pieces"))
    }

    fn product(&self, vectors: &Tensor, sweep: Sweep<'_>) -> Vec<f64> {
        let sums = self.zeros(vectors.dims()[0]);
        let point = self.linearize(&self.theta).with_cotangents();
        sweep(&point.expect("cotangents"), &self.split(vectors), &sums).expect("a product");
        self.joined(&sums)
    }

    fn unit_vectors(&self) -> Tensor {
        Tensor::eye(self.dim(), DType::F64, &Device::Cpu).expect("unit vectors")
    }
}

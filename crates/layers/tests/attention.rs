//! A block of a transformer, composed of layers, against differences of its own gradient.

use candle_core::{DType, Device, Tensor};
use flatness_layers::{
    Activation, Affine, Flatten, Graph, LayerNorm, Loss, MatMul, Network, Softmax, Sum, Transpose,
};
use flatness_testkit::{assert_close, finite_difference, gaussian, labels, values};

/// Positions, features and classes.
const SIZES: [usize; 3] = [3, 4, 2];
const EXAMPLES: usize = 2;

fn block() -> Result<Network, flatness_layers::Error> {
    let [positions, features, classes] = SIZES;
    let mut graph = Graph::new(&[positions, features]);
    let x = graph.layer("embed", Affine::new(features, features), graph.input())?;
    let normal = graph.layer("norm1", LayerNorm::new(&[features]), x)?;
    let [query, key, value] = ["query", "key", "value"].map(|name| {
        let map = Affine::new(features, features).without_bias();
        graph.layer(name, map, normal)
    });
    let key = graph.layer("transpose", Transpose::new(&[1, 0]), key?)?;
    let scores = graph.join("scores", MatMul, &[query?, key])?;
    let (scale, shift) = (1.0 / (features as f64).sqrt(), 0.0);
    let scores = graph.layer("scaled", Activation::Linear { scale, shift }, scores)?;
    let weights = graph.layer("softmax", Softmax, scores)?;
    let mixed = graph.join("mixed", MatMul, &[weights, value?])?;
    let x = graph.join("skip1", Sum, &[x, mixed])?;
    let hidden = graph.layer("norm2", LayerNorm::new(&[features]), x)?;
    let up = Affine::new(features, 5).with_inputs_first();
    let hidden = graph.layer("up", up, hidden)?;
    let hidden = graph.layer("gelu", Activation::Gelu, hidden)?;
    let hidden = graph.layer("down", Affine::new(5, features), hidden)?;
    let x = graph.join("skip2", Sum, &[x, hidden])?;
    let x = graph.layer("flatten", Flatten, x)?;
    let x = graph.layer("head", Affine::new(positions * features, classes), x)?;
    graph.finish(x)
}

#[test]
fn hessian_products_of_a_transformer_block_are_differences_of_its_gradient() {
    let network = block().unwrap();
    let layout = network.layout();
    let inputs = gaussian((EXAMPLES, SIZES[0], SIZES[1]), 1);
    let labels = labels(EXAMPLES, SIZES[2] as u32, 2);
    let theta = gaussian(layout.dim(), 3);
    let linearized = |theta: &Tensor| {
        let views = layout.views(theta).unwrap();
        network
            .linearize(&views, &inputs, &labels, Loss::CrossEntropy)
            .unwrap()
    };
    let gradient = |theta: &[f64]| {
        let theta = Tensor::from_slice(theta, layout.dim(), &Device::Cpu).unwrap();
        let sums = layout.zeros(1, DType::F64, &Device::Cpu).unwrap();
        linearized(&theta).add_gradient(&sums).unwrap();
        values(&layout.join(&sums).unwrap())
    };

    let vectors = gaussian((2, layout.dim()), 4);
    let sums = layout.zeros(2, DType::F64, &Device::Cpu).unwrap();
    let curved = linearized(&theta).with_cotangents().unwrap();
    curved
        .add_hessian_product(&layout.split(&vectors).unwrap(), &sums)
        .unwrap();
    let products = values(&layout.join(&sums).unwrap());
    for (vector, product) in values(&vectors)
        .chunks(layout.dim())
        .zip(products.chunks(layout.dim()))
    {
        let expected = finite_difference::directional(gradient, &values(&theta), vector, 1e-4);
        assert_close("H v: differences of the gradient", product, &expected, 1e-8);
    }
}

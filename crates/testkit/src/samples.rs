//! Seeded inputs: Gaussian tensors, labels, and a small data set of bytes.

use candle_core::{Device, Shape, Tensor};
use flatness_data::{Dataset, Normalization};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

/// Standard normal elements, f64 on the CPU.
pub fn gaussian(shape: impl Into<Shape>, seed: u64) -> Tensor {
    from_normal(shape.into(), seed, |normal| normal)
}

/// Elements of random sign whose magnitude is `gap` + |standard normal|: where a function has a
/// kink at zero, differences with steps below the gap do not see it.
pub fn gaussian_away_from_zero(shape: impl Into<Shape>, gap: f64, seed: u64) -> Tensor {
    from_normal(shape.into(), seed, |normal| normal + gap.copysign(normal))
}

fn from_normal(shape: Shape, seed: u64, map: impl Fn(f64) -> f64) -> Tensor {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let normals: Vec<f64> = (0..shape.elem_count())
        .map(|_| map(rng.sample(StandardNormal)))
        .collect();
    Tensor::from_vec(normals, shape, &Device::Cpu).expect("as many elements as the shape has")
}

/// Uniform class indices (`examples`), u32 on the CPU.
pub fn labels(examples: usize, classes: u32, seed: u64) -> Tensor {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let labels: Vec<u32> = (0..examples)
        .map(|_| rng.random_range(0..classes))
        .collect();
    Tensor::from_vec(labels, examples, &Device::Cpu).expect("one element per example")
}

/// A data set of uniform bytes and labels, normalised with mean and deviation one half per channel.
pub fn dataset(examples: usize, example_shape: [usize; 3], classes: u8, seed: u64) -> Dataset {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let size: usize = example_shape.iter().product();
    let pixels = (0..examples * size).map(|_| rng.random()).collect();
    let labels = (0..examples)
        .map(|_| rng.random_range(0..classes))
        .collect();
    let halves = vec![0.5; example_shape[0]];
    let normalization = Normalization::new(halves.clone(), halves).expect("a channel");
    let classes = usize::from(classes);
    Dataset::from_bytes("toy", example_shape, pixels, labels, classes, normalization)
        .expect("a valid data set")
}

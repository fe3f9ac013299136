//! Seeded tensors for this crate's tests, and their comparison with plain float64 loops.

use candle_core::{DType, Device, Shape, Tensor};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Both number types with the rounding that sums of up to a hundred products of order one leave.
pub(crate) const NUMBER_TYPES: [(DType, f64); 2] = [(DType::F64, 1e-13), (DType::F32, 1e-5)];

/// Axes of images and blocks of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub(crate) batch: usize,
    pub(crate) vectors: usize,
    pub(crate) channels: usize,
    pub(crate) height: usize,
    pub(crate) width: usize,
}

impl Sizes {
    pub(crate) const fn new([batch, vectors, channels, height, width]: [usize; 5]) -> Self {
        Self {
            batch,
            vectors,
            channels,
            height,
            width,
        }
    }

    pub(crate) fn area(self) -> usize {
        self.height * self.width
    }

    /// (B, C, H, W)
    pub(crate) fn primal(self) -> (usize, usize, usize, usize) {
        (self.batch, self.channels, self.height, self.width)
    }

    /// (B, V, C, H, W)
    pub(crate) fn block(self) -> (usize, usize, usize, usize, usize) {
        let (batch, channels, height, width) = self.primal();
        (batch, self.vectors, channels, height, width)
    }
}

/// Uniform elements on (-1, 1): a contiguous view that starts at an odd place of a longer storage,
/// as parameters inside a flat vector do.
pub(crate) fn uniform(shape: impl Into<Shape>, seed: u64, dtype: DType) -> Tensor {
    let shape = shape.into();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let count = shape.elem_count();
    let elements: Vec<f64> = (0..count + 3)
        .map(|_| rng.random_range(-1.0..1.0))
        .collect();
    Tensor::from_vec(elements, count + 3, &Device::Cpu)
        .and_then(|all| all.to_dtype(dtype)?.narrow(0, 3, count)?.reshape(shape))
        .unwrap()
}

/// Row-major elements as float64.
pub(crate) fn values(tensor: &Tensor) -> Vec<f64> {
    let flat = tensor.to_dtype(DType::F64).unwrap().flatten_all().unwrap();
    flat.to_vec1().unwrap()
}

/// Asserts that every element is within `bound` of the expected one: an absolute bound, since
/// operands are of order one.
#[track_caller]
pub(crate) fn assert_close(what: &str, got: &Tensor, expected: &[f64], bound: f64) {
    let got = values(got);
    assert_eq!(got.len(), expected.len(), "{what}");
    for (index, (got, expected)) in got.iter().zip(expected).enumerate() {
        assert!(
            (got - expected).abs() <= bound,
            "{what}: element {index} is {got:e}, expected {expected:e}"
        );
    }
}

//! Every kernel on a CUDA device against its CPU path, whose own oracles are the loops of the unit
//! tests.
//!
//! ```text
//! max |device - CPU| ≤ tolerance · max |CPU|     for every result, in f32 and f64
//! ```
//!
//! The two sum in different orders, and the device's matrix products are blocked: the tolerances
//! leave a hundred times the rounding of sums of up to a thousand products.

mod comparison;
mod images;
mod vectors;

use comparison::Comparison;
use flatness_testkit::cuda;

/// (B, V): one of each, a batch and a block.
const BLOCKS: [(usize, usize); 3] = [(1, 1), (3, 1), (4, 3)];

#[test]
fn every_kernel_gives_the_numbers_of_its_cpu_path() {
    let Some(device) = cuda() else {
        return;
    };
    let mut comparison = Comparison::with(device);
    for block in BLOCKS {
        vectors::activations(&mut comparison, block);
        vectors::affine_maps(&mut comparison, block);
        images::normalizations(&mut comparison, block);
        images::convolutions(&mut comparison, block);
        images::pools(&mut comparison, block);
        vectors::losses(&mut comparison, block);
    }
    comparison.finish();
}

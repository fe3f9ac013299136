//! A gradient by finite differences.

use std::error::Error;

use flatness_testkit::{assert_close, finite_difference};

fn main() -> Result<(), Box<dyn Error>> {
    let cubes = |x: &[f64]| x.iter().map(|x| x * x * x).sum();
    let gradient = finite_difference::gradient(cubes, &[1.0, -2.0], 1e-3);
    assert_close(
        "gradient of the sum of cubes",
        &gradient,
        &[3.0, 12.0],
        1e-11,
    );
    println!("{gradient:?}");
    Ok(())
}

//! An operator made of a closure, and D A D of it.

use std::error::Error;

use candle_core::{DType, Device, Tensor};
use flatness_operator::{Congruence, LinearOperator, from_fn};

fn main() -> Result<(), Box<dyn Error>> {
    let matrix = Tensor::new(&[[2.0_f64, 1.0], [1.0, 2.0]], &Device::Cpu)?;
    let products = from_fn(2, DType::F64, &Device::Cpu, |vectors| {
        vectors.matmul(&matrix)
    });
    let operator = Congruence::new(products, &Tensor::new(&[1.0_f64, 3.0], &Device::Cpu)?)?;
    let product = operator.apply(&Tensor::new(&[1.0_f64, 0.0], &Device::Cpu)?)?;
    assert_eq!(product.to_vec1::<f64>()?, [2.0, 3.0]);
    println!("{product}");
    Ok(())
}

//! A convolution, its tangents and its cotangents.

use std::error::Error;

use candle_core::{DType, Device, Tensor};
use flatness_kernels::conv2d::{self, Window};

fn main() -> Result<(), Box<dyn Error>> {
    let cpu = &Device::Cpu;
    let window = Window {
        stride: 1,
        padding: 1,
    };
    // One image (B, I, H, W), and a kernel (O, I, kh, kw) that adds the pixels left and right.
    let x = Tensor::new(&[[[[1f64, 2.0, 3.0], [4.0, 5.0, 6.0]]]], cpu)?;
    let weight = Tensor::new(
        &[[[[0f64, 0.0, 0.0], [1.0, 0.0, 1.0], [0.0, 0.0, 0.0]]]],
        cpu,
    )?;
    let y = conv2d::forward(&x, &weight, None, window)?;
    assert_eq!(
        y.flatten_all()?.to_vec1::<f64>()?,
        [2.0, 4.0, 2.0, 5.0, 10.0, 5.0]
    );

    // Tangents are blocks, here of one vector: the input moves, the kernel does not.
    let dx = Tensor::ones((1, 1, 1, 2, 3), DType::F64, cpu)?;
    let dweight = Tensor::zeros((1, 1, 1, 3, 3), DType::F64, cpu)?;
    let dy = conv2d::tangent(&x, &weight, Some(&dx), &dweight, None, window)?;
    assert_eq!(
        dy.flatten_all()?.to_vec1::<f64>()?,
        [1.0, 2.0, 1.0, 1.0, 2.0, 1.0]
    );

    // Cotangents go back to the input and, added to a sum, to the kernel.
    let dot = |a: &Tensor, b: &Tensor| {
        (a.flatten_all()? * b.flatten_all()?)?
            .sum_all()?
            .to_scalar::<f64>()
    };
    let cotangent = y.unsqueeze(1)?;
    let input_cotangent = conv2d::input_cotangent(&weight, &cotangent, (2, 3), window)?;
    let weight_sum = dweight.zeros_like()?;
    conv2d::accumulate_cotangent(&x, &cotangent, &weight_sum, None, window)?;
    // The passes are transposes of each other: in the input, and in the kernel.
    assert_eq!(dot(&input_cotangent, &dx)?, dot(&cotangent, &dy)?);
    assert_eq!(dot(&weight_sum, &weight)?, dot(&cotangent, &y)?);
    println!("y = {y}");
    Ok(())
}

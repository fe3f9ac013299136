//! Single precision against double: no blocking or transform may cost digits.

use candle_core::{DType, Device, Tensor};

use crate::conv2d::{Window, accumulate_cotangent, forward, input_cotangent};
use crate::seeded::{uniform, values};

/// |single - double| / |double|, as 2-norms.
fn relative_error(single: &Tensor, double: &Tensor) -> f64 {
    let (single, double) = (values(single), values(double));
    let norm = |elements: &mut dyn Iterator<Item = f64>| elements.map(|e| e * e).sum::<f64>();
    let difference = norm(&mut single.iter().zip(&double).map(|(s, d)| s - d));
    (difference / norm(&mut double.iter().copied())).sqrt()
}

#[test]
fn single_precision_loses_no_digits_on_the_layers_of_residual_networks() {
    let (stride, padding) = (1, 1);
    let window = Window { stride, padding };
    for (channels, size) in [(16, 32), (64, 8), (160, 8)] {
        let run = |dtype: DType| {
            // The same numbers in both types, so that only the arithmetic differs.
            let sample = |shape: &[usize], seed| {
                let single = uniform(shape, seed, DType::F32);
                single.to_dtype(dtype).unwrap().contiguous().unwrap()
            };
            let x = sample(&[4, channels, size, size], 1);
            let weight = sample(&[channels, channels, 3, 3], 2);
            let y_bar = sample(&[4, 1, channels, size, size], 3);
            let shape = (1, channels, channels, 3, 3);
            let sum = Tensor::zeros(shape, dtype, &Device::Cpu).unwrap();
            accumulate_cotangent(&x, &y_bar, &sum, None, window).unwrap();
            [
                forward(&x, &weight, None, window).unwrap(),
                input_cotangent(&weight, &y_bar, (size, size), window).unwrap(),
                sum,
            ]
        };
        // Eight units in the last place of f32.
        for (single, double) in run(DType::F32).iter().zip(&run(DType::F64)) {
            let error = relative_error(single, double);
            assert!(error < 1e-6, "{channels} channels: {error:e}");
        }
    }
}

//! Forward pass and both gradients of one convolution, in single precision and one thread: layers of
//! residual networks and of VGG-16, in elements (multiplications and additions) per second.

use std::error::Error;

use candle_core::{DType, Device, Tensor};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flatness_kernels::conv2d::{Window, accumulate_cotangent, forward, input_cotangent};

/// Images, channels of input and output, kernel, image size, stride.
const LAYERS: [[usize; 6]; 8] = [
    [64, 3, 16, 3, 32, 1],
    [64, 16, 16, 3, 32, 1],
    [64, 32, 32, 3, 16, 1],
    [64, 64, 64, 3, 8, 1],
    [64, 16, 32, 3, 32, 2],
    [64, 64, 16, 1, 32, 1],
    [4, 160, 160, 3, 32, 1],
    [64, 512, 512, 3, 4, 1],
];

fn convolution(criterion: &mut Criterion) {
    for layer in LAYERS {
        measure(criterion, layer).unwrap_or_else(|error| panic!("{layer:?}: {error}"));
    }
}

fn measure(
    criterion: &mut Criterion,
    [images, inputs, outputs, kernel, size, stride]: [usize; 6],
) -> Result<(), Box<dyn Error>> {
    let window = Window {
        stride,
        padding: kernel / 2,
    };
    let normal = |shape: &[usize]| Tensor::randn(0f32, 1.0, shape, &Device::Cpu);
    let x = normal(&[images, inputs, size, size])?;
    let weight = normal(&[outputs, inputs, kernel, kernel])?;
    let y_bar = forward(&x, &weight, None, window)?.unsqueeze(1)?;
    let shape = (1, outputs, inputs, kernel, kernel);
    let sum = Tensor::zeros(shape, DType::F32, &Device::Cpu)?;
    let mut group = criterion.benchmark_group(format!(
        "{inputs}-{outputs} {kernel}x{kernel} on {size}x{size} by {stride}"
    ));
    let products = y_bar.elem_count() * inputs * kernel * kernel;
    group.throughput(Throughput::Elements(2 * products as u64));
    group.bench_function("forward", |bencher| {
        bencher.iter(|| forward(&x, &weight, None, window));
    });
    group.bench_function("input", |bencher| {
        bencher.iter(|| input_cotangent(&weight, &y_bar, (size, size), window));
    });
    group.bench_function("kernel", |bencher| {
        bencher.iter(|| accumulate_cotangent(&x, &y_bar, &sum, None, window));
    });
    group.finish();
    Ok(())
}

criterion_group!(benches, convolution);
criterion_main!(benches);

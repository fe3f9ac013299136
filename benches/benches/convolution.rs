//! Forward pass and both gradients of one convolution beside candle's, in single precision and one
//! thread: layers of residual networks and of VGG-16, in elements (multiplications and additions of
//! the definition) per second; and the most multiplications and additions that the core can do.
//!
//! Run with `RAYON_NUM_THREADS=1`, which keeps candle to one thread too.

use std::error::Error;
use std::hint::black_box;

use candle_core::{DType, Device, Tensor, Var};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flatness_kernels::conv2d::{Window, accumulate_cotangent, forward, input_cotangent};
use pulp::{Arch, Simd, WithSimd};

/// Images, channels of input and output, kernel, image size, stride.
const LAYERS: [[usize; 6]; 10] = [
    [128, 3, 16, 3, 32, 1],
    [128, 16, 16, 3, 32, 1],
    [128, 32, 32, 3, 16, 1],
    [128, 64, 64, 3, 8, 1],
    [128, 16, 32, 3, 32, 2],
    [128, 64, 16, 1, 32, 1],
    [128, 64, 128, 3, 16, 1],
    [128, 160, 160, 3, 32, 1],
    [128, 512, 512, 3, 4, 1],
    [8, 640, 640, 3, 8, 1],
];

/// Independent sums, as many as hide the latency of an addition.
const SUMS: usize = 12;

/// Rounds of the peak's loop.
const ROUNDS: usize = 1 << 16;

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
    let y = forward(&x, &weight, None, window)?;
    let y_bar = y.unsqueeze(1)?;
    let shape = (1, outputs, inputs, kernel, kernel);
    let sum = Tensor::zeros(shape, DType::F32, &Device::Cpu)?;
    let mut group = criterion.benchmark_group(format!(
        "{inputs}-{outputs} {kernel}x{kernel} on {size}x{size} by {stride}"
    ));
    let products = y_bar.elem_count() * inputs * kernel * kernel;
    group.sample_size(10);
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
    group.throughput(Throughput::Elements(6 * products as u64));
    group.bench_function("all", |bencher| {
        bencher.iter(|| -> candle_core::Result<_> {
            let y = forward(&x, &weight, None, window)?;
            accumulate_cotangent(&x, &y_bar, &sum, None, window)?;
            Ok((y, input_cotangent(&weight, &y_bar, (size, size), window)?))
        });
    });
    let (x, weight) = (Var::from_tensor(&x)?, Var::from_tensor(&weight)?);
    group.bench_function("all by candle", |bencher| {
        bencher.iter(|| -> candle_core::Result<_> {
            let output = x.conv2d(&weight, window.padding, stride, 1, 1)?;
            (output * &y)?.sum_all()?.backward()
        });
    });
    group.finish();
    Ok(())
}

/// Fused multiply-adds on registers: elements of a vector, and what is left of them.
struct Peak;

impl WithSimd for Peak {
    type Output = (usize, f32);

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> (usize, f32) {
        let factor = simd.splat_f32s(black_box(0.5));
        let mut sums = [simd.splat_f32s(black_box(1.0)); SUMS];
        for _ in 0..ROUNDS {
            for sum in &mut sums {
                *sum = simd.mul_add_e_f32s(*sum, factor, factor);
            }
        }
        let sum = sums.iter().map(|&sum| simd.reduce_sum_f32s(sum)).sum();
        (size_of::<S::f32s>() / size_of::<f32>(), sum)
    }
}

fn peak(criterion: &mut Criterion) {
    let (lanes, _) = Arch::new().dispatch(Peak);
    let mut group = criterion.benchmark_group("peak");
    group.throughput(Throughput::Elements((2 * lanes * SUMS * ROUNDS) as u64));
    group.bench_function("multiply-add", |bencher| {
        bencher.iter(|| Arch::new().dispatch(Peak));
    });
    group.finish();
}

criterion_group!(benches, peak, convolution);
criterion_main!(benches);

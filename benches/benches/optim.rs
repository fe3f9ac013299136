//! One step of every optimiser and one iterate of the averages at two numbers of parameters, beside
//! copies of as many bytes: both are bound by memory.

use candle_core::{DType, Device, Tensor};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use flatness_optim::{
    Adam, Average, Decay, Error, MomentSettings, Momentum, Optimizer, Sgd, clip_by_norm,
};
// Its allocator is that of the binary.
use flatness_benches as _;

type Result<T> = std::result::Result<T, Error>;

/// PreResNet-164 and VGG-16 for CIFAR-100.
const PARAMETERS: [usize; 2] = [1_726_388, 15_291_300];

fn optim(criterion: &mut Criterion) {
    for parameters in PARAMETERS {
        steps(criterion, parameters).unwrap_or_else(|error| panic!("{error}"));
        averages(criterion, parameters).unwrap_or_else(|error| panic!("{error}"));
        copies(criterion, parameters).unwrap_or_else(|error| panic!("{error}"));
    }
}

fn gaussian(parameters: usize) -> Result<Tensor> {
    Ok(Tensor::randn(0f32, 1.0, parameters, &Device::Cpu)?)
}

/// Name, vectors of 4 bytes an element that a step reads and writes, and optimiser.
type Case = (&'static str, u64, Box<dyn Optimizer>);

fn optimizers(theta: &Tensor) -> Result<Vec<Case>> {
    let published = MomentSettings::PUBLISHED;
    let (l2, decoupled) = (Decay::coupled(5e-4)?, Decay::decoupled(0.25)?);
    // A tenth of θ in a hundred ranges, about as biases and normalisation lie in it.
    let width = theta.elem_count() / 1000;
    let ranges = (0..100).map(|range| 10 * range * width..(10 * range + 1) * width);
    let excluding = l2.clone().excluding(ranges)?;
    let sgd = |momentum, decay: &Decay| Sgd::new(momentum, decay.clone(), theta);
    let adam = |decay: &Decay| Adam::new(published, decay.clone(), theta);
    let padam = |partial| Adam::padam(published, partial, decoupled.clone(), theta);
    let (heavy_ball, nesterov) = (Momentum::HeavyBall(0.9), Momentum::Nesterov(0.9));
    Ok(vec![
        ("sgd", 5, Box::new(sgd(heavy_ball, &l2)?)),
        ("sgd-excluding", 5, Box::new(sgd(heavy_ball, &excluding)?)),
        ("nesterov", 5, Box::new(sgd(nesterov, &l2)?)),
        ("adam", 7, Box::new(adam(&l2)?)),
        ("adamw", 7, Box::new(adam(&decoupled)?)),
        ("amsgrad", 9, Box::new(Adam::amsgrad(published, l2, theta)?)),
        ("padam-1/8", 9, Box::new(padam(0.125)?)),
        ("padam-0.2", 9, Box::new(padam(0.2)?)),
    ])
}

fn steps(criterion: &mut Criterion, parameters: usize) -> Result<()> {
    let (theta, gradient) = (gaussian(parameters)?, gaussian(parameters)?);
    let mut group = criterion.benchmark_group("optim/step");
    group.sample_size(20);
    for (name, vectors, mut optimizer) in optimizers(&theta)? {
        group.throughput(Throughput::Bytes(4 * vectors * parameters as u64));
        group.bench_function(BenchmarkId::new(name, parameters), |bencher| {
            bencher.iter(|| optimizer.step(&theta, &gradient, 1e-6));
        });
    }
    group.throughput(Throughput::Bytes(4 * parameters as u64));
    group.bench_function(BenchmarkId::new("clip", parameters), |bencher| {
        // Above the norm, so that every call reads and none writes.
        bencher.iter(|| clip_by_norm(&gradient, 1e9));
    });
    group.finish();
    Ok(())
}

fn averages(criterion: &mut Criterion, parameters: usize) -> Result<()> {
    let theta = gaussian(parameters)?;
    let averages = [
        ("uniform", Average::uniform(0, &theta)?),
        ("exponential", Average::exponential(0.99, &theta)?),
    ];
    let mut group = criterion.benchmark_group("optim/average");
    group.sample_size(20);
    // An f32 is read, an f64 read and written.
    group.throughput(Throughput::Bytes(20 * parameters as u64));
    for (name, mut average) in averages {
        group.bench_function(BenchmarkId::new(name, parameters), |bencher| {
            bencher.iter(|| average.add(&theta));
        });
    }
    group.finish();
    Ok(())
}

/// Copies that read and write the bytes of a step of SGD, Adam and Padam together, into memory that
/// is there already.
fn copies(criterion: &mut Criterion, parameters: usize) -> Result<()> {
    let mut group = criterion.benchmark_group("optim/copy");
    group.sample_size(20);
    for vectors in [5, 7, 9] {
        let length = parameters * vectors / 2;
        let source = Tensor::ones(length, DType::F32, &Device::Cpu)?;
        let target = source.zeros_like()?;
        group.throughput(Throughput::Bytes(8 * length as u64));
        group.bench_function(
            BenchmarkId::new(format!("{vectors}-vectors"), parameters),
            |bencher| bencher.iter(|| target.slice_set(&source, 0, 0)),
        );
    }
    group.finish();
    Ok(())
}

criterion_group!(benches, optim);
criterion_main!(benches);

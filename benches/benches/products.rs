//! Gradient, Hessian and Gauss-Newton products over 2,000 examples, in single precision on all cores.

use std::error::Error;

use candle_core::{DType, Device, Tensor};
use criterion::{Criterion, criterion_group, criterion_main};
use flatness_benches::gaussian;
use flatness_curvature::{MeanLoss, Retention, Selection, Settings};
use flatness_layers::{Loss, Workers};
use flatness_models::Architecture;
use flatness_operator::LinearOperator;

fn products(criterion: &mut Criterion) {
    for model in ["logistic", "mlp", "mlp-400"] {
        measure(criterion, model).unwrap_or_else(|error| panic!("{model}: {error}"));
    }
}

fn measure(criterion: &mut Criterion, model: &str) -> Result<(), Box<dyn Error>> {
    let data = gaussian(2_000)?;
    let network = Architecture::find(model)?.network(&[1, 28, 28], 10)?;
    let workers = Workers::new(std::thread::available_parallelism()?.get())?;
    let settings = Settings {
        dtype: DType::F32,
        device: Device::Cpu,
        batch_size: 1_000,
    };
    let mean_loss = MeanLoss::new(&network, &data, Loss::CrossEntropy, &workers, settings)?;
    let theta = network.layout().initialize(0, DType::F32, &Device::Cpu)?;
    let mut group = criterion.benchmark_group(model);
    group.bench_function("gradient", |bencher| {
        bencher.iter(|| mean_loss.gradient(&theta, Selection::All));
    });
    let kept = mean_loss.curvature(&theta, Retention::Retain)?;
    let recomputed = mean_loss.curvature(&theta, Retention::Recompute)?;
    for vectors in [1, 8] {
        let block = Tensor::randn(0f32, 1.0, (vectors, network.layout().dim()), &Device::Cpu)?;
        let (hessian, gauss_newton) = (kept.hessian(), kept.gauss_newton());
        let fresh = recomputed.hessian();
        let operators: [(&str, &dyn LinearOperator); 3] = [
            ("hessian-kept", &hessian),
            ("hessian-recomputed", &fresh),
            ("gauss-newton-kept", &gauss_newton),
        ];
        for (name, operator) in operators {
            group.bench_function(format!("{name}-{vectors}"), |bencher| {
                bencher.iter(|| operator.apply_block(&block));
            });
        }
    }
    group.finish();
    Ok(())
}

criterion_group!(benches, products);
criterion_main!(benches);

//! Work on vectors and data that no product hides: Lanczos re-orthogonalisation, batches.

use std::error::Error;

use candle_core::{DType, Device, Tensor};
use criterion::{Criterion, criterion_group, criterion_main};
use flatness_data::{EmbeddedMnist, Normalization, Order, Set};
use flatness_operator::{Error as OperatorError, LinearOperator, check_block};
use flatness_spectrum::{Budget, EigenpairsSettings, eigenpairs};

/// A diagonal matrix: its product is one pass, so Lanczos on it is vector work.
struct Diagonal(Tensor);

impl LinearOperator for Diagonal {
    fn dim(&self) -> usize {
        self.0.elem_count()
    }

    fn dtype(&self) -> DType {
        self.0.dtype()
    }

    fn device(&self) -> &Device {
        self.0.device()
    }

    fn apply_block(&self, vectors: &Tensor) -> Result<Tensor, OperatorError> {
        check_block(self, vectors)?;
        Ok(vectors.broadcast_mul(&self.0)?)
    }
}

fn vectors(criterion: &mut Criterion) {
    reorthogonalisation(criterion).unwrap_or_else(|error| panic!("{error}"));
    batches(criterion).unwrap_or_else(|error| panic!("{error}"));
}

/// A hundred products of a million entries: one vector at a time, and in blocks that share each
/// reading of the basis.
fn reorthogonalisation(criterion: &mut Criterion) -> Result<(), Box<dyn Error>> {
    let mut group = criterion.benchmark_group("lanczos");
    group.sample_size(10);
    let operator = Diagonal(Tensor::rand(0f32, 1.0, 1_000_000, &Device::Cpu)?);
    let products = 100;
    for block in [1, 4, 8] {
        let settings = EigenpairsSettings {
            top: 1,
            bottom: 0,
            block,
            basis: products + block,
            tolerance: 1e-12,
            least_products: 0,
            seed: 0,
        };
        group.bench_function(format!("100-products-by-{block}"), |bencher| {
            let budget = Budget::of_products(products);
            bencher.iter(|| eigenpairs(&operator, &settings, &budget, &mut |_| ()));
        });
    }
    group.finish();
    Ok(())
}

fn batches(criterion: &mut Criterion) -> Result<(), Box<dyn Error>> {
    let embedded = EmbeddedMnist {
        files: flatness_fixtures::MNIST,
        description: flatness_fixtures::DESCRIPTION,
    };
    let found = Set::Mnist.find(None, None, Some(embedded))?;
    criterion.bench_function("mnist/load-fixture", |bencher| {
        bencher.iter(|| found.clone().load(Normalization::mnist()));
    });
    let data = found.load(Normalization::mnist())?;
    let indices = Order::Shuffled { seed: 0, epoch: 0 }.indices(128);
    criterion.bench_function("mnist/gather-128", |bencher| {
        bencher.iter(|| data.train.gather(&indices, DType::F32, &Device::Cpu));
    });
    Ok(())
}

criterion_group!(benches, vectors);
criterion_main!(benches);

//! The two largest eigenvalues of an operator and the smallest, then its trace.

use std::error::Error;

use candle_core::{DType, Device, Tensor};
use flatness_operator::from_fn;
use flatness_spectrum::{
    Budget, EigenpairsSettings, Goal, MomentsSettings, Stop, eigenpairs, moments_until,
};

fn main() -> Result<(), Box<dyn Error>> {
    // Eigenvalues 1, 1/4, 1/9, …, 1/2500.
    let squares = Tensor::arange(1.0, 51.0, &Device::Cpu)?.sqr()?.recip()?;
    let operator = from_fn(50, DType::F64, &Device::Cpu, |vectors| {
        vectors.broadcast_mul(&squares)
    });

    let settings = EigenpairsSettings {
        top: 2,
        bottom: 1,
        block: 1,
        basis: 20,
        tolerance: 1e-8,
        least_products: 0,
        seed: 7,
    };
    let mut shown = 0;
    let pairs = eigenpairs(&operator, &settings, &Budget::UNLIMITED, &mut |progress| {
        shown = progress.products;
    })?;
    assert_eq!((pairs.stop, pairs.products), (Stop::Converged, shown));
    assert!((pairs.top[1].value - 0.25).abs() <= pairs.top[1].residual);
    assert_eq!(pairs.top_vectors()?.dims(), [2, 50]);

    assert_eq!(pairs.spectral_norm().unwrap(), pairs.top[0]);

    let measured = moments_until(
        &operator,
        &MomentsSettings {
            probes: 4,
            block: 2,
            seed: 7,
        },
        Some(&pairs.deflation(f64::MAX)?),
        &Goal::relative(0.02),
        &Budget::of_products(100),
        &mut |_| (),
    )?;
    let trace = measured.result.trace;
    assert_eq!(measured.stop, Stop::Converged);
    assert!(trace.half_width(0.95)? <= 0.02 * trace.value);
    assert!(trace.interval(0.95)?.contains(&1.6251327));
    println!(
        "{:?}, trace {} ± {}",
        pairs.top[0],
        trace.value,
        trace.half_width(0.95)?
    );
    Ok(())
}

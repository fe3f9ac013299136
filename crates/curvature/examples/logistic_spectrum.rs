//! The whole Hessian spectrum of logistic regression on 10,000 images of MNIST, dense against Lanczos.
//!
//! The dense matrix does not come from this crate's products but from the closed form
//! H = (1/N) Σᵢ Aᵢ ⊗ xᵢxᵢᵀ (P = 7,850, x augmented by 1), and its eigenvalues from nalgebra. Takes minutes:
//!
//! ```text
//! cargo run --release -p flatness-curvature --example logistic_spectrum
//! ```

use std::error::Error;

use candle_core::{DType, Device, Tensor};
use flatness_curvature::{MeanLoss, Retention, Selection, Settings};
use flatness_data::{EmbeddedMnist, Normalization, Set};
use flatness_layers::{Loss, Workers};
use flatness_models::Architecture;
use flatness_spectrum::{
    Budget, EigenpairsSettings, Goal, MomentsSettings, eigenpairs, moments_until,
};
use nalgebra::DMatrix;

const CLASSES: usize = 10;
const PIXELS: usize = 784;

fn main() -> Result<(), Box<dyn Error>> {
    let embedded = EmbeddedMnist {
        files: flatness_fixtures::MNIST,
        description: flatness_fixtures::DESCRIPTION,
    };
    let found = Set::Mnist.find(None, None, Some(embedded))?;
    let data = found.load(Normalization::mnist())?.train;
    let network = Architecture::find("logistic")?.network(&[1, 28, 28], CLASSES)?;
    let workers = Workers::new(std::thread::available_parallelism()?.get())?;
    let settings = Settings {
        dtype: DType::F64,
        device: Device::Cpu,
        batch_size: 1_000,
    };
    let mean_loss = MeanLoss::new(&network, &data, Loss::CrossEntropy, &workers, settings)?;
    // Some way down: 50 steps of gradient descent.
    let mut theta = network.layout().initialize(0, DType::F64, &Device::Cpu)?;
    for _ in 0..50 {
        let (_, gradient) = mean_loss.gradient(&theta, Selection::All)?;
        theta = (theta - (gradient * 0.02)?)?;
    }
    let images = data.batch(0..data.len(), DType::F64, &Device::Cpu)?.inputs;
    let dense = closed_form(&images, &theta)?;
    let trace = dense.trace();
    let frobenius = dense.norm();
    let mut exact: Vec<f64> = dense.symmetric_eigenvalues().iter().copied().collect();
    exact.sort_by(|a, b| b.total_cmp(a));
    let lambda_1 = exact[0];
    let counted = exact.iter().filter(|value| value.abs() > 1e-12 * lambda_1);
    let (dim, rank, lambda_min) = (exact.len(), counted.count(), exact[exact.len() - 1]);
    println!(
        "dense    P {dim}  lambda_1 {lambda_1:.12e}  lambda_min {lambda_min:.2e}  rank {rank}"
    );

    let curvature = mean_loss.curvature(&theta, Retention::Retain)?;
    let hessian = curvature.hessian();
    let settings = EigenpairsSettings {
        top: 200,
        bottom: 0,
        block: 1,
        basis: 202,
        tolerance: 1e-10,
        least_products: 0,
        seed: 1,
    };
    let budget = Budget::of_products(200);
    let spectrum = eigenpairs(&hessian, &settings, &budget, &mut |_| ())?;
    let leading = spectrum.top.iter().take_while(|ritz| ritz.converged);
    let errors = leading
        .zip(&exact)
        .map(|(ritz, value)| (ritz.value - value).abs() / lambda_1);
    let (converged, worst) = errors.fold((0, 0.0_f64), |(count, worst), error| {
        (count + 1, worst.max(error))
    });
    println!(
        "lanczos  {converged} leading eigenvalues converged in {} products, worst error {worst:.1e} lambda_1",
        spectrum.products
    );
    // The bound of every Ritz value, with room for the rounding of the dense eigenvalues.
    let rounding = 1e-12 * lambda_1;
    let broken = spectrum.top.iter().filter(|ritz| {
        let mut distances = exact.iter().map(|value| (ritz.value - value).abs());
        distances.all(|distance| distance > ritz.residual + rounding)
    });
    let (broken, all) = (broken.count(), spectrum.top.len());
    println!("lanczos  {broken} of {all} residual bounds broken");
    let settings = MomentsSettings {
        probes: 200,
        block: 10,
        seed: 2,
    };
    let goal = Goal::relative(1e-9);
    let estimates = moments_until(&hessian, &settings, None, &goal, &budget, &mut |_| ())?.result;
    let norm = estimates.frobenius_squared.sqrt()?;
    let trace = ("trace", trace, estimates.trace);
    for (name, exact, estimate) in [trace, ("frobenius", frobenius, norm)] {
        let deviation = (estimate.value - exact) / estimate.standard_error;
        println!(
            "{name:<10}exact {exact:.6}  estimate {:.6} +- {:.6}, {deviation:+.2} standard errors",
            estimate.value, estimate.standard_error
        );
    }
    Ok(())
}

/// (1/N) Σᵢ (diag pᵢ - pᵢpᵢᵀ) ⊗ xᵢxᵢᵀ in the order of the parameters: weight (10, 784), bias (10).
fn closed_form(images: &Tensor, theta: &Tensor) -> Result<DMatrix<f64>, Box<dyn Error>> {
    let pixels: Vec<f64> = images.flatten_all()?.to_vec1()?;
    let theta: Vec<f64> = theta.to_vec1()?;
    let examples = pixels.len() / PIXELS;
    let x = DMatrix::from_fn(examples, PIXELS + 1, |i, j| {
        if j < PIXELS {
            pixels[i * PIXELS + j]
        } else {
            1.0
        }
    });
    let place = |class: usize, input: usize| {
        if input < PIXELS {
            class * PIXELS + input
        } else {
            CLASSES * PIXELS + class
        }
    };
    let weight = DMatrix::from_fn(PIXELS + 1, CLASSES, |j, c| theta[place(c, j)]);
    let mut p = &x * weight;
    for mut row in p.row_iter_mut() {
        let largest = row.max();
        row.apply(|z| *z = (*z - largest).exp());
        row /= row.sum();
    }
    let mut dense = DMatrix::zeros(theta.len(), theta.len());
    for a in 0..CLASSES {
        for b in a..CLASSES {
            let mut weighted = x.clone();
            for (i, mut row) in weighted.row_iter_mut().enumerate() {
                let own = if a == b { p[(i, a)] } else { 0.0 };
                row *= (own - p[(i, a)] * p[(i, b)]) / examples as f64;
            }
            let block = x.tr_mul(&weighted);
            for j in 0..=PIXELS {
                for k in 0..=PIXELS {
                    dense[(place(a, j), place(b, k))] = block[(j, k)];
                    dense[(place(b, k), place(a, j))] = block[(j, k)];
                }
            }
        }
    }
    Ok(dense)
}

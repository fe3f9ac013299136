//! Two layers rescaled against each other: sharper, the loss as it was.

use std::error::Error;

use candle_core::{DType, Device, Tensor};
use flatness_curvature::{MeanLoss, Retention, Settings};
use flatness_data::LabelledTensors;
use flatness_layers::{Affine, Loss, Network, Relu, Workers};
use flatness_measures::{
    AscentSettings, KeskarSettings, Objective, Rescaling, Watch, keskar_sharpness, quadratic_form,
};

fn main() -> Result<(), Box<dyn Error>> {
    let network = Network::chain(
        &[3],
        vec![
            ("fc0".to_owned(), Box::new(Affine::new(3, 8))),
            ("relu".to_owned(), Box::new(Relu)),
            ("fc1".to_owned(), Box::new(Affine::new(8, 2))),
        ],
    )?;
    let inputs = Tensor::arange(0f64, 30.0, &Device::Cpu)?
        .sin()?
        .reshape((10, 3))?;
    let labels = Tensor::new(&[0u32, 1, 1, 0, 1, 0, 0, 1, 1, 0], &Device::Cpu)?;
    let data = LabelledTensors::new("toy", &inputs, &labels, 2)?;
    let workers = Workers::new(1)?;
    let settings = Settings {
        dtype: DType::F64,
        device: Device::Cpu,
        batch_size: 10,
    };
    let mean_loss = MeanLoss::new(&network, &data, Loss::CrossEntropy, &workers, settings)?;
    let theta = network.layout().initialize(0, DType::F64, &Device::Cpu)?;

    let ascent = AscentSettings {
        random_starts: 2,
        max_iterations: 50,
        tolerance: 1e-3,
        seed: 0,
    };
    let settings = KeskarSettings {
        epsilons: &[1e-3, 1e-2],
        directions: &[],
        ascent,
    };
    let objective = Objective::new(&mean_loss, 0.0)?;
    let measure = |theta: &Tensor| -> Result<[f64; 3], Box<dyn std::error::Error>> {
        let phi = keskar_sharpness(&objective, theta, &settings, Watch::NOBODY)?;
        let curvature = mean_loss.curvature(theta, Retention::Retain)?;
        let fisher_rao = quadratic_form(&curvature.gauss_newton(), theta)?.value;
        Ok([phi[1].loss, phi[1].phi, fisher_rao])
    };
    let pair = &Rescaling::pairs(&network)[0];
    let [loss, phi, fisher_rao] = measure(&theta)?;
    let [same_loss, other_phi, same_fisher_rao] = measure(&pair.apply(&theta, 0.01)?)?;
    assert!((same_loss - loss).abs() < 1e-12);
    assert!(other_phi > 5.0 * phi);
    assert!((same_fisher_rao - fisher_rao).abs() < 1e-12);
    println!(
        "Keskar's sharpness {phi} and {other_phi}, Fisher-Rao {fisher_rao} and {same_fisher_rao}"
    );
    Ok(())
}
